"""The losses that are searched: f(z) of z = beta rho, as one row of numbers.

A convex f has a second derivative that is a measure on the line. Here it is a sum of bumps of one width w at fixed
knots t_k, with masses m_k, and the slope at 0, where training starts, is fixed:

    f'(z) = -1 + Σ_k m_k [σ((z - t_k)/w) - σ(-t_k/w)],
    f(z)  = -z + Σ_k m_k [w log(1 + exp((z - t_k)/w)) - z σ(-t_k/w)].

f'(0) = -1 whatever the masses are, and f is convex where they are not negative. Hinges relu(c - z), which push margins
up, and ramps relu(z - d), which hold large ones back, are such bumps but for a linear part. So a search over sums

    f'(z) = -Σ_k a_k σ((c_k - z)/w) / N + Σ_j b_j [σ((z - d_j)/w) - σ(-d_j/w)],   N = Σ_k a_k σ(c_k/w),

with a, b > 0 has masses a_k / N and b_j. These never fall without end: their slope far to the right is at least 0. The
search is over log a and log b.

Without convexity the masses themselves are searched, and may have any sign; z is then clipped to [-8, 10], so that f is
constant beyond and has a least value.

Shapes: R runs, N pairs of one run, K knots.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import softplus

from simulator.objectives.objective import Objective, Pairs

HINGES = (-6.0, -4.0, -2.0, -1.0, 0.0, 1.0, 2.0, 4.0)
RAMPS = (1.5, 3.0, 5.0, 8.0)
KNOTS = (*HINGES, *RAMPS)
WIDTH = 0.5  # half of the smallest distance of hinges, so that sums of them can be smooth
BOUNDS = (-8.0, 10.0)  # of z, where masses may be negative
LOG_BOUNDS = (-12.0, 6.0)  # of the logarithms of weights
NAMES = tuple(f"mass_{number}" for number in range(len(KNOTS)))

Array = np.ndarray


@dataclass(frozen=True, kw_only=True)
class Family:
    """Which losses are searched: where the search starts, [K], and how wide its first steps are."""

    convex: bool

    @property
    def start(self) -> Array:
        """All hinges alike, and ramps a tenth of them or less: no loss of the six."""
        hinge, ramp = (0.0, -2.5) if self.convex else (0.5, 0.1)
        return np.array([hinge] * len(HINGES) + [ramp] * len(RAMPS))

    @property
    def spread(self) -> float:
        """The standard deviation of the first steps: a factor of e^1.5 in weights, or half a mass."""
        return 1.5 if self.convex else 0.5

    def masses(self, parameters: Array) -> Array:
        """Masses [..., K] of parameters [..., K]."""
        if not self.convex:
            return np.asarray(parameters, dtype=float)
        weights = np.exp(np.clip(parameters, *LOG_BOUNDS))
        hinges, ramps = np.split(weights, [len(HINGES)], axis=-1)
        slope = (hinges * sigmoid(np.array(HINGES) / WIDTH)).sum(axis=-1, keepdims=True)
        return np.concatenate([hinges / slope, ramps], axis=-1)

    @property
    def objective(self) -> Objective:
        """The loss, with masses as its parameters, a number each."""

        def mixture(pairs: Pairs) -> Tensor:
            return values(pairs.z, torch.cat([pairs.hyperparameters[name] for name in NAMES], dim=1), self.convex)

        return Objective(name="mixture", loss=mixture, formula="-z + Σ_k m_k bump_k(z)")


def values(z: Tensor, masses: Tensor, convex: bool) -> Tensor:
    """f [R, N] at z [R, N] for masses [R, K]; 0 is no special value of it."""
    within = z if convex else z.clamp(*BOUNDS)
    knots = torch.tensor(KNOTS, dtype=z.dtype, device=z.device)
    bent = WIDTH * softplus((within.unsqueeze(-1) - knots) / WIDTH)
    straight = (masses * torch.sigmoid(-knots / WIDTH)).sum(dim=1, keepdim=True)
    return (bent @ masses.to(z.dtype).unsqueeze(-1)).squeeze(-1) - (1 + straight.to(z.dtype)) * within


def slopes(z: Array, masses: Array) -> Array:
    """f' [..., n] at z [n] for masses [..., K], where z is not clipped."""
    knots = np.array(KNOTS)
    rises = sigmoid((np.asarray(z)[:, None] - knots) / WIDTH) - sigmoid(-knots / WIDTH)
    return -1.0 + np.asarray(masses) @ rises.T


def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x)), without overflow."""
    return 0.5 * (1.0 + np.tanh(0.5 * np.asarray(x)))
