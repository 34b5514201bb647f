"""χ²/2 + KL: the mixed divergence of χPO, whose link is u + log u up to a constant.

Huang et al. 2024, arXiv:2407.13399.
χ² bounds how far a policy goes for a reward, and KL keeps every probability above 0, so that the link exists. With
φ = u - 1 + log u the inverse is Wright's ω: u = ω(φ + 1), where ω + log ω is the argument. Its logarithm y is the root
of exp(y) + y, found here by Halley's method: on whole tensors it takes a quarter of the time of
`scipy.special.wrightomega`, and y keeps its digits where ω is next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulator.common.lazy import torch
from simulator.divergences import chi2, kl
from simulator.divergences.divergence import Divergence

if TYPE_CHECKING:
    from torch import Tensor

HALLEY = 3  # steps: errors of 0.32, 7e-4, 7e-12, and rounding


def generator(u: Tensor) -> Tensor:
    """½ (u - 1)² + u log u - u + 1."""
    return chi2.generator(u) + kl.generator(u)


def link(s: Tensor) -> Tensor:
    """u - 1 + log u, from log u."""
    return chi2.link(s) + s


def depth(s: Tensor) -> Tensor:
    """1 - u - log u: there is no top."""
    return chi2.depth(s) - s


def log_ratio(q: Tensor) -> Tensor:
    """log ω(1 - q)."""
    argument = 1 - q
    large, small = argument.clamp(min=1.0), argument.clamp(max=1.0)
    above, below = large.log() * large / (1 + large), small - torch.log1p(small.exp())
    y = torch.where(argument > 1, above, below)  # within 0.32 of the root
    for _ in range(HALLEY):
        omega = y.exp()
        error, slope = omega + y - argument, 1 + omega
        y = y - error / (slope - error * omega / (2 * slope))
    return y


def rise(u: Tensor) -> Tensor:
    """1/f'' = u / (1 + u)."""
    return u / (1 + u)


DIVERGENCE = Divergence(
    name="chi2_kl",
    label="χ² + KL",
    formula="½ (u - 1)² + u log u - u + 1",
    source="Huang et al. 2024, arXiv:2407.13399, Section 3",
    generator=generator,
    link=link,
    depth=depth,
    log_ratio=log_ratio,
    rise=rise,
    strengths=(100.0, 1e-6),  # a ratio grows as 1/τ only, and not as exp(1/τ)
)
