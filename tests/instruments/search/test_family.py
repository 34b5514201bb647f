"""The searched losses against numerical derivatives, another way to write them, and the six of GPO."""

import numpy as np
import pytest
import torch
from scipy.optimize import nnls

from simulator import LOSSES
from simulator.instruments.search.family import BOUNDS, HINGES, KNOTS, NAMES, RAMPS, WIDTH, Family, slopes, values
from simulator.objectives.local_shape import local_shape
from simulator.objectives.objective import Pairs

Array = np.ndarray
FAMILIES = {"convex": Family(convex=True), "any": Family(convex=False)}
Z = np.linspace(-4, 4, 201)


def logistic(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


@pytest.fixture(params=FAMILIES)
def family(request: pytest.FixtureRequest) -> Family:
    return FAMILIES[request.param]


@pytest.fixture
def masses(family: Family, rng: np.random.Generator) -> Array:
    return family.masses(family.start + family.spread * rng.normal(size=(20, len(KNOTS))))


def test_slopes_are_the_derivative(family: Family, masses: Array) -> None:
    z = torch.from_numpy(np.linspace(-7, 9, 300))
    weights = torch.from_numpy(masses)

    def f(shift: float) -> Array:
        return values((z + shift).expand(len(masses), -1), weights, family.convex).numpy()

    numerical = (f(1e-4) - f(-1e-4)) / 2e-4
    np.testing.assert_allclose(slopes(z.numpy(), masses), numerical, rtol=1e-5, atol=5e-5)


def test_the_slope_at_0_is_fixed(family: Family, masses: Array) -> None:
    for row in masses:
        shape = local_shape(
            lambda z, row=row: values(z.view(1, 1), torch.from_numpy(row[None]), family.convex).view(())
        )
        assert shape.slope == pytest.approx(-1.0, abs=1e-9)


def test_they_are_convex_and_bounded_below(rng: np.random.Generator) -> None:
    family = FAMILIES["convex"]
    masses = family.masses(family.start + 3 * family.spread * rng.normal(size=(200, len(KNOTS))))
    slope = slopes(np.linspace(-40, 60, 1001), masses)
    assert (np.diff(slope, axis=1) >= -1e-9 * np.abs(slope).max(axis=1, keepdims=True)).all()
    assert (slope[:, -1] >= -1e-9 * np.abs(slope).max(axis=1)).all()


def test_masses_are_sums_of_hinges_and_ramps(rng: np.random.Generator) -> None:
    """Written with one-sided functions and their weights, as in the module's second formula."""
    parameters = rng.normal(size=len(KNOTS))
    a, b = np.split(np.exp(parameters), [len(HINGES)])
    falls = sum(weight * logistic((knot - Z) / WIDTH) for weight, knot in zip(a, HINGES, strict=True))
    scale = sum(weight * logistic(knot / WIDTH) for weight, knot in zip(a, HINGES, strict=True))
    rises = sum(
        weight * (logistic((Z - knot) / WIDTH) - logistic(-knot / WIDTH)) for weight, knot in zip(b, RAMPS, strict=True)
    )
    np.testing.assert_allclose(slopes(Z, FAMILIES["convex"].masses(parameters)), -falls / scale + rises, rtol=1e-10)


def test_other_losses_are_constant_beyond_their_bounds(rng: np.random.Generator) -> None:
    masses = torch.from_numpy(rng.normal(size=(1, len(KNOTS))))
    z = torch.tensor([[BOUNDS[0] - 50, BOUNDS[0], BOUNDS[1], BOUNDS[1] + 50]], dtype=torch.float64)
    found = values(z, masses, convex=False)[0]
    assert found[0] == found[1]
    assert found[2] == found[3]
    assert values(z, masses, convex=True)[0, 0] != found[0]


def test_a_loss_in_a_stack_is_that_of_its_own_masses(family: Family, masses: Array) -> None:
    runs, count = len(masses), 8
    policy = torch.from_numpy(np.random.default_rng(1).normal(size=(runs, 2, count)))
    pairs = Pairs(
        policy=policy,
        reference=torch.zeros_like(policy),
        lengths=torch.ones_like(policy),
        beta=torch.linspace(0.1, 3, runs, dtype=torch.float64).unsqueeze(1),
        hyperparameters={name: torch.from_numpy(masses[:, [k]]) for k, name in enumerate(NAMES)},
        count=count,
    )
    together = family.objective.loss(pairs)
    for row in range(runs):
        alone = values(pairs.z[[row]], torch.from_numpy(masses[[row]]), family.convex)
        torch.testing.assert_close(together[[row]], alone, rtol=1e-12, atol=1e-12)


NEAR = {  # root mean square error of f' on [-4, 4], over that of f'; a kink and what is not convex cannot be met
    "logistic": 0.002,
    "squared": 0.01,
    "exponential": 0.01,
    "truncated_quadratic": 0.03,
    "hinge": 0.2,
}


def error_of(name: str, *, convex: bool) -> float:
    """How near sums of hinges and ramps come to the slope of a loss."""
    z = torch.from_numpy(Z).requires_grad_()
    (slope,) = torch.autograd.grad(LOSSES[name](z).sum(), z)
    wanted = slope.numpy()
    columns = [-logistic((knot - Z) / WIDTH) for knot in HINGES]
    columns += [logistic((Z - knot) / WIDTH) - logistic(-knot / WIDTH) for knot in RAMPS]
    matrix = np.array(columns).T
    weights = nnls(matrix, wanted)[0] if convex else np.linalg.lstsq(matrix, wanted, rcond=None)[0]
    return float(np.sqrt(np.mean((matrix @ weights - wanted) ** 2) / np.mean(wanted**2)))


@pytest.mark.parametrize("name", LOSSES)
def test_the_six_are_near(name: str) -> None:
    if name in NEAR:
        assert error_of(name, convex=True) < NEAR[name]
    else:
        assert error_of(name, convex=True) > 0.3
        assert error_of(name, convex=False) < 0.05
