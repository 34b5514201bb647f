"""How many seeds would be enough, if effects and scatter are what they seem.

An estimate over S seeds with standard error e has a scatter of e sqrt(S) from seed to seed. With N seeds, its interval
of 95 % excludes 0 in at least four of five sweeps if

    |value| >= (t_{N-1}(0.975) + t_{N-1}(0.8)) scatter / sqrt(N)

which is the usual rule of sample size (Cohen 1988, ch. 2). Two one-sided tests at 5 % show that it lies within a margin
in at least four of five sweeps if (Julious 2004, Sec. 4)

    margin - |value| >= (t_{N-1}(0.95) + t_{N-1}(0.8)) scatter / sqrt(N)

A number is a guess from few seeds itself, so it is rounded up to two digits.
"""

import math

from scipy.special import stdtrit

from analysis.statistics.intervals import LEVEL, Estimate

POWER = 0.8
MOST = 1000  # seeds that anyone would run


def seeds_to_differ(estimate: Estimate, level: float = LEVEL) -> int | None:
    """How many seeds would show that the estimate is not 0, by its interval of this level; None for more than MOST."""
    return seeds_for(abs(estimate.value), estimate, (1 + level) / 2)


def seeds_to_be_within(estimate: Estimate, margin: float) -> int | None:
    """How many seeds would show that the estimate lies within the margin; None if it does not, or for too many."""
    return seeds_for(margin - abs(estimate.value), estimate, LEVEL)


def seeds_for(distance: float, estimate: Estimate, level: float) -> int | None:
    """How many seeds separate an estimate from a bound that lies so far away, by a one-sided test of this level.

    What all seeds share of the error stays, however many there are.
    """
    scatter = estimate.error * math.sqrt(estimate.degrees_of_freedom + 1)
    if not (distance > 0 and math.isfinite(scatter)):
        return None
    for count in range(2, MOST + 1):
        error = math.hypot(scatter / math.sqrt(count), estimate.shared_error)
        if float(stdtrit(count - 1, level) + stdtrit(count - 1, POWER)) * error <= distance:
            return rounded_up(count)
    return None


def rounded_up(count: int) -> int:
    """A number of at most two digits that is no smaller."""
    step = 10 ** max(0, len(str(count)) - 2)
    return -(-count // step) * step
