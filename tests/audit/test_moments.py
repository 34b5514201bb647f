"""Expectations and variances against the enumeration of every group, on scores that are drawn at random."""

import itertools

import pytest
import torch

from simulator.audit.moments import Moments, of_pairs, of_singles, over_prompts
from simulator.audit.scores import Scores

RESPONSES, LENGTH, PARAMETERS = 5, 2, 3


def made_up(seed: int) -> tuple[Scores, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Scores, a law, returns and weights, all at random: scores need no mean of 0."""
    generator = torch.Generator().manual_seed(seed)

    def drawn(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    tokens = torch.cat([drawn(7, PARAMETERS), torch.zeros(1, PARAMETERS, dtype=torch.float64)])
    path = torch.randint(8, (RESPONSES, LENGTH), generator=generator)
    each = tokens[path]
    scores = Scores(
        tokens=tokens, path=path, log_probs=torch.zeros(RESPONSES, LENGTH), gram=each @ each.transpose(1, 2)
    )
    return scores, drawn(RESPONSES).softmax(dim=0), drawn(RESPONSES), drawn(RESPONSES, LENGTH)


def enumerated(law: torch.Tensor, estimates: dict[tuple[int, ...], torch.Tensor]) -> Moments:
    """The moments of estimates of every group, which have the probability of their responses."""
    weights = torch.stack([law[list(group)].prod() for group in estimates])
    values = torch.stack(list(estimates.values()))
    mean = weights @ values
    return Moments(mean=mean, variance=float(weights @ (values - mean).square().sum(dim=1)))


@pytest.mark.parametrize("group", [2, 3, 4])
def test_moments_against_every_group(group: int) -> None:
    scores, law, returns, weights = made_up(group)
    added = (scores.tokens[scores.path] * weights.unsqueeze(-1)).sum(dim=1)
    groups = list(itertools.product(range(RESPONSES), repeat=group))
    singles = enumerated(law, {each: added[list(each)].mean(dim=0) for each in groups})
    found = of_singles(scores, law, weights, group)
    assert torch.allclose(found.mean, singles.mean)
    assert found.variance == pytest.approx(singles.variance)
    left_out = {}
    for each in groups:
        mine = returns[list(each)]
        others = (mine.sum() - mine) / (group - 1)
        left_out[each] = ((mine - others)[:, None] * added[list(each)]).mean(dim=0)
    pairs = enumerated(law, left_out)
    found = of_pairs(scores, law, returns, weights, group)
    assert torch.allclose(found.mean, pairs.mean)
    assert found.variance == pytest.approx(pairs.variance)


def test_prompts_are_averaged() -> None:
    each = [Moments(mean=torch.tensor([1.0, 0.0]), variance=2.0), Moments(mean=torch.tensor([3.0, 4.0]), variance=6.0)]
    found = over_prompts(each)
    assert found.mean.tolist() == [2.0, 2.0]
    assert found.variance == 2.0
