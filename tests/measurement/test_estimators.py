"""Standard errors against planted truth: intervals that hold it as often as they say."""

import numpy as np
import pytest
import torch

from simulator.measurement.estimators import cluster_mean, implicit_reward, placement, sum_of_means, win_probability

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
