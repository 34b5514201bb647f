"""A loss that was drawn in the page, as a function of tensors.

f' is linear between the places where it bends and constant beyond them:

    f(z) = start + slope (z - first) + sum over k of bend_k v_k (u_k - v_k / 2)

with u_k = max(z - first - k apart, 0) and v_k = min(u_k, apart). The page's own text of it is `mine.py`.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from simulator.common.errors import ConfigError

BENDS = 100  # at most
LARGEST = 1e6


def drawn_loss(shape: Any) -> Callable[[Tensor], Tensor]:
    """f, elementwise, from start, slope, first, apart and the bends. Raises ConfigError."""
    is_list = isinstance(shape, list) and 4 < len(shape) <= 4 + BENDS
    if not is_list or not all(type(value) in (int, float) and abs(value) < LARGEST for value in shape):
        raise ConfigError("shape: must be start, slope, first, apart and bends, as the pad gives them")
    start, slope, first, apart, *bends = map(float, shape)

    def drawn(z: Tensor) -> Tensor:
        places = first + apart * torch.arange(len(bends), device=z.device)
        past = (z.unsqueeze(-1) - places).clamp(min=0)
        begun = past.clamp(max=apart)
        bend = (torch.tensor(bends, device=z.device).to(z) * begun * (past - begun / 2)).sum(dim=-1)
        return start + slope * (z - first) + bend

    return drawn
