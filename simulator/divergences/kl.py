"""KL(π ‖ π_ref), which others call the reverse KL: what RLHF and DPO have."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulator.common.lazy import torch
from simulator.divergences.divergence import Divergence

if TYPE_CHECKING:
    from torch import Tensor


def generator(u: Tensor) -> Tensor:
    """u log u - u + 1."""
    return torch.xlogy(u, u) - u + 1


def link(s: Tensor) -> Tensor:
    """log u itself."""
    return s


def negative(x: Tensor) -> Tensor:
    """The depth, and its inverse: there is no top."""
    return -x


def rise(u: Tensor) -> Tensor:
    """1/f'' = u."""
    return u


DIVERGENCE = Divergence(
    name="kl",
    label="KL(π ‖ π_ref)",
    formula="u log u - u + 1",
    source="Rafailov et al. 2023, arXiv:2305.18290, Eq. 3 and 4",
    generator=generator,
    link=link,
    depth=negative,
    log_ratio=negative,
    rise=rise,
)
