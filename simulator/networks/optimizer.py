"""Adam and AdamW over a stack of runs, each row of parameters with settings of its own.

Shapes: R runs, D parameters of one run. Adam: Kingma & Ba 2015, arXiv:1412.6980, Alg. 1; decoupled weight
decay: Loshchilov & Hutter 2019, arXiv:1711.05101, Alg. 2; clipping by the global norm of one run's
gradient: Pascanu et al. 2013, arXiv:1211.5063.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from simulator.native import calls
from simulator.networks import fused

FIRST_DECAY, SECOND_DECAY, EPSILON = 0.9, 0.999, 1e-8
LARGEST = 1e18


@dataclass(frozen=True, kw_only=True)
class Adam:
    """Running moments of the gradient, [R, D] each, updated in place."""

    first: Tensor
    second: Tensor


def start_adam(parameters: Tensor) -> Adam:
    """The moments before the first step: zero."""
    return Adam(first=torch.zeros_like(parameters), second=torch.zeros_like(parameters))


def clip_rows(gradient: Tensor, limit: Tensor) -> Tensor:
    """Scale each row of [R, D] down to at most the Euclidean norm `limit` [R, 1]; a limit of inf leaves it.

    The norm is taken in float64, where no square of a float32 overflows.
    """
    norm = torch.linalg.vector_norm(gradient, dim=1, keepdim=True, dtype=torch.float64)
    scale = torch.where(limit.isinf(), 1.0, limit / (norm + 1e-6)).clamp_(max=1.0)
    return gradient.mul_(scale.to(gradient.dtype))


def bias_corrections(step: int) -> tuple[float, float]:
    """At a step, from 1: the share of the gradient's mean that its moment has, and what spreads are multiplied by."""
    return 1 - FIRST_DECAY**step, 1 / math.sqrt(1 - SECOND_DECAY**step)


def corrections_on(device: torch.device, step: int) -> tuple[float | Tensor, float | Tensor]:
    """`bias_corrections`, on a GPU as numbers of its own: it divides by those of the processor in another way."""
    found = bias_corrections(step)
    return found if device.type == "cpu" else torch.tensor(found, dtype=torch.float32, device=device).split(1)


def adam_step(
    parameters: Tensor,
    gradient: Tensor,
    state: Adam,
    *,
    corrections: tuple[float | Tensor, float | Tensor],
    rate: Tensor,
    weight_decay: float,
) -> None:
    """Update `parameters` [R, D] and `state` in place. corrections: `bias_corrections` of this step; rate [R, 1].

    A number of the gradient beyond LARGEST counts as that, since its square would overflow in float32.
    """
    share, scale = corrections
    gradient = gradient.clamp(-LARGEST, LARGEST)
    state.first.lerp_(gradient, 1 - FIRST_DECAY)
    state.second.mul_(SECOND_DECAY).addcmul_(gradient, gradient, value=1 - SECOND_DECAY)
    spread = state.second.sqrt().mul_(scale).add_(EPSILON)
    if weight_decay:
        parameters.mul_(1 - weight_decay * rate)
    parameters.sub_(state.first.div(spread).mul_(rate / share))


def clipped_adam_step(
    parameters: Tensor,
    gradient: Tensor,
    state: Adam,
    *,
    step: int,
    rate: Tensor,
    limit: Tensor,
    weight_decay: float,
) -> None:
    """`clip_rows` to `limit` [R, 1] and `adam_step`, by the compiled engine where that computes."""
    if fused.updates(parameters):
        calls.adam(
            parameters,
            gradient.contiguous(),
            state.first,
            state.second,
            rate=rate.contiguous(),
            limit=limit.contiguous(),
            step=step,
            weight_decay=weight_decay,
        )
    else:
        clipped, corrections = clip_rows(gradient, limit), corrections_on(parameters.device, step)
        adam_step(parameters, clipped, state, corrections=corrections, rate=rate, weight_decay=weight_decay)


def learning_rate_factor(step: int, *, steps: int, warmup: int, schedule: str) -> float:
    """The share of the peak learning rate at `step` (from 1): a linear rise over `warmup` steps, then
    `constant`, `linear` or `cosine` (half a cosine), which would be 0 at the step after the last.

    Every step has a share above 0; the first after the warm-up has all.
    """
    if step <= warmup:
        return step / warmup
    passed = (step - warmup - 1) / max(steps - warmup, 1)
    if schedule == "linear":
        return 1 - passed
    if schedule == "cosine":
        return 0.5 * (1 + math.cos(math.pi * passed))
    return 1.0
