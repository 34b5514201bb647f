"""One score out of several reward models, and its unit.

Shapes: m members, P prompts, G responses to each, N pairs.

Coste et al. 2023 (arXiv:2310.02743, Sec. 3) optimize policies against an ensemble of reward models that differ in their
random seed. Reward models are trained on comparisons at equal prompts, so a constant of each prompt is arbitrary, and
so is the unit; before members are compared, each is therefore recentred at every prompt and divided by its standard
deviation under the reference.

    mean                  mean over members
    worst_case            least of them (WCO)
    uncertainty_weighted  mean - lambda * variance (UWO), the variance being sum (r - mean)^2 / m over the m members

The result is recentred, and recalibrated as Gao et al. 2023 do (arXiv:2210.10760, Sec. 2): multiplied by the
number a that minimizes the cross-entropy between sigma(a (r_1 - r_2)) and gold's soft labels sigma(gold_1 - gold_2) on
fresh pairs. It then is in gold's unit, standard deviations of gold under the reference. To add a combination, write it
and name it in COMBINATIONS.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

Array = np.ndarray
Combination = Callable[[Array, float], Array]

ROUNDING = 1e-9
LEAST = 0.01  # deviation of a recalibrated score; a proxy that knows nothing still has a ranking


def mean(scores: Array, uncertainty: float) -> Array:
    """The mean over members; scores [m, …], in each member's standard deviations."""
    return scores.mean(axis=0)


def worst_case(scores: Array, uncertainty: float) -> Array:
    """The least over members, scores [m, …]. WCO: arXiv:2310.02743, Eq. 3."""
    return scores.min(axis=0)


def uncertainty_weighted(scores: Array, uncertainty: float) -> Array:
    """Mean less `uncertainty` times variance over members, scores [m, …]. UWO: arXiv:2310.02743, Eq. 4."""
    return scores.mean(axis=0) - uncertainty * scores.var(axis=0)


COMBINATIONS: Mapping[str, Combination] = MappingProxyType(
    {"mean": mean, "worst_case": worst_case, "uncertainty_weighted": uncertainty_weighted}
)


@dataclass(frozen=True, kw_only=True)
class Unit:
    """What makes scores comparable: (score - centre) * factor, with centre [P] and one factor, both float64."""

    centre: Array
    factor: float

    def apply(self, scores: Array) -> Array:
        """Scores [P, G] in this unit."""
        return (scores - self.centre[:, None]) * self.factor


def deviation_of(law: Array, scores: Array) -> float:
    """The standard deviation of scores [P, G] within prompts, under the probabilities `law` [P, G].

    0 where they differ by rounding alone.
    """
    centred = scores - (law * scores).sum(axis=1, keepdims=True)
    deviation = float(np.sqrt((law * centred**2).sum(axis=1).mean()))
    return deviation if deviation > ROUNDING * float(np.abs(scores).max()) else 0.0


def standard_unit(law: Array, scores: Array) -> Unit:
    """The unit in which scores [P, G] have mean 0 at each prompt and variance 1 under `law` [P, G].

    Scores that do not vary are left as they are, but for the mean.
    """
    deviation = deviation_of(law, scores)
    return Unit(centre=(law * scores).sum(axis=1), factor=1 / deviation if deviation > 0 else 1.0)


def recalibration(gaps: Array, gold_gaps: Array) -> float:
    """The number a >= 0 that minimizes the cross-entropy of sigma(a gap) against sigma(gold gap), over pairs [N].

    0 where the gaps have nothing to do with gold's, or point the other way.
    """
    from scipy.optimize import brentq
    from scipy.special import expit

    soft = expit(gold_gaps)

    def slope(a: float) -> float:
        return float(((expit(a * gaps) - soft) * gaps).mean())

    if slope(0.0) >= 0:
        return 0.0
    high = 1.0
    while slope(high) < 0 and high < 1e6:
        high *= 4
    return float(brentq(slope, 0.0, high)) if slope(high) > 0 else high


def gold_unit(law: Array, scores: Array, gaps: Array, gold_gaps: Array) -> Unit:
    """The unit in which scores [P, G] have mean 0 at each prompt under `law` and are recalibrated on pairs [N].

    gaps: differences of the scores; gold_gaps: of gold. The deviation under `law` is at least LEAST.
    """
    deviation = deviation_of(law, scores)
    factor = max(recalibration(gaps, gold_gaps), LEAST / deviation if deviation > 0 else 0.0)
    return Unit(centre=(law * scores).sum(axis=1), factor=factor)
