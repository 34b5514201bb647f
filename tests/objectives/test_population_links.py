"""A tabular policy fitted to the whole population of Bradley-Terry labels reaches the links that theory derives."""

import numpy as np
import pytest
import torch
from scipy.special import expit

from simulator.objectives import OBJECTIVES
from simulator.objectives.stacked_losses import ObjectiveSlice, StackedPairs, pair_losses

GAPS = np.array([-2.5, -1.0, -0.3, 0.2, 0.7, 1.5, 2.0])  # gold of the first response less that of the second
LINKS = {
    "logistic": lambda gap: gap,
    "hinge": np.sign,
    "squared": lambda gap: np.tanh(gap / 2),
    "exponential": lambda gap: gap / 2,
    "truncated_quadratic": lambda gap: np.tanh(gap / 2),
    "savage": lambda gap: gap,
}


def given(pairs: torch.Tensor, scale: torch.Tensor) -> StackedPairs:
    return StackedPairs(policy=pairs, reference=torch.zeros_like(pairs), lengths=torch.ones_like(pairs), beta=scale)


def fit(loss: str, first_wins: torch.Tensor, beta: float, responses: torch.Tensor) -> torch.Tensor:
    """Log-ratios [P, G] of the policy that minimizes the expected loss over all pairs `responses` [N, 2].

    first_wins [P, N] is the probability that the first of a pair is chosen.
    """
    prompts, count = len(first_wins), int(responses.max()) + 1
    generator = torch.Generator().manual_seed(0)
    reference = torch.randn(prompts, count, dtype=torch.float64, generator=generator).log_softmax(dim=1)
    logits = reference.clone().requires_grad_()
    optimizer = torch.optim.Adam([logits], lr=0.05)
    scale = torch.full((prompts, 1), beta, dtype=torch.float64)
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.998)
    for _ in range(3000):
        ratio = logits.log_softmax(dim=1) - reference
        pairs = ratio[:, responses]
        parts = [ObjectiveSlice(objective=OBJECTIVES[loss], rows=prompts, hyperparameters={})]
        forward = pair_losses(given(pairs, scale), parts)
        backward = pair_losses(given(pairs.flip(-1), scale), parts)
        value = (first_wins * forward + (1 - first_wins) * backward).sum()
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        schedule.step()
    return (logits.log_softmax(dim=1) - reference).detach()


@pytest.mark.slow(but="squared")
@pytest.mark.parametrize("loss", LINKS)
def test_the_margin_reaches_the_link(loss: str) -> None:
    beta = 0.4
    wins = torch.from_numpy(expit(GAPS)).unsqueeze(1)
    ratio = fit(loss, wins, beta, torch.tensor([[0, 1]]))
    reached = beta * (ratio[:, 0] - ratio[:, 1]).numpy()
    assert reached == pytest.approx(LINKS[loss](GAPS), abs=5e-3)


@pytest.mark.slow(but="logistic-1.0")
@pytest.mark.parametrize(("loss", "share"), [("logistic", 1.0), ("savage", 1.0), ("exponential", 0.5)])
def test_additive_links_give_the_gibbs_policy(loss: str, share: float, rng: np.random.Generator) -> None:
    """Where the link is linear, the fit over all pairs is the Gibbs policy at temperature beta / share."""
    beta, gold = 0.5, rng.normal(size=5)
    pairs = torch.combinations(torch.arange(5))
    gap = gold[pairs[:, 0]] - gold[pairs[:, 1]]
    ratio = fit(loss, torch.from_numpy(expit(gap)).unsqueeze(0), beta, pairs)[0].numpy()
    assert ratio - ratio.mean() == pytest.approx(share / beta * (gold - gold.mean()), abs=5e-3)
