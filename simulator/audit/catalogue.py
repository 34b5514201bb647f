"""The estimators that an audit looks at.

rho_t is log pi / pi_ref of a token and rho that of a response; R = r - tau rho is a response's return; s_t is the score
of a token, and s that of a response. What is written is the gradient of the objective, which grows, or of KL.
"""

import torch
from torch import Tensor

from simulator.audit.estimators import (
    Estimator,
    Pairs,
    Simulated,
    Singles,
    Table,
    along,
    best_constant,
    by_length,
    said,
)
from simulator.audit.place import Drawn, Place
from simulator.methods.algorithms.surrogates import LEAST_VARIANCE, group_standardized, k2, k3, returns_to_go

KL, REVERSE, OBJECTIVE = "grad KL(pi || pi_ref)", "grad KL(pi_ref || pi)", "grad (E r - tau KL(pi || pi_ref))"


def returns(place: Place) -> Tensor:
    """R, [G]."""
    return place.returns


def k3_slope(ratio: Tensor) -> Tensor:
    """What a gradient of k3 has in front of the score: 1 - exp(-rho)."""
    return -torch.expm1(-ratio)


Row = tuple[str, str, Table, str]  # name, target, weights, about


def in_loss() -> list[Row]:
    """Estimates of KL of which the gradient is taken.

    Those of tokens leave out what Tang & Munos 2025 say, arXiv:2506.09477, "On a few pitfalls in KL divergence gradient
    estimation for RL".
    """
    return [
        ("k1 in the loss", KL, along(lambda one: torch.ones_like(one.ratio)), "grad rho = s: its mean is 0"),
        ("k2 in the loss", KL, along(lambda one: one.ratio), "grad rho^2 / 2 = rho s, of whole responses"),
        (
            "k3 in the loss",
            KL,
            along(lambda one: k3_slope(one.ratio)),
            "grad (exp(-rho) - 1 + rho) = (1 - exp(-rho)) s",
        ),
        (
            "k3 in the loss, as reverse KL",
            REVERSE,
            along(lambda one: k3_slope(one.ratio)),
            "the same, compared with the gradient of the reverse KL, which is its mean",
        ),
        (
            "k2 in the loss, by token",
            KL,
            lambda one: one.log_ratio,
            "the sum of grad rho_t^2 / 2 = rho_t s_t, as trainers do: what a token does to later ones is left out",
        ),
        (
            "k3 in the loss, by token",
            KL,
            lambda one: k3_slope(one.log_ratio) * one.said,
            "the sum of (1 - exp(-rho_t)) s_t, as in GRPO: the reverse KL of each token, later ones left out",
        ),
    ]


def in_reward() -> list[Row]:
    """Estimates of KL that multiply the score."""
    return [
        (
            "k1 in the reward",
            KL,
            along(lambda one: one.ratio),
            "rho s, no gradient taken of rho: that of k2 in the loss",
        ),
        (
            "k1 in the reward, to go",
            KL,
            lambda one: one.to_go(one.log_ratio),
            "s_t times the sum of rho from t on: what came before a token is not charged to it",
        ),
        (
            "k2 in the reward",
            KL,
            along(lambda one: k2(one.ratio)),
            "rho^2 / 2 s: near the reference its mean is of a higher order than the gradient of KL",
        ),
        (
            "k3 in the reward",
            KL,
            along(lambda one: k3(one.ratio)),
            "(exp(-rho) - 1 + rho) s: its mean is the gradient of KL less that of the reverse KL",
        ),
    ]


def of_kl() -> list[Estimator]:
    """Estimators of the gradient of the penalty alone."""
    found = [
        Estimator(part="kl", name=name, target=target, about=about, kind=Singles(table=table))
        for name, target, table, about in (*in_loss(), *in_reward())
    ]
    rloo = Pairs(returns=lambda one: one.ratio, table=said)
    about = "(rho - mean of the other rho) s"
    return [*found, Estimator(part="kl", name="k1 in the reward, RLOO", target=KL, about=about, kind=rloo)]


def with_group_deviation(drawn: Drawn, value: Tensor, length: Tensor) -> Tensor:
    """GRPO's advantage of returns [N, P, K] times a weight for each token [N, P, K, T]."""
    return group_standardized(value).unsqueeze(-1) * length / drawn.each


def as_published(drawn: Drawn) -> Tensor:
    """GRPO's weights: the advantage of r alone over the length, less tau times the gradient of k3 at each token."""
    length, ratio = drawn.of(by_length), drawn.of(lambda one: one.log_ratio)
    charged = drawn.places[0].penalty * k3_slope(ratio) * length / drawn.each
    return with_group_deviation(drawn, drawn.of(lambda one: one.reward), length) - charged


def normalized_over_batch(drawn: Drawn) -> Tensor:
    """REINFORCE++'s weights: standardized returns to go over the number of tokens of the batch."""
    tau, there = drawn.places[0].penalty, drawn.of(lambda one: one.said)
    left = returns_to_go(drawn.of(lambda one: one.reward), tau * drawn.of(lambda one: one.log_ratio)) * there
    count = there.sum(dim=(1, 2, 3), keepdim=True)
    centred = (left - left.sum(dim=(1, 2, 3), keepdim=True) / count) * there
    variance = centred.square().sum(dim=(1, 2, 3), keepdim=True) / count
    return centred * variance.clamp(min=LEAST_VARIANCE).rsqrt() / count


def to_go(place: Place) -> Tensor:
    """The return to go of each token, [G, T]."""
    return place.along(place.reward) - place.penalty * place.to_go(place.log_ratio)


def of_objective(*, ends: bool) -> list[Estimator]:
    """Estimators of the gradient of the objective. ends: whether responses have different lengths."""
    rloo = Pairs(returns=returns, table=said)
    rows = [
        ("REINFORCE", Singles(table=along(returns)), "R s, without a baseline"),
        (
            "REINFORCE, mean baseline",
            Singles(table=along(lambda one: one.returns - one.law @ one.returns)),
            "(R - E R) s: the exact mean at the prompt, which no batch knows",
        ),
        (
            "REINFORCE, best baseline",
            Singles(table=along(lambda one: one.returns - best_constant(one))),
            "(R - b) s with the b of least variance at the prompt",
        ),
        (
            "REINFORCE, to go",
            Singles(table=lambda one: to_go(one) - one.along(torch.ones_like(one.reward)) * (one.law @ one.returns)),
            "(R_t - E R) s_t, with the return to go of each token and the exact mean of R",
        ),
        ("RLOO", rloo, "(R - mean of the other R) s"),
        (
            "Dr. GRPO",
            Pairs(returns=returns, table=said, own=True),
            "(R - mean of the group's R) s: (K - 1) / K of RLOO",
        ),
        (
            "GRPO's deviation alone",
            Simulated(batch=lambda drawn: with_group_deviation(drawn, drawn.of(returns), drawn.of(said)), control=rloo),
            "(R - mean of the group's R) / their deviation, times s, without a division by the length",
        ),
        *(rows_of_lengths() if ends else ()),
        (
            "GRPO as published",
            Simulated(batch=as_published, control=Pairs(returns=returns, table=by_length, own=True)),
            "the advantage of r in the group's deviations, over the length; k3 in the loss, by token",
        ),
        (
            "REINFORCE++",
            Simulated(batch=normalized_over_batch, control=Singles(table=to_go)),
            "(R_t - mean) s_t in deviations of the tokens of the batch, over their number",
        ),
    ]
    return [
        Estimator(part="objective", name=name, target=OBJECTIVE, about=about, kind=kind) for name, kind, about in rows
    ]


def rows_of_lengths() -> list[tuple[str, Pairs, str]]:
    """What a division by the length does."""
    return [
        (
            "Dr. GRPO, by own length",
            Pairs(returns=returns, table=by_length, own=True),
            "(R - mean of the group's R) s / |y|: GRPO without its deviation; a long response counts less",
        ),
        (
            "Dr. GRPO, by longest length",
            Pairs(returns=returns, table=lambda one: said(one) / one.said.shape[1], own=True),
            "(R - mean of the group's R) s / T: shorter, and nothing else",
        ),
    ]


def of_reuse(reuse: int, clip: float) -> list[Estimator]:
    """Surrogates of PPO after so many steps on the same responses; their baseline is the exact mean."""

    def advantage(one: Place) -> Tensor:
        return one.returns - one.law @ one.returns

    def ratio(one: Place) -> Tensor:
        return (one.scores.log_probs - one.old_log_probs).exp() * one.said

    def clipped(one: Place) -> Tensor:
        better = one.along(advantage(one))
        u = ratio(one)
        flat = ((better > 0) & (u > 1 + clip)) | ((better < 0) & (u < 1 - clip))
        return (u * better).masked_fill(flat, 0.0)

    def whole(one: Place) -> Tensor:
        weight = (one.scores.log_probs - one.old_log_probs).sum(dim=-1).exp()
        return one.along(weight * advantage(one))

    rows = [
        ("ratio of the whole response", whole, "u A s with u = pi / pi_old of the response: what is left is old in R"),
        (
            "ratio of each token",
            lambda one: ratio(one) * one.along(advantage(one)),
            "u_t A s_t: earlier tokens left out",
        ),
        ("ratio of each token, clipped", clipped, "u_t A s_t, and 0 where PPO's clip holds the gain"),
    ]
    return [
        Estimator(part="reuse", name=name, target=OBJECTIVE, about=about, kind=Singles(table=table), reuse=reuse)
        for name, table, about in rows
    ]
