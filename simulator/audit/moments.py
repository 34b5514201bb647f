"""Expectation and variance of estimators, summed over all responses: no response is drawn.

Shapes: G responses of up to T tokens at a prompt, K of them drawn for a group, D parameters.

An estimator gives each token y_t of a response a weight w_t; what a response adds is v(y) = sum_t w_t s_t, with the
score s_t = grad log pi(y_t | before). Two kinds have exact moments.

A mean over the responses of a group, whose weights ask for nothing but the response itself:

    E = E v        tr Cov = (E |v|^2 - |E v|^2) / K

The mean of (R_k - mean of the other R) v_k, which is a U-statistic of order 2 with the kernel
h(y, z) = (R(y) - R(z)) (v(y) - v(z)) / 2 (Hoeffding 1948). With h_1(y) = E_z h(y, z),

    E = E R v - E R E v        tr Cov = (4 (K - 2) tr Cov h_1 + 2 tr Cov h) / (K (K - 1))

A group's own mean in place of the mean of the others is (K - 1) / K times that. Groups of different prompts are
independent, so the mean over P prompts has the mean expectation, and the sum of the variances over P^2.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from simulator.audit.scores import Scores


@dataclass(frozen=True, kw_only=True)
class Moments:
    """Of an estimator at one prompt: its expectation [D], and the trace of its covariance."""

    mean: Tensor
    variance: float


def of_singles(scores: Scores, law: Tensor, weights: Tensor, group: int) -> Moments:
    """Of the mean over a group of `group` responses from `law` [G], which have weights [G, T]."""
    mean = scores.sum_of(law[:, None] * weights)
    second = (law * scores.squares(weights)).sum()
    return Moments(mean=mean, variance=float(second - mean @ mean) / group)


def of_pairs(scores: Scores, law: Tensor, returns: Tensor, weights: Tensor, group: int) -> Moments:
    """Of the mean over a group of (R - mean of the other R) v, with R = `returns` [G] and v of weights [G, T]."""
    centred = returns - law @ returns
    squares = scores.squares(weights)

    def mean_with(values: Tensor) -> Tensor:
        return scores.sum_of((law * values)[:, None] * weights)

    plain, first, second = (mean_with(values) for values in (torch.ones_like(returns), centred, centred.square()))
    variance, spread = law @ centred.square(), law @ squares
    # h_1 = (R v - R E v + E R v) / 2 with centred R, whose last part is a constant
    inner = law @ (centred.square() * squares) - 2 * plain @ second + variance * (plain @ plain)
    one = (inner - first @ first) / 4
    both = 2 * (law @ (centred.square() * squares)) - 4 * plain @ second + 2 * variance * spread + 4 * first @ first
    two = both / 4 - first @ first
    of_mean = (4 * (group - 2) * one + 2 * two) / (group * (group - 1))
    return Moments(mean=first, variance=float(of_mean))


def scaled(moments: Moments, factor: float) -> Moments:
    """Of the estimator times a number."""
    return Moments(mean=factor * moments.mean, variance=factor**2 * moments.variance)


def over_prompts(each: list[Moments]) -> Moments:
    """Of the mean over prompts, whose groups are independent."""
    return Moments(
        mean=torch.stack([one.mean for one in each]).mean(dim=0),
        variance=sum(one.variance for one in each) / len(each) ** 2,
    )
