"""Jensen-Shannon in the form of f-DPO: KL(π ‖ m) + KL(π_ref ‖ m), m their mean; twice what others call by the name.

Wang et al. 2023, arXiv:2309.16240.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from simulator.common.lazy import functional, torch
from simulator.divergences.divergence import Divergence

if TYPE_CHECKING:
    from torch import Tensor


def generator(u: Tensor) -> Tensor:
    """u log u - (u + 1) log((u + 1) / 2)."""
    return torch.xlogy(u, u) - (u + 1) * torch.log((u + 1) / 2)


def link(s: Tensor) -> Tensor:
    """log(2u / (1 + u)), from log u."""
    return math.log(2) - functional.softplus(-s)


def depth(s: Tensor) -> Tensor:
    """log(1 + 1/u) below the top, which is log 2."""
    return torch.log1p(torch.exp(-s))


def log_ratio(q: Tensor) -> Tensor:
    """-log(exp(q) - 1)."""
    return -q - torch.log(-torch.expm1(-q))


def rise(u: Tensor) -> Tensor:
    """1/f'' = u (1 + u)."""
    return u * (1 + u)


DIVERGENCE = Divergence(
    name="jensen_shannon",
    label="Jensen-Shannon",
    formula="u log u - (u + 1) log((u + 1)/2)",
    source="Wang et al. 2023, arXiv:2309.16240, Table 1",
    generator=generator,
    link=link,
    depth=depth,
    log_ratio=log_ratio,
    rise=rise,
)
