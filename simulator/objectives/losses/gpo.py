"""Offline preference losses, each one function of one number.

For a labelled pair, the margin says how much more the policy than the reference favours the chosen
response over the rejected one, in nats:

    rho = log[pi(chosen) / ref(chosen)] - log[pi(rejected) / ref(rejected)]

Every loss here is the mean of f(z) at z = beta * rho (Generalized Preference Optimization, Tang et al.
2024, arXiv:2402.05749, Sec. 2). A loss therefore *is* its f: to add one, write f and name it below.

Around rho = 0, E f(beta rho) ~ f(0) + |f'(0)| beta (-E rho + beta kappa E rho^2 / 2) with
kappa = f''(0) / |f'(0)|: the first term optimizes preference, the second is the offline regularization,
and losses with equal beta * kappa agree to second order (ibid., Sec. 4).

Each f maps a tensor of any shape to a tensor of that shape, unreduced. `softplus` stands where others
write `logsigmoid`: the two are equal, and only the latter starts threads on a CPU.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulator.common.lazy import functional, torch
from simulator.objectives.local_shape import Loss
from simulator.objectives.objective import Convention, named, of_z

if TYPE_CHECKING:
    from torch import Tensor


def logistic(z: Tensor) -> Tensor:
    """log(1 + exp(-z)). DPO: Rafailov et al. 2023, arXiv:2305.18290, Eq. 7."""
    return functional.softplus(-z)


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
"""The six f, by name: elementwise functions of a tensor z = beta rho, which return a tensor of its shape."""

NAMES = {  # that people know three of them by, and what is the same there
    "logistic": Convention(names=("dpo", "sigmoid"), relation="DPO's loss, beta as there"),
    "squared": Convention(names=("ipo",), relation="IPO's loss up to a factor, with beta = 2 tau"),
    "hinge": Convention(names=("slic", "slic_hf"), relation="SLiC's loss with margin 1, of ratios to the reference"),
}
OBJECTIVES = named(*(of_z(f, convention=NAMES.get(name, Convention())) for name, f in LOSSES.items()))
