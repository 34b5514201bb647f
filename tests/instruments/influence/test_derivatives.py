"""Derivatives at a policy, against finite differences and optima that are solved again."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.special import expit

from simulator.instruments.influence.derivatives import (
    damping_of,
    gold_gradient,
    influence,
    margins_and_jacobian,
    slopes,
    solved,
)
from simulator.instruments.influence.retraining import Site, trained
from simulator.networks.listing.response_list import ResponseList
from tests.instruments.influence.conftest import MakeSite

Array = np.ndarray
Derivatives = Callable[[Array], tuple[Array, Array]]
FEATURES = 3  # of "tokens"; what is behind them in a row of parameters is 0
LOOKED_AT = 12  # pairs
LOSSES: dict[str, Derivatives] = {  # f' and f''
    "squared": lambda z: (2 * (z - 1), np.full_like(z, 2.0)),
    "logistic": lambda z: (-expit(-z), expit(z) * expit(-z)),
}


def optimum(x: Array, weight: Array, derivatives: Derivatives) -> Array:
    """The least of Σ w_i f(x_i θ), by Newton's method."""
    used = x[:, :FEATURES]
    theta = np.zeros(FEATURES)
    for _ in range(12):
        first, second = derivatives(used @ theta)
        theta = theta - np.linalg.pinv((used.T * (weight * second)) @ used) @ (used.T @ (weight * first))
    return np.pad(theta, (0, x.shape[1] - FEATURES))


def gold_of(site: Site, theta: Array) -> float:
    """Of a linear policy."""
    laws = site.world.policy_class.laws(torch.from_numpy(theta)[None])[0].exp().numpy()
    return float((laws * site.world.listing.gold).sum(axis=1).mean())


@pytest.mark.parametrize("loss", LOSSES)
def test_influence_is_the_derivative_of_gold_by_the_weight_of_a_pair(loss: str, make_site: MakeSite) -> None:
    site = make_site(f'sweep.loss=["{loss}"]', "data.label_noise=0.3")
    start = site.world.policy_class.start
    x = site.run.beta * margins_and_jacobian(site.world, site.pairs, start)[1].numpy()
    theta = optimum(x, np.ones(site.count), LOSSES[loss])
    slope = slopes(site.run, site.world, site.pairs, torch.from_numpy(theta))
    found = influence(slope, gold_gradient(site.world, torch.from_numpy(theta)), 1e-10).numpy()
    exact, small = np.empty(LOOKED_AT), 1e-4
    for pair in range(LOOKED_AT):
        more, less = np.ones(site.count), np.ones(site.count)
        more[pair], less[pair] = 1 + small, 1 - small
        golds = [gold_of(site, optimum(x, weight, LOSSES[loss])) for weight in (more, less)]
        exact[pair] = (golds[0] - golds[1]) / (2 * small)
    np.testing.assert_allclose(found[:LOOKED_AT], exact, rtol=1e-3, atol=1e-6)
    assert np.abs(exact).max() > 1e-3


def margins_by_law(site: Site, parameters: torch.Tensor) -> Array:
    """ρ [N] from the laws of all responses."""
    listed: ResponseList = site.world.response_list
    ratio = (site.world.policy_class.laws(parameters[None])[0] - site.world.reference_log_probs).numpy()
    number = listed.number(site.pairs.responses).numpy()
    said = ratio[site.pairs.prompt.numpy()[:, None], number]
    return said[:, 0] - said[:, 1]


@pytest.mark.parametrize("kind", ["linear", "transformer"])
def test_the_jacobian_is_that_of_margins(kind: str, make_site: MakeSite, rng: np.random.Generator) -> None:
    site = make_site("train.steps=60", kind=kind)
    policy = trained(site, torch.zeros(1, site.count, dtype=torch.bool), [1])[0]
    margins, jacobian = margins_and_jacobian(site.world, site.pairs, policy)
    np.testing.assert_allclose(margins.numpy(), margins_by_law(site, policy), atol=1e-5)
    way = torch.from_numpy(rng.normal(size=len(policy)).astype(np.float32))
    far = 1e-4
    change = (margins_by_law(site, policy + far * way) - margins_by_law(site, policy - far * way)) / (2 * far)
    np.testing.assert_allclose((jacobian @ way.double()).numpy(), change, atol=0.02 * np.abs(change).max())


@pytest.mark.parametrize("kind", ["linear", "transformer"])
def test_the_gradient_of_gold_is_that_of_gold(kind: str, make_site: MakeSite, rng: np.random.Generator) -> None:
    site = make_site("train.steps=60", kind=kind)
    policy = trained(site, torch.zeros(1, site.count, dtype=torch.bool), [1])[0]
    gradient = gold_gradient(site.world, policy)
    way = (gradient / gradient.norm()).float()
    far = 1e-4

    def gold_at(place: float) -> float:
        law = site.world.policy_class.laws((policy + place * way)[None])[0].exp().numpy()
        return float((law * site.world.listing.gold).sum(axis=1).mean())

    assert (gold_at(far) - gold_at(-far)) / (2 * far) == pytest.approx(float(gradient.norm()), rel=0.02)


@pytest.mark.parametrize(("rows", "columns"), [(5, 12), (12, 5)])
def test_both_gram_matrices_solve_the_same(rows: int, columns: int, rng: np.random.Generator) -> None:
    roots, vector = torch.from_numpy(rng.normal(size=(rows, columns))), torch.from_numpy(rng.normal(size=columns))
    whole = roots.T @ roots + 0.3 * torch.eye(columns, dtype=torch.float64)
    torch.testing.assert_close(whole @ solved(roots, 0.3, vector), vector)


def test_damping_is_a_tenth_of_the_mean_of_the_diagonal_that_is_used() -> None:
    roots = torch.tensor([[1.0, 3.0, 0.0], [1.0, 1.0, 0.0]], dtype=torch.float64)
    assert damping_of(roots) == pytest.approx(0.1 * (2 + 10) / 2)
    assert damping_of(torch.zeros(2, 3, dtype=torch.float64)) == 1.0
