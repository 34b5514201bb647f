"""Half of χ²(π ‖ π_ref) = E_{π_ref} (u - 1)²: a reward far above the others buys little, so heavy tails do no harm.

The ½ is that of Huang et al. 2024, arXiv:2407.13399; the column of χ² has no ½. The optimum is π_ref max(0, 1 + (r -
λ)/τ): responses of low reward have no probability at all. Where that is so, a loss of links cannot meet its target.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulator.common.lazy import torch
from simulator.divergences.divergence import Divergence, bounded_exp

if TYPE_CHECKING:
    from torch import Tensor


def generator(u: Tensor) -> Tensor:
    """½ (u - 1)²."""
    return (u - 1).square() / 2


def link(s: Tensor) -> Tensor:
    """u - 1, from log u."""
    return bounded_exp(s) - 1


def depth(s: Tensor) -> Tensor:
    """1 - u: there is no top."""
    return -torch.expm1(s)


def log_ratio(q: Tensor) -> Tensor:
    """log max(0, 1 - q)."""
    return torch.log1p(-q.clamp(max=1.0))


def rise(u: Tensor) -> Tensor:
    """1 where u is above 0."""
    return (u > 0).to(u.dtype)


DIVERGENCE = Divergence(
    name="chi2",
    label="χ²",
    formula="½ (u - 1)²",
    source="Huang et al. 2024, arXiv:2407.13399, Section 3",
    generator=generator,
    link=link,
    depth=depth,
    log_ratio=log_ratio,
    rise=rise,
    strengths=(100.0, 1e-6),  # a ratio grows as 1/τ only, and not as exp(1/τ)
    reaches_zero=True,
)
