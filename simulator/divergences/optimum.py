"""The policy that maximizes E_π r - τ D(π ‖ π_ref) at each prompt, exactly, for any D of this folder.

Where responses are listed it is π = π_ref u with φ(u) = (r - λ)/τ, and u = 0 where φ never goes so low; λ is the one
number of a prompt for which π has mass 1. With q = top - φ(u) the depth of a link, and q = x + (max r - r)/τ, that
number is x, the depth of the best response. The mass falls in x, and is convex in it for every D here. It is at least 1

    at the x for which one response alone has probability 1, whichever it is,
    and at the x for which the mean depth is that of u = 1 (Jensen's inequality),

and at most 1 where the best response has u = 1. From the larger of the first two Newton's method on log mass climbs.
Halving takes over where it would leave what brackets the root, or where a step is more than half of the one before the
last: else it can go to and fro between two points for ever. Shapes: Q temperatures, P prompts, G responses.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulator.common.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor

    from simulator.divergences.divergence import Divergence

STEPS = 200  # of the search for a root; about ten are needed
CLOSE = 1e-13  # of the mass to 1, before what is left is divided out
AT_ONCE = 2**14  # numbers that are solved for together: larger tensors are slower, each a fresh piece of memory
FARTHEST = 1e-9  # of the mass to 1, where the search ends without


class RootError(ArithmeticError):
    """No multiplier was found for which a policy has mass 1."""


def optimum(divergence: Divergence, reference: Tensor, reward: Tensor, temperature: Tensor) -> Tensor:
    """log π of the optimal policies, float64 [Q, P, G]; -inf where π is 0, NaN at a prompt with such a reward.

    reference: log π_ref, [P, G]. reward: [P, G], in any unit. temperature: τ, [Q], in the unit of reward. Raises
    RootError.
    """
    log_reference, scores = reference.double(), reward.double()
    gap = scores.amax(dim=-1, keepdim=True) - scores
    size = max(1, AT_ONCE // gap.shape[1])
    parts = list(zip(log_reference.split(size), gap.split(size), strict=True))
    return torch.stack([torch.cat([law(divergence, *part, tau) for part in parts]) for tau in temperature.double()])


def law(divergence: Divergence, log_reference: Tensor, gap: Tensor, temperature: Tensor) -> Tensor:
    """log π at one temperature, [P, G], from log π_ref and how much less the reward is than the best, [P, G]."""
    ratio, mass = log_ratios(divergence, log_reference, gap / temperature)
    return log_reference + ratio - mass.log()


def log_ratios(divergence: Divergence, log_reference: Tensor, gap: Tensor) -> tuple[Tensor, Tensor]:
    """log π/π_ref [P, G] up to the rounding of its mass [P, 1], from log π_ref and (max r - r)/τ, [P, G]."""
    reference = log_reference.exp()
    highest = divergence.depth(torch.zeros_like(gap[..., :1]))
    alone = (divergence.depth(-log_reference) - gap).amax(dim=-1, keepdim=True)
    low = torch.maximum(alone, highest - (reference * gap).sum(dim=-1, keepdim=True)).minimum(highest)
    high, x = highest, low
    last = before = high - low
    for _ in range(STEPS):
        ratio = divergence.log_ratio(x + gap)
        u = ratio.exp()
        mass = (reference * u).sum(dim=-1, keepdim=True)
        low, high = torch.where(mass >= 1, x, low), torch.where(mass <= 1, x, high)
        slope = (reference * divergence.rise(u)).sum(dim=-1, keepdim=True)
        step = x + mass * mass.log() / slope
        nearer = (step > low) & (step < high) & ((step - x).abs() <= before / 2)
        step = torch.where(nearer, step, (low + high) / 2)
        before, last = last, (step - x).abs()
        done = ((mass - 1).abs() <= CLOSE) | (step == x) | mass.isnan()
        if done.all():
            break
        x = torch.where(done, x, step)
    worst = float((mass - 1).abs().nan_to_num(nan=0.0).max())
    if worst > FARTHEST:
        raise RootError(f"the best policy under {divergence.label} has mass 1 within {worst:.1g}, not {FARTHEST:g}")
    return ratio, mass
