"""The six f of Generalized Preference Optimization as plain functions, and the order that their tails say.

Tang et al. 2024 (arXiv:2402.05749): a loss is E f(z) at z = beta rho. To second order around z = 0 it is fixed by f'(0)
and f''(0), so that losses act alike at equal beta kappa, kappa = f''(0) / |f'(0)|. What is left to tell them apart is
the tail, z > 0: how much a pair whose margin is already large still pushes it up. With slopes matched at 0, and u =
beta kappa rho, that push is

    push(u) = -f'(u / kappa) / |f'(0)|         1 at u = 0, and 1 - u to second order for every f with kappa > 0

                          push(u)                     for u > 1
    squared               1 - u                       below 0: it turns upward, and pulls margins back
    truncated_quadratic   max(0, 1 - u)               0
    hinge                 1 up to u = 1, then 0       0
    savage                8 e^2u / (1 + e^2u)^3       falls as 8 e^-4u
    logistic              2 / (1 + e^2u)              falls as 2 e^-2u
    exponential           e^-u                        falls as e^-u

The less push, the more a loss regularizes: the paper says that an f which turns upward, or decays fast, regularizes
more (its cases of tails; we know them from a summary, and could not read its own words). So TAIL_ORDER, from most
regularization to least, is the order of push(u) for large u. Two are 0 there, and are told apart by their push up to u
= 1, of which hinge has more at every u. Where hinge stands is a convention: its kappa is 0, and no beta matches it, so
it is taken at the beta of the losses with kappa = 1, whose margin of 1 it shares.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import expit

Array = np.ndarray


@dataclass(frozen=True, kw_only=True)
class GpoLoss:
    """f and its slope f', elementwise on z of any shape. kappa: f''(0) / |f'(0)|."""

    f: Callable[[Array], Array]
    slope: Callable[[Array], Array]
    kappa: float

    @property
    def matched_kappa(self) -> float:
        """What beta is multiplied by to match losses; 1 for hinge, whose kappa is 0."""
        return self.kappa or 1.0

    def push(self, u: Array) -> Array:
        """How much a pair at u = beta kappa rho still pushes its margin up, 1 at u = 0."""
        return -self.slope(np.asarray(u) / self.matched_kappa) / abs(float(self.slope(np.array(0.0))))


SIX: dict[str, GpoLoss] = {
    "logistic": GpoLoss(f=lambda z: np.logaddexp(0.0, -z), slope=lambda z: -expit(-z), kappa=0.5),
    "hinge": GpoLoss(f=lambda z: np.maximum(0.0, 1 - z), slope=lambda z: -(z < 1).astype(float), kappa=0.0),
    "squared": GpoLoss(f=lambda z: (z - 1) ** 2, slope=lambda z: 2 * (z - 1), kappa=1.0),
    "exponential": GpoLoss(f=lambda z: np.exp(-z), slope=lambda z: -np.exp(-z), kappa=1.0),
    "truncated_quadratic": GpoLoss(
        f=lambda z: np.maximum(0.0, 1 - z) ** 2, slope=lambda z: -2 * np.maximum(0.0, 1 - z), kappa=1.0
    ),
    "savage": GpoLoss(f=lambda z: expit(-z) ** 2, slope=lambda z: -2 * expit(-z) ** 2 * expit(z), kappa=0.5),
}
TAIL_ORDER = ("squared", "truncated_quadratic", "hinge", "savage", "logistic", "exponential")
"""From the tail that regularizes most to the one that does least, at equal beta kappa."""
