"""Offline preference losses, each one function of one number.

For a labelled pair, the margin says how much more the policy than the reference favours the chosen
response over the rejected one, in nats:

    rho = log[pi(chosen) / ref(chosen)] - log[pi(rejected) / ref(rejected)]

Every loss here is the mean of f(z) at z = beta * rho (Generalized Preference Optimization, Tang et al.
2024, arXiv:2402.05749, Sec. 2). A loss therefore *is* its f: to add one, write f and name it in LOSSES.

Around rho = 0, E f(beta rho) ~ f(0) + |f'(0)| beta (-E rho + beta kappa E rho^2 / 2) with
kappa = f''(0) / |f'(0)|: the first term optimizes preference, the second is the offline regularization,
and losses with equal beta * kappa agree to second order (ibid., Sec. 4).

Each f maps a tensor of any shape to a tensor of that shape, unreduced. `softplus` stands where others
write `logsigmoid`: the two are equal, and only the latter starts threads on a CPU.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import softplus

Loss = Callable[[Tensor], Tensor]


def logistic(z: Tensor) -> Tensor:
    """log(1 + exp(-z)). DPO: Rafailov et al. 2023, arXiv:2305.18290, Eq. 7."""
    return softplus(-z)


def hinge(z: Tensor) -> Tensor:
    """max(0, 1 - z). SLiC: Zhao et al. 2023, arXiv:2305.10425, with the margin 1 and ratios to a reference."""
    return torch.relu(1 - z)


def squared(z: Tensor) -> Tensor:
    """(z - 1)^2. IPO: Azar et al. 2023, arXiv:2310.12036, Eq. 17; at beta = 2 tau this is 4 tau^2 times IPO."""
    return (z - 1).square()


def exponential(z: Tensor) -> Tensor:
    """exp(-z), the AdaBoost loss. arXiv:2402.05749, Table 1."""
    return torch.exp(-z)


def truncated_quadratic(z: Tensor) -> Tensor:
    """max(0, 1 - z)^2. arXiv:2402.05749, Table 1."""
    return torch.relu(1 - z).square()


def savage(z: Tensor) -> Tensor:
    """(1 + exp(z))^-2, bounded, and not convex for z < -log 2. arXiv:2402.05749, Table 1."""
    return torch.sigmoid(-z).square()


LOSSES: dict[str, Loss] = {
    "logistic": logistic,
    "hinge": hinge,
    "squared": squared,
    "exponential": exponential,
    "truncated_quadratic": truncated_quadratic,
    "savage": savage,
}


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
