"""The α-divergences of f-DPO, 0 < α < 1: from KL(π ‖ π_ref), where α goes to 0, to KL(π_ref ‖ π), where it goes to 1.

Wang et al. 2023, arXiv:2309.16240. TRL's `f_alpha_divergence_coef` is 1 - α.
"""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING

from simulator.common.lazy import torch
from simulator.divergences.divergence import Divergence, bounded_exp

if TYPE_CHECKING:
    from torch import Tensor

LEAST, MOST, USUAL = 0.01, 0.99, 0.5


def generator(u: Tensor, alpha: float) -> Tensor:
    """(u^(1-α) - (1-α) u - α) / (α (α - 1))."""
    return (u ** (1 - alpha) - (1 - alpha) * u - alpha) / (alpha * (alpha - 1))


def link(s: Tensor, alpha: float) -> Tensor:
    """(1 - u^-α) / α, from log u."""
    return (1 - bounded_exp(-alpha * s)) / alpha


def depth(s: Tensor, alpha: float) -> Tensor:
    """u^-α / α below the top, which is 1/α."""
    return torch.exp(-alpha * s) / alpha


def log_ratio(q: Tensor, alpha: float) -> Tensor:
    """-log(α q) / α."""
    return -(torch.log(q) + math.log(alpha)) / alpha


def rise(u: Tensor, alpha: float) -> Tensor:
    """1/f'' = u^(1+α)."""
    return u ** (1 + alpha)


def at(alpha: float) -> Divergence:
    """The one of this α."""
    return Divergence(
        name="alpha",
        label=f"α-divergence, α = {alpha:g}",
        formula="(u^(1-α) - (1-α) u - α) / (α (α - 1))",
        source="Wang et al. 2023, arXiv:2309.16240, Table 1",
        generator=partial(generator, alpha=alpha),
        link=partial(link, alpha=alpha),
        depth=partial(depth, alpha=alpha),
        log_ratio=partial(log_ratio, alpha=alpha),
        rise=partial(rise, alpha=alpha),
        at=at,
    )


DIVERGENCE = at(USUAL)
