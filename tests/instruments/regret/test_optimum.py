"""Population optima of losses, against links in closed form and other solvers."""

import numpy as np
import pytest
import torch
from scipy.optimize import linprog, minimize
from scipy.special import expit

from gold_rewards import LabelRule
from simulator import LOSSES
from simulator.instruments.regret.optimum import levels_of, population_optimum

Array = np.ndarray
RULE = LabelRule()


@pytest.fixture
def u(rng: np.random.Generator) -> Array:
    return 1.5 * rng.normal(size=(2, 400))


@pytest.fixture
def law(rng: np.random.Generator) -> Array:
    weights = rng.random((2, 400))
    return weights / weights.sum(axis=1, keepdims=True)


def centred(values: Array, law: Array) -> Array:
    return values - (law * values).sum(axis=1, keepdims=True)


@pytest.mark.parametrize(("name", "factor"), [("logistic", 1.0), ("savage", 1.0), ("exponential", 0.5)])
def test_where_the_link_is_a_difference_it_is_reached(name: str, factor: float, u: Array, law: Array) -> None:
    found = population_optimum(LOSSES[name], u, (law, law), RULE)
    np.testing.assert_allclose(centred(found, law), factor * centred(u, law), atol=1e-6)


def test_of_the_squared_loss_it_is_the_mean_preference(u: Array, law: Array) -> None:
    """The regression of 2 p - 1 on differences of t, by its normal equations: t(y) = E_y' (2 p(y, y') - 1)."""
    exact = np.einsum("pij,pj->pi", np.tanh((u[:, :, None] - u[:, None, :]) / 2), law)
    found = population_optimum(LOSSES["squared"], u, (law, law), RULE)
    np.testing.assert_allclose(centred(found, law), centred(exact, law), atol=2e-4)


def few_levels(rng: np.random.Generator) -> tuple[Array, Array, Array]:
    """Scores on six even levels, which need no interpolation, their law, and the mass of chosen pairs."""
    u = np.arange(6.0)[None] * 0.7
    law = rng.dirichlet(np.ones(6))[None]
    p = expit(u[0][:, None] - u[0][None, :])
    return u, law, 2 * law[0][:, None] * law[0][None, :] * p


def value(loss: str, t: Array, mass: Array) -> float:
    gaps = torch.from_numpy(t[:, None] - t[None, :])
    return float((torch.from_numpy(mass) * LOSSES[loss](gaps)).sum())


@pytest.mark.parametrize("loss", ["squared", "truncated_quadratic", "logistic", "exponential"])
def test_no_other_solver_finds_less(loss: str, rng: np.random.Generator) -> None:
    u, law, mass = few_levels(rng)
    found = population_optimum(LOSSES[loss], u, (law, law), RULE)[0]
    other = minimize(lambda t: value(loss, t, mass), np.zeros(6), method="BFGS", options={"gtol": 1e-10})
    assert value(loss, found, mass) == pytest.approx(other.fun, abs=1e-7)


def test_the_kink_of_the_hinge_costs_little(rng: np.random.Generator) -> None:
    """Against the linear program: least Σ m_ij h_ij with h_ij >= 1 - (t_i - t_j), h_ij >= 0."""
    u, law, mass = few_levels(rng)
    pairs = [(i, j) for i in range(6) for j in range(6) if i != j]
    rows = np.zeros((len(pairs), 6 + len(pairs)))
    for row, (i, j) in enumerate(pairs):
        rows[row, i], rows[row, j], rows[row, 6 + row] = -1, 1, -1
    cost = np.r_[np.zeros(6), [mass[i, j] for i, j in pairs]]
    bounds = [(0, 0), *[(None, None)] * 5, *[(0, None)] * len(pairs)]
    best = linprog(cost, A_ub=rows, b_ub=-np.ones(len(pairs)), bounds=bounds).fun + np.trace(mass)
    found = population_optimum(LOSSES["hinge"], u, (law, law), RULE)[0]
    assert best - 1e-9 <= value("hinge", found, mass) <= best + 0.01


def test_beta_is_no_part_of_it_and_sides_may_differ(rng: np.random.Generator) -> None:
    u = rng.normal(size=(1, 300))
    one, other = rng.dirichlet(np.ones(300), size=2)
    found = population_optimum(LOSSES["logistic"], u, (one[None], other[None]), RULE)
    np.testing.assert_allclose(found - found[0, 0], u - u[0, 0], atol=1e-6)


def test_levels_hold_the_mass(u: Array, law: Array) -> None:
    levels = levels_of(u, (law, law))
    np.testing.assert_allclose(levels.mass.sum(axis=2), 1.0)
    back = np.take_along_axis(levels.level, levels.place, axis=1)
    step = levels.level[:, 1:2] - levels.level[:, :1]
    np.testing.assert_allclose(back + levels.share * step, u, atol=1e-12)
