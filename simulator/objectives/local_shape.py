"""What f(z) does around z = 0, where training starts, and as a curve."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from simulator.common.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor

Loss = Callable[["Tensor"], "Tensor"]


@dataclass(frozen=True, kw_only=True)
class LocalShape:
    """What f does around z = 0, where training starts: f(0), f'(0), f''(0)."""

    value: float
    slope: float
    curvature: float

    @property
    def kappa(self) -> float:
        """f''(0) / |f'(0)|, the strength of the offline regularization at beta = 1; NaN where f does not fall at 0."""
        return self.curvature / abs(self.slope) if self.slope < 0 else math.nan


def local_shape(loss: Loss) -> LocalShape:
    """Value, slope and curvature of `loss` at z = 0, by automatic differentiation in float64."""
    curvature = 0.0
    with torch.enable_grad():
        z = torch.zeros((), dtype=torch.float64, requires_grad=True)
        value = loss(z)
        (slope,) = torch.autograd.grad(value, z, create_graph=True)
        if slope.requires_grad:
            (second,) = torch.autograd.grad(slope, z, allow_unused=True)
            curvature = 0.0 if second is None else second.item()
    return LocalShape(value=value.item(), slope=slope.item(), curvature=curvature + 0.0)  # -0.0 becomes 0.0


def sample_losses(losses: Mapping[str, Loss]) -> dict[str, np.ndarray]:
    """f and f' of each loss at z from -6 to 6, and its kappa: the columns loss, kappa, z, f, slope of one table."""
    z = torch.linspace(-6, 6, 481, dtype=torch.float64, requires_grad=True)
    columns: dict[str, list[np.ndarray]] = {"loss": [], "kappa": [], "z": [], "f": [], "slope": []}
    for name, loss in losses.items():
        with torch.enable_grad():
            value = loss(z)
            (slope,) = torch.autograd.grad(value.sum(), z)
        columns["loss"].append(np.full(len(z), name, dtype=object))
        columns["kappa"].append(np.full(len(z), local_shape(loss).kappa))
        for column, values in (("z", z), ("f", value), ("slope", slope)):
            columns[column].append(values.detach().numpy())
    return {column: np.concatenate(parts) if parts else np.zeros(0) for column, parts in columns.items()}
