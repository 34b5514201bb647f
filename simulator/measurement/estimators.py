"""Means of samples with their standard errors, prompts as clusters.

Shapes: P prompts, m responses to each, any leading axes.

The estimand is the mean over all prompts of a world, each counted alike. Measured are n of its N prompts, drawn
without replacement, m independent responses to each. With f = n/N, s_b^2 the variance of the prompts' means and s_w^2
the mean variance within a prompt, the mean has the two-stage variance (Cochran 1977, Sampling Techniques, Sec. 10.3)

    (1 - f) s_b^2 / n + f s_w^2 / (n m).

Where every prompt is measured, only the responses are random, and the first term is gone; where prompts are a few of
very many, the second is, and responses to one prompt count as one cluster.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from simulator.native import library
from simulator.native.listed import placements


class Estimate(NamedTuple):
    """A mean and its standard error."""

    mean: Tensor
    error: Tensor


def cluster_mean(values: Tensor, *, share: float) -> Estimate:
    """The mean of `values` [..., P, m] with its error, [...] each. share: f, of all prompts."""
    return sum_of_means([values], share=share)


def sum_of_means(parts: list[Tensor], *, share: float) -> Estimate:
    """The sum of the means of independent samples [..., P, m_i] from the same prompts, with its error, [...] each.

    A statistic that is not a mean has the error of its influence function, which is one.
    """
    means = torch.stack([part.mean(dim=-1) for part in parts]).sum(dim=0)
    within = torch.stack([variance_of(part) / part.shape[-1] for part in parts]).sum(dim=0)
    prompts = means.shape[-1]
    variance = share * within.mean(dim=-1) / prompts
    if share < 1:
        variance = variance + (1 - share) * variance_of(means) / prompts
    return Estimate(means.mean(dim=-1), variance.sqrt())


def variance_of(values: Tensor) -> Tensor:
    """The variance of `values` [..., m] along the last axis, [...], of the same bits alone as beside others.

    torch sums one row in another order than several, so one row is taken twice.
    """
    if values.numel() != values.shape[-1]:
        return values.var(dim=-1)
    return torch.stack([values, values]).var(dim=-1)[0]


def reweighted(values: Tensor, weights: Tensor | None) -> Tensor:
    """Numbers whose plain mean and error over [..., m] are those of the mean of `values` by weights, as they are.

    They are the self-normalized mean, and its influence function: mean + w (value - mean) / mean w (Owen 2013, Monte
    Carlo theory, Sec. 9.2). Without weights they are the values.
    """
    if weights is None:
        return values
    relative = weights / weights.mean(dim=-1, keepdim=True)
    mean = (relative * values).mean(dim=-1, keepdim=True)
    return mean + relative * (values - mean)


def placement(ordered: Tensor, values: Tensor) -> Tensor:
    """The share of `ordered` [..., b], which rises, that lies below each of `values` [..., m], ties half; [..., m]."""
    ordered, values = ordered.contiguous(), values.contiguous()
    left, right = (torch.searchsorted(ordered, values, right=right) for right in (False, True))
    return (left + right).double() / (2 * ordered.shape[-1])


def weighted_placement(scores: Tensor, weights: Tensor | None, values: Tensor) -> Tensor:
    """The share by weight of `scores` [..., b] that lies below each of `values` [..., m], ties half; [..., m]."""
    ordered, order = scores.sort(dim=-1)
    if weights is None:
        return placement(ordered, values)
    ordered, values = ordered.contiguous(), values.contiguous()
    below = torch.nn.functional.pad(weights.gather(-1, order).cumsum(dim=-1), (1, 0))
    left, right = (below.gather(-1, torch.searchsorted(ordered, values, right=right)) for right in (False, True))
    return (left + right) / (2 * below[..., -1:])


def win_probability(
    scores: Tensor, others: Tensor, *, share: float, influence: Tensor | float = 0.0, weights: Tensor | None = None
) -> Estimate:
    """The probability that one of `scores` [R, P, m] is above one of `others` [R or 1, P, b]; ties half.

    Both are samples: the error is that of the two-sample rank statistic, from the placements of each sample in the
    other (DeLong, DeLong & Clarke-Pearson 1988). influence [R, P, b]: what else the others do to it, with mean 0.
    weights [R, P, m]: of the scores.
    """
    others = others.expand(len(scores), -1, -1)
    if weights is None and scores.device.type == "cpu" and library.in_use():
        wins, losses = placements(scores.contiguous(), others.contiguous())
    else:
        wins = reweighted(placement(others.sort(dim=-1).values, scores), weights)
        losses = weighted_placement(scores, weights, others)
    return sum_of_means([wins, losses.mean(dim=-1, keepdim=True) - losses + influence], share=share)


def implicit_reward(kl: Tensor, at_reference: Tensor, *, share: float, least: float) -> Estimate:
    """(E_pi s - E_ref s) / sd_ref(s) from KL [R, P, m] and s at responses of the reference, [R, P, m'].

    Its error is that of its influence function. Where the deviation of s is below `least`, the policy is the reference
    up to rounding, and the reward 0.
    """
    count = at_reference.shape[-1]
    spread = (at_reference - at_reference.mean(dim=-1, keepdim=True)).square() * (count / (count - 1))
    deviation = spread.mean(dim=(-2, -1)).sqrt()
    moved = deviation > least
    unit = torch.where(moved, deviation, 1.0)[:, None, None]
    value = kl.mean(dim=(-2, -1), keepdim=True) - at_reference.mean(dim=(-2, -1), keepdim=True)
    influence = -at_reference / unit - value / (2 * unit) * (spread / unit.square() - 1)
    mean, error = sum_of_means([kl / unit, influence], share=share)
    return Estimate(torch.where(moved, mean, 0.0), torch.where(moved, error, 0.0))
