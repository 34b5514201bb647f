"""Policies of a given KL along a direction.

For scores s(x, y), the policies pi ∝ pi_ref exp(c s), c >= 0, begin at the reference, and their KL grows with c:
d KL / dc = c E_x Var_pi(s). So any two directions can be compared at one KL. Along s = gold they are the oracle
frontier; along s = log pi - log pi_ref they pass through pi, at c = 1 (Liu et al. 2024, arXiv:2402.02992, as DeRa).

Shapes: P prompts, G responses, K budgets of KL.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

STEPS = 200
CLOSE = 1e-11  # nats, relative to the budget
ROUNDING = 1e-13  # of a direction that is the same for all responses


def tilted(log_reference: Tensor, direction: Tensor, strength: float) -> tuple[Tensor, float, float]:
    """log pi [P, G] at one strength, its KL in nats, and the derivative of KL by the strength."""
    log_probs = torch.log_softmax(log_reference + strength * direction, dim=-1)
    law = log_probs.exp()
    mean = (law * direction).sum(dim=-1, keepdim=True)
    variance = (law * (direction - mean).square()).sum(dim=-1).mean()
    kl = (law * (log_probs - log_reference)).sum(dim=-1).mean()
    return log_probs, float(kl), strength * float(variance)


def at_kl(log_reference: Tensor, direction: Tensor, budget: float) -> Tensor:
    """log pi [P, G] along `direction` [P, G] with KL = `budget` nats, or as near as it comes.

    A direction that has no policy of so large a KL gives the last one that can be told from its limit.
    """
    return tilted(log_reference, direction, strength_at(log_reference, direction, budget))[0]


def strength_at(log_reference: Tensor, direction: Tensor, budget: float) -> float:
    """The strength c with KL = `budget`: Newton's method on log c, kept inside a bracket."""
    probability = log_reference.exp()
    centred = direction - (probability * direction).sum(dim=-1, keepdim=True)
    spread = float((probability * centred.square()).sum(dim=-1).mean().sqrt())
    if budget <= 0 or spread <= ROUNDING * float(direction.abs().max()):
        return 0.0
    low, high = -np.inf, np.log(1e9 / spread)
    if tilted(log_reference, direction, float(np.exp(high)))[1] <= budget:
        return float(np.exp(high))
    at = min(0.5 * np.log(2 * budget) - np.log(spread), high)
    for _ in range(STEPS):
        _, kl, slope = tilted(log_reference, direction, float(np.exp(at)))
        if abs(kl - budget) <= CLOSE * budget:
            break
        low, high = (at, high) if kl < budget else (low, at)
        step = (np.log(budget) - np.log(kl)) * kl / (slope * np.exp(at)) if kl > 0 and slope > 1e-200 else np.inf
        wanted = at + step
        if not low < wanted < high:
            wanted = (low + high) / 2 if np.isfinite(low) else high - 2.0
        if wanted == at:
            break
        at = wanted
    return float(np.exp(at))


def gold_at(log_reference: Tensor, direction: Tensor, gold: Tensor, budgets: Sequence[float]) -> list[float]:
    """Gold, as a mean over prompts, of the policies along `direction` at each budget."""
    laws = [at_kl(log_reference, direction, budget).exp() for budget in budgets]
    return [float((law * gold).sum(dim=-1).mean()) for law in laws]
