"""Standard errors against planted truth: intervals that hold it as often as they say."""

import numpy as np
import pytest
import torch

from simulator.measurement.estimators import (
    cluster_mean,
    implicit_reward,
    placement,
    reweighted,
    sum_of_means,
    win_probability,
)

REPEATS = 2000


def coverage(estimate, truth: float) -> float:
    """The share of 95 % intervals that hold the truth."""
    return ((estimate.mean - truth).abs() < 1.96 * estimate.error).double().mean().item()


@pytest.mark.parametrize(("world", "measured"), [(40, 40), (60, 40), (100_000, 40)])
def test_intervals_hold_the_mean_over_all_prompts(world: int, measured: int) -> None:
    """Prompts differ as much as responses do; where all of them are measured only the latter are chance."""
    rng = np.random.default_rng(world)
    at_prompt = rng.normal(size=world)
    which = (
        np.argsort(rng.random((REPEATS, world)), axis=1)[:, :measured]
        if world < 1000
        else rng.integers(world, size=(REPEATS, measured))
    )
    values = torch.from_numpy(at_prompt[which][..., None] + rng.normal(size=(REPEATS, measured, 4)))
    share = measured / world
    assert 0.93 < coverage(cluster_mean(values, share=share), at_prompt.mean()) < 0.97
    if share == 1:
        assert coverage(cluster_mean(values, share=0.0), at_prompt.mean()) > 0.99  # clusters that are no chance


def test_by_hand() -> None:
    values = torch.tensor([[[1.0, 3.0], [2.0, 6.0]]], dtype=torch.float64)
    mean, error = cluster_mean(values, share=1.0)
    assert mean.item() == 3
    assert error.item() ** 2 == pytest.approx((2 / 2 + 8 / 2) / 4)
    half = cluster_mean(values, share=0.5)
    assert half.error.item() ** 2 == pytest.approx(0.5 * 2 / 2 + 0.5 * 2.5 / 2)
    with_second = sum_of_means([values, torch.tensor([[[1.0, 1.0, 4.0], [0.0, 0.0, 0.0]]])], share=1.0)
    assert with_second.mean.item() == 4
    assert with_second.error.item() ** 2 == pytest.approx((1 + 4 + 3 / 3) / 4)


def test_the_share_below_counts_ties_half() -> None:
    ordered = torch.tensor([[0.0, 1.0, 1.0, 2.0]])
    assert placement(ordered, torch.tensor([[-1.0, 0.0, 1.0, 1.5, 9.0]]))[0].tolist() == [0, 0.125, 0.5, 0.75, 1]


def test_the_win_rate_of_two_samples_is_covered() -> None:
    """Normal scores one apart: P(win) = Phi(1 / sqrt 2), whatever the sizes of the two samples."""
    generator = torch.Generator().manual_seed(0)
    scores = 1 + torch.randn(REPEATS, 6, 40, generator=generator, dtype=torch.float64)
    others = torch.randn(REPEATS, 6, 60, generator=generator, dtype=torch.float64)
    found = win_probability(scores, others, share=1.0)
    assert 0.93 < coverage(found, 0.7602499) < 0.97


def test_the_implicit_reward_is_covered() -> None:
    """s normal with mean -0.5 and deviation 2 under the reference, a KL of 3 with noise: (3 + 0.5) / 2."""
    generator = torch.Generator().manual_seed(1)
    kl = 3 + torch.randn(REPEATS, 8, 32, generator=generator, dtype=torch.float64)
    s = -0.5 + 2 * torch.randn(REPEATS, 8, 32, generator=generator, dtype=torch.float64)
    found = implicit_reward(kl, s, share=1.0, least=1e-5)
    assert 0.93 < coverage(found, 1.75) < 0.97
    nothing = implicit_reward(kl[:1] * 0, s[:1] * 1e-8, share=1.0, least=1e-5)
    assert (nothing.mean.item(), nothing.error.item()) == (0, 0)


@pytest.mark.parametrize("prompts", [1, 3, 64])
def test_a_run_has_the_same_bits_alone(prompts: int) -> None:
    values = torch.from_numpy(np.random.default_rng(prompts).normal(size=(9, prompts, 8)))
    for share in (0.3, 1.0) if prompts > 1 else (1.0,):
        together = sum_of_means([values, values**2], share=share)
        for row in range(9):
            alone = sum_of_means([values[row : row + 1], values[row : row + 1] ** 2], share=share)
            assert torch.equal(alone.error[0], together.error[row])
            assert torch.equal(alone.mean[0], together.mean[row])


def test_weighted_means_are_covered() -> None:
    """Draws of N(0, 1) with the weights of N(0.5, 1): the mean is 0.5, and so is the win rate over N(0.5, 1)."""
    rng = np.random.default_rng(0)
    inside = {"mean": 0, "win": 0}
    for _ in range(400):
        draws, others = (torch.from_numpy(rng.normal(size=(1, 6, 200))) for _ in range(2))
        weights = (0.5 * draws - 0.125).exp()
        mean = cluster_mean(reweighted(draws, weights), share=1.0)
        win = win_probability(draws, others + 0.5, share=1.0, weights=weights)
        inside["mean"] += bool((mean.mean - 0.5).abs() < 1.96 * mean.error)
        inside["win"] += bool((win.mean - 0.5).abs() < 1.96 * win.error)
    assert all(0.92 < count / 400 < 0.98 for count in inside.values()), inside
