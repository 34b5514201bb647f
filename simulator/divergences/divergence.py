"""What an f-divergence is: D(π ‖ π_ref) = E_{π_ref} f(u) with u = π/π_ref and a convex f.

Every f here has f(1) = 0 and f'(1) = 0. The second changes no divergence, since E_{π_ref} u = 1, and it makes f, and
every term of the sum, at least 0. What is maximized is E_π r - τ D(π ‖ π_ref); where the optimum gives a response at
all, its link

    φ(u) = f'(u) = (r - λ) / τ

has a λ that is the same for all responses to a prompt (f-DPO, Wang et al. 2023, arXiv:2309.16240, Theorem 1, from the
conditions of Karush, Kuhn and Tucker). So a difference of two links is a difference of rewards over τ, which is what
losses of a margin learn. For KL, φ is log u, and λ the logarithm of the partition function.

A link may stay below a `top`. It is computed as its depth q = top - φ(u), which keeps all digits where φ is close to
the top; where there is none, the top is 0 here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from simulator.common.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor

LARGEST = 20.0  # nats; beyond it, what is exponentiated goes on along its tangent


@dataclass(frozen=True, kw_only=True)
class Divergence:
    """One f. Its functions are elementwise, of tensors of any shape."""

    name: str  # in sweep files
    label: str  # in sentences
    formula: str  # f(u), for people
    source: str
    generator: Callable[[Tensor], Tensor]  # f(u), u > 0
    link: Callable[[Tensor], Tensor]  # φ as a function of log u, for losses: finite, with a slope, at any log-ratio
    depth: Callable[[Tensor], Tensor]  # top - φ as a function of log u
    log_ratio: Callable[[Tensor], Tensor]  # log u as a function of the depth; -inf where the optimum gives nothing
    rise: Callable[[Tensor], Tensor]  # du/dφ = 1/f''(u) as a function of u, 0 at u = 0
    reaches_zero: bool = False  # whether an optimum may give a response no probability at all
    strengths: tuple[float, float] = (100.0, 0.01)  # τ, largest and smallest: from the reference to past gold's peak
    at: Callable[[float], Divergence] | None = None  # the divergence at another α, where it is a family


def bounded_exp(x: Tensor) -> Tensor:
    """exp(x), and its tangent at LARGEST beyond: gradients stay finite, and none is 0."""
    inside = x.clamp(max=LARGEST)
    return torch.exp(inside) * (1 + (x - inside))
