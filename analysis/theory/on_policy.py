"""Where offline regularization is KL: on pairs that the policy draws itself.

With pairs y, y' ~ pi, whose draw the gradient does not go through, and rho = s(y) - s(y'), s = log pi / pi_ref,

    grad E_(y, y' ~ pi, stopped) [ 1/2 rho^2 ] = 2 grad KL(pi || pi_ref)        at every pi

(Tang et al. 2024, arXiv:2402.05749, Sec. 4). For a softmax policy on K responses both sides are 2 pi (s - E_pi s) in
its logits. Here they are computed apart, for random policies and references: the left side as the sum over all K^2
pairs of pi(y) pi(y') rho times the gradient of rho, which is 1 in the logit of y and -1 in that of y'; the right side
as the derivative of KL along each logit by a complex step (Squire & Trapp 1998), which is exact to rounding. With pairs
from the reference instead, the left side is another vector.
"""

from dataclasses import dataclass

import numpy as np

POLICIES = 100
MOST_RESPONSES = 40
SPREAD = 1.5  # of logits, nats
TINY = 1e-30  # the complex step

Array = np.ndarray


@dataclass(frozen=True, kw_only=True)
class Deviations:
    """How far the two gradients are apart, as a share of the largest entry of 2 grad KL, for each policy.

    on_policy, from_reference: the law of the pairs, [POLICIES] each.
    """

    on_policy: Array
    from_reference: Array


def squared_loss_slope(logits: Array, reference: Array, law: Array) -> Array:
    """The gradient in logits [K] of 1/2 E rho^2 over pairs of a fixed law [K]; `reference` are its logits."""
    s = logits - reference  # up to a constant, of which rho is free
    pushed = law[:, None] * law * (s[:, None] - s)
    return np.asarray(pushed.sum(axis=1) - pushed.sum(axis=0))


def kl_slope(logits: Array, reference: Array) -> Array:
    """The gradient of KL(pi || pi_ref) in the logits of pi [K], by a complex step."""
    moved = logits + 1j * TINY * np.eye(len(logits))
    log_policy = moved - np.log(np.exp(moved).sum(axis=1, keepdims=True))
    log_reference = reference - np.log(np.exp(reference).sum())
    kl = (np.exp(log_policy) * (log_policy - log_reference)).sum(axis=1)
    return np.asarray(kl.imag / TINY)


def softmax(logits: Array) -> Array:
    """The probabilities of logits [K]."""
    weights = np.exp(logits - logits.max())
    return np.asarray(weights / weights.sum())


def deviations() -> Deviations:
    """The deviations for random policies, the same every time."""
    rng = np.random.default_rng(0)
    found: list[list[float]] = [[], []]
    for _ in range(POLICIES):
        logits, reference = SPREAD * rng.normal(size=(2, int(rng.integers(2, MOST_RESPONSES + 1))))
        right = 2 * kl_slope(logits, reference)
        for each, law in zip(found, (softmax(logits), softmax(reference)), strict=True):
            left = squared_loss_slope(logits, reference, law)
            each.append(float(np.abs(left - right).max() / np.abs(right).max()))
    return Deviations(on_policy=np.array(found[0]), from_reference=np.array(found[1]))
