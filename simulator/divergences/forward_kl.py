"""KL(π_ref ‖ π), the forward KL: dropping what the reference says costs without end, going far beyond it costs little.

In the form of f-DPO (Wang et al. 2023, arXiv:2309.16240) f is -log u and its derivative -1/u; here the derivative is 0
at u = 1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulator.common.lazy import torch
from simulator.divergences.divergence import Divergence, bounded_exp

if TYPE_CHECKING:
    from torch import Tensor


def generator(u: Tensor) -> Tensor:
    """-log u + u - 1."""
    return u - 1 - torch.log(u)


def link(s: Tensor) -> Tensor:
    """1 - 1/u, from log u."""
    return 1 - bounded_exp(-s)


def depth(s: Tensor) -> Tensor:
    """1/u below the top, which is 1."""
    return torch.exp(-s)


def log_ratio(q: Tensor) -> Tensor:
    """-log q."""
    return -torch.log(q)


def rise(u: Tensor) -> Tensor:
    """1/f'' = u²."""
    return u.square()


DIVERGENCE = Divergence(
    name="forward_kl",
    label="KL(π_ref ‖ π)",
    formula="-log u + u - 1",
    source="Wang et al. 2023, arXiv:2309.16240, Table 1",
    generator=generator,
    link=link,
    depth=depth,
    log_ratio=log_ratio,
    rise=rise,
)
