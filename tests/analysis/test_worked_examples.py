"""Worked examples of GPO's theory: the six f by automatic differentiation, bandit and identity by closed forms."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest
import torch

from analysis.figures.theory import bandit as figure
from analysis.records.about import GPO_LOSSES
from analysis.theory.bandit import BETA, COMMON, GAP, RARE, bandit, descents, ends, loss_and_slope, regularizers
from analysis.theory.on_policy import deviations, kl_slope, softmax, squared_loss_slope
from analysis.theory.population_links import LINKS
from analysis.theory.six_losses import SIX, TAIL_ORDER
from simulator.objectives.losses.gpo import LOSSES


@pytest.fixture(scope="module")
def paths() -> pd.DataFrame:
    return descents()


@pytest.mark.parametrize("loss", GPO_LOSSES)
def test_the_six_are_those_that_are_trained(loss: str) -> None:
    z = torch.linspace(-4, 4, 33, dtype=torch.float64).requires_grad_()
    value = LOSSES[loss](z)
    (slope,) = torch.autograd.grad(value.sum(), z)
    away = np.abs(z.detach().numpy() - 1) > 1e-9  # from the kink of hinge
    np.testing.assert_allclose(SIX[loss].f(z.detach().numpy()), value.detach().numpy(), atol=1e-14)
    np.testing.assert_allclose(SIX[loss].slope(z.detach().numpy())[away], slope.numpy()[away], atol=1e-14)
    step = 1e-4
    bend = np.diff(SIX[loss].slope(np.array([-step, step])))[0] / (2 * step)
    assert SIX[loss].kappa == pytest.approx(bend / abs(SIX[loss].slope(np.array(0.0))), abs=1e-6)


def test_the_order_of_tails_is_that_of_the_push_that_is_left() -> None:
    """Of all pairs, where u is large; where both have none, of the push up to there."""
    for stricter, looser in itertools.combinations(TAIL_ORDER, 2):
        for u in (1.2, 2.0, 4.0):
            less, more = (float(SIX[loss].push(np.array(u))) for loss in (stricter, looser))
            inside = [float(SIX[loss].push(np.linspace(0, 1, 1001)).mean()) for loss in (stricter, looser)]
            assert less < more or (less == more == 0 and inside[0] < inside[1])
    u = np.linspace(0.0, 3.0, 7)
    x = np.exp(2 * u)
    closed = {"savage": 8 * x / (1 + x) ** 3, "logistic": 2 / (1 + x), "exponential": np.exp(-u), "squared": 1 - u}
    for loss, push in closed.items():
        np.testing.assert_allclose(SIX[loss].push(u), push, atol=1e-14)


def test_descent_in_the_bandit_ends_at_the_population_link(paths: pd.DataFrame) -> None:
    """With the margin link / beta everything is known: two kinds of responses, of probability q and 1 - q under mu."""
    last = ends(paths).set_index(["best", "loss"])
    for (q, loss), found in last.iterrows():
        rho = float(LINKS[loss](np.array(GAP))) / BETA
        p = 1 / (1 + (1 - q) / q * math.exp(-rho))
        assert found["squared"] == pytest.approx(q * (1 - q) * rho**2, rel=1e-4)
        assert found["kl"] == pytest.approx(p * math.log(p / q) + (1 - p) * math.log((1 - p) / (1 - q)), rel=1e-4)
    assert last.loc[RARE, "ratio"].min() > 2
    assert last.loc[COMMON, "ratio"].max() < 0.5


def test_near_the_reference_kl_is_half_of_the_squared_loss() -> None:
    made = bandit(0.3)
    s = 1e-3 * np.random.default_rng(0).normal(size=len(made.gold))
    s -= math.log(np.exp(s) @ np.exp(made.log_reference))
    squared, kl = regularizers(s, made)
    assert kl == pytest.approx(squared / 2, rel=1e-2)


@pytest.mark.parametrize("loss", GPO_LOSSES)
def test_the_gradient_in_the_bandit_is_that_of_its_loss(loss: str) -> None:
    made, moved, step = bandit(0.2), np.random.default_rng(1).normal(size=20), 1e-6
    _, slope = loss_and_slope(moved, made, SIX[loss], 0.7)
    shifted = [
        [loss_and_slope(moved + sign * step * one, made, SIX[loss], 0.7)[0] for sign in (1, -1)] for one in np.eye(20)
    ]
    np.testing.assert_allclose(slope, [(up - down) / (2 * step) for up, down in shifted], atol=1e-8)


def test_both_gradients_on_own_pairs_are_the_closed_form_and_that_of_autograd() -> None:
    rng = np.random.default_rng(2)
    logits, reference = rng.normal(size=(2, 7))
    policy = softmax(logits)
    s = np.log(policy) - np.log(softmax(reference))
    closed = policy * (s - policy @ s)
    np.testing.assert_allclose(kl_slope(logits, reference), closed, atol=1e-14)
    np.testing.assert_allclose(squared_loss_slope(logits, reference, policy), 2 * closed, atol=1e-14)
    theta = torch.tensor(logits, requires_grad=True)
    log_ratio = torch.log_softmax(theta, 0) - torch.log_softmax(torch.tensor(reference), 0)
    rho, fixed = log_ratio[:, None] - log_ratio, torch.tensor(policy)
    (slope,) = torch.autograd.grad((fixed[:, None] * fixed * rho**2 / 2).sum(), theta)
    np.testing.assert_allclose(slope.numpy(), 2 * closed, atol=1e-14)


def test_the_identity_holds_on_own_pairs_alone() -> None:
    found = deviations()
    assert found.on_policy.max() < 1e-12
    assert found.from_reference.min() > 0.01
    assert len(found.on_policy) == len(found.from_reference) == 100


def test_the_figure_of_the_bandit_says_what_its_paths_do(paths: pd.DataFrame) -> None:
    drawn = figure.draw(paths)
    assert drawn.title.startswith("KL ends at 9.2 to 17 times half of the squared loss where the best response is rare")
    assert [label for _, table in drawn.drawn for label in table["line"].unique()] == [
        "best response in 1 % of draws",
        "best response in 50 % of draws",
        "KL = half",
    ]
    assert [names for names, *_ in figure.groups(ends(paths).query("best == 0.01"))] == [
        ["logistic (DPO)", "savage"],
        ["hinge (SLiC)", "exponential"],
        ["squared (IPO)", "truncated quadratic"],
    ]
