"""The six losses against the paper's table, finite differences and formulas written a second time."""

import numpy as np
import pytest
import torch

from simulator.objectives.local_shape import local_shape, sample_losses
from simulator.objectives.loss_table import chosen, describe
from simulator.objectives.losses.gpo import LOSSES

TABLE = {  # f(0), f'(0), f''(0), kappa: arXiv:2402.05749, Table 1, and by hand
    "logistic": (np.log(2), -1 / 2, 1 / 4, 1 / 2),
    "hinge": (1, -1, 0, 0),
    "squared": (1, -2, 2, 1),
    "exponential": (1, -1, 1, 1),
    "truncated_quadratic": (1, -2, 2, 1),
    "savage": (1 / 4, -1 / 4, 1 / 8, 1 / 2),
}
FORMULAS = {
    "logistic": lambda z: np.log1p(np.exp(-z)),
    "hinge": lambda z: np.where(z < 1, 1 - z, 0),
    "squared": lambda z: z**2 - 2 * z + 1,
    "exponential": lambda z: 1 / np.exp(z),
    "truncated_quadratic": lambda z: np.where(z < 1, z**2 - 2 * z + 1, 0),
    "savage": lambda z: 1 / (1 + np.exp(z)) ** 2,
}
GRID = np.linspace(-5, 5, 101) + 0.003  # no point on a kink


def evaluate(name: str, z: np.ndarray) -> np.ndarray:
    return LOSSES[name](torch.from_numpy(z)).numpy()


def test_the_table_holds_the_six_of_the_paper() -> None:
    assert list(LOSSES) == list(TABLE)


@pytest.mark.parametrize("name", TABLE)
def test_local_shape_is_that_of_the_table(name: str) -> None:
    at = local_shape(LOSSES[name])
    assert (at.value, at.slope, at.curvature, at.kappa) == pytest.approx(TABLE[name], abs=1e-12)


@pytest.mark.parametrize("name", TABLE)
def test_local_shape_agrees_with_finite_differences(name: str) -> None:
    h = 1e-4
    low, mid, high = evaluate(name, np.array([-h, 0.0, h]))
    at = local_shape(LOSSES[name])
    assert at.slope == pytest.approx((high - low) / (2 * h), abs=1e-6)
    assert at.curvature == pytest.approx((high - 2 * mid + low) / h**2, abs=1e-5)


@pytest.mark.parametrize("name", TABLE)
def test_values_agree_with_a_second_writing(name: str) -> None:
    assert evaluate(name, GRID) == pytest.approx(FORMULAS[name](GRID), rel=1e-12, abs=1e-15)


@pytest.mark.parametrize("name", TABLE)
def test_gradients_agree_with_finite_differences(name: str) -> None:
    z = torch.from_numpy(GRID).requires_grad_()
    (slope,) = torch.autograd.grad(LOSSES[name](z).sum(), z)
    numeric = (evaluate(name, GRID + 1e-6) - evaluate(name, GRID - 1e-6)) / 2e-6
    assert slope.numpy() == pytest.approx(numeric, abs=1e-6, rel=1e-6)


@pytest.mark.parametrize("name", [name for name in TABLE if name != "savage"])
def test_all_but_savage_are_convex(name: str) -> None:
    a, b = np.meshgrid(GRID, GRID)
    middle = evaluate(name, (a + b) / 2)
    assert (middle <= (evaluate(name, a) + evaluate(name, b)) / 2 + 1e-12).all()


def test_savage_is_convex_above_minus_log_2_only() -> None:
    h = 1e-4
    z = GRID[np.abs(GRID + np.log(2)) > 0.01]
    curvature = (evaluate("savage", z + h) - 2 * evaluate("savage", z) + evaluate("savage", z - h)) / h**2
    wide = np.abs(curvature) > 1e-6
    assert ((curvature > 0) == (z > -np.log(2)))[wide].all()


def test_tails() -> None:
    far = np.array([1.0, 2.0, 50.0])
    assert (evaluate("hinge", far) == 0).all()
    assert (evaluate("truncated_quadratic", far) == 0).all()
    assert evaluate("squared", far) == pytest.approx((far - 1) ** 2)
    assert evaluate("logistic", np.array([30.0])) == pytest.approx(np.exp(-30), rel=1e-9)
    assert evaluate("savage", np.array([-500.0])) == pytest.approx(1)


@pytest.mark.parametrize("name", [name for name in TABLE if name != "exponential"])
def test_no_overflow_far_out(name: str) -> None:
    z = torch.tensor([-1e4, 1e4], requires_grad=True)
    value = LOSSES[name](z)
    (slope,) = torch.autograd.grad(value.sum(), z)
    assert value.isfinite().all()
    assert slope.isfinite().all()


@pytest.mark.parametrize("name", TABLE)
def test_a_loss_is_elementwise(name: str, rng: np.random.Generator) -> None:
    z = rng.normal(size=(2, 3, 4))
    assert evaluate(name, z).shape == z.shape
    assert evaluate(name, z)[1, 2, 3] == pytest.approx(evaluate(name, z[1, 2, 3:])[0], rel=1e-14)


def test_samples_are_those_of_the_functions() -> None:
    table = sample_losses({name: LOSSES[name] for name in ("squared", "hinge")})
    squared = table["loss"] == "squared"
    assert table["f"][squared] == pytest.approx((table["z"][squared] - 1) ** 2)
    assert table["slope"][squared] == pytest.approx(2 * (table["z"][squared] - 1))
    assert set(table["kappa"][~squared]) == {0.0}


def test_description_names_every_loss_with_its_kappa() -> None:
    lines = describe(chosen(list(TABLE))).splitlines()[1:]
    assert [line.split()[0] for line in lines] == list(TABLE)
    assert [float(line.split()[4]) for line in lines] == [TABLE[name][3] for name in TABLE]
