"""Offline regularization is not KL: a mixture of two Gaussians, computed to the last digit.

After Tang et al. 2024 (arXiv:2402.05749, Sec. 4), who show with a mixture of Gaussians that holding down the
mu-weighted squared loss does not hold down KL; the numbers here are our own. The reference, which pairs are drawn from,
is 1/2 N(-c, 1) + 1/2 N(c, 1) with c = 2.5. Policies are N(m, s^2). With rho the difference of log pi / pi_ref at two
draws of mu = pi_ref,

    squared   1/2 E_mu rho^2 = Var_mu(log pi - log pi_ref), nats^2
    kl        KL(pi || pi_ref), nats

A policy that is one of the two modes is close to the reference in KL (a little below log 2), yet has a huge squared
loss, since it gives the other mode almost nothing. Gradient descent on the squared loss from there widens it until it
covers both modes, and the valley between them with it: the squared loss falls, while KL rises on the way to many times
what it was, and ends higher than it began.

Integrals are sums over a fine grid, which for such smooth functions are exact to rounding if the grid holds all of the
law that they are over. Each law has a grid of its own, REACH deviations to either side, and its mass there is asserted.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

CENTRE = 2.5
REACH = 12.0  # deviations: beyond lies a mass of 1e-33
UNIT = np.linspace(-REACH, REACH, 2401)
X = np.linspace(-CENTRE - REACH, CENTRE + REACH, 2901)  # of the reference
STEP = 0.05  # in (mean, log deviation)
NUDGE = 1e-5
MASS = 1e-9  # how far from 1 the mass of a law may be

Array = np.ndarray


def log_gaussian(x: Array, mean: float, deviation: float) -> Array:
    """log N(mean, deviation^2) at x."""
    return -0.5 * ((x - mean) / deviation) ** 2 - np.log(deviation * np.sqrt(2 * np.pi))


def log_reference(x: Array) -> Array:
    """The log density of the reference at x."""
    return np.logaddexp(log_gaussian(x, -CENTRE, 1.0), log_gaussian(x, CENTRE, 1.0)) - np.log(2)


def weights_of(log_density: Array, x: Array) -> Array:
    """The weight of each of evenly spaced x [G] in the mean over a law. Raises ArithmeticError where mass is lost."""
    weights = np.exp(log_density) * (x[1] - x[0])
    if not abs(weights.sum() - 1) < MASS:
        raise ArithmeticError(f"the grid holds a mass of {weights.sum():.9f} of a law, so sums over it are not exact")
    return weights


def regularizers(mean: float, log_deviation: float) -> tuple[float, float]:
    """squared and kl of the policy N(mean, exp(log_deviation)^2)."""
    deviation = float(np.exp(log_deviation))
    of_reference = weights_of(log_reference(X), X)
    ratio = log_gaussian(X, mean, deviation) - log_reference(X)
    squared = of_reference @ (ratio - of_reference @ ratio) ** 2
    x = mean + deviation * UNIT
    log_policy = log_gaussian(x, mean, deviation)
    kl = weights_of(log_policy, x) @ (log_policy - log_reference(x))
    return float(squared), float(kl)


@dataclass(frozen=True, kw_only=True)
class Descent:
    """The descent on the squared loss from the best policy in KL that is near a mode; path: step, mean, deviation,
    squared, kl.
    """

    path: pd.DataFrame

    @property
    def kl_gained(self) -> float:
        """KL at the end less KL at the start, nats."""
        return float(self.path["kl"].iloc[-1] - self.path["kl"].iloc[0])

    @property
    def squared_lost(self) -> float:
        """The squared loss at the start less that at the end, nats^2."""
        return float(self.path["squared"].iloc[0] - self.path["squared"].iloc[-1])


def slope(at: Array) -> Array:
    """The gradient of the squared loss in (mean, log deviation), by central differences."""
    steps = NUDGE * np.eye(2)
    return np.array([(regularizers(*(at + step))[0] - regularizers(*(at - step))[0]) / (2 * NUDGE) for step in steps])


def descend() -> Descent:
    """Descend on the squared loss from the policy near one mode that has the least KL, and watch both on the way.

    Every step goes down the gradient by the same distance, which is halved when it would lead upward.
    """
    from scipy.optimize import minimize  # no report needs it, and it takes long to import

    at = minimize(lambda place: regularizers(*place)[1], [CENTRE, 0.0], method="BFGS").x
    visited, distance = [at], STEP
    while distance > STEP / 1000:
        down = slope(at)
        there = at - distance * down / np.linalg.norm(down)
        if regularizers(*there)[0] < regularizers(*at)[0]:
            at = there
            visited.append(at)
        else:
            distance /= 2
    rows = [(i, at[0], float(np.exp(at[1])), *regularizers(*at)) for i, at in enumerate(visited)]
    return Descent(path=pd.DataFrame(rows, columns=["step", "mean", "deviation", "squared", "kl"]))
