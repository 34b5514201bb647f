"""How many seeds would be enough, if effects and scatter are what they seem.

An estimate over S seeds with standard error e has a scatter of e sqrt(S) from seed to seed. With N seeds, its interval
of 95 % excludes 0 in at least four of five sweeps if

    |value| >= (t_{N-1}(0.975) + t_{N-1}(0.8)) scatter / sqrt(N)

which is the usual rule of sample size (Cohen 1988, ch. 2). Two one-sided tests at 5 % show that it lies within a margin
in at least four of five sweeps if (Julious 2004, Sec. 4), with F the law of t of N - 1 degrees of freedom and
e = scatter / sqrt(N),

    F((margin - value) / e - t(0.95)) + F((margin + value) / e - t(0.95)) - 1 >= 0.8

A number is a guess from few seeds itself, so it is rounded up to two digits.
"""

import math
from bisect import bisect_left
from collections.abc import Callable

from scipy.special import stdtr, stdtrit

from analysis.statistics.intervals import LEVEL, Estimate

POWER = 0.8
MOST = 1000  # seeds that anyone would run


def seeds_to_differ(estimate: Estimate, level: float = LEVEL) -> int | None:
    """How many seeds would show that the estimate is not 0, by its interval of this level; None for more than MOST."""
    return seeds_for(abs(estimate.value), estimate, (1 + level) / 2)


def seeds_to_be_within(estimate: Estimate, margin: float) -> int | None:
    """How many seeds would show that the estimate lies within the margin; None if it does not, or for too many."""
    if not margin > abs(estimate.value):
        return None
    sides = margin - estimate.value, margin + estimate.value

    def power(count: int) -> float:
        error, bound = error_of(estimate, count), float(stdtrit(count - 1, LEVEL))
        return 1.0 if error == 0 else sum(float(stdtr(count - 1, side / error - bound)) for side in sides) - 1

    return fewest(lambda count: power(count) >= POWER) if math.isfinite(estimate.error) else None


def seeds_for(distance: float, estimate: Estimate, level: float) -> int | None:
    """How many seeds separate an estimate from a bound that lies so far away, by a one-sided test of this level.

    What all seeds share of the error stays, however many there are.
    """
    if not (distance > 0 and math.isfinite(estimate.error)):
        return None

    def separated(count: int) -> bool:
        needed = float(stdtrit(count - 1, level) + stdtrit(count - 1, POWER))
        return needed * error_of(estimate, count) <= distance

    return fewest(separated)


def error_of(estimate: Estimate, count: int) -> float:
    """The error that an estimate would have over so many seeds."""
    scatter = estimate.error * math.sqrt(estimate.degrees_of_freedom + 1)
    return math.hypot(scatter / math.sqrt(count), estimate.shared_error)


def fewest(enough: Callable[[int], bool]) -> int | None:
    """The least number of seeds, rounded up, that is enough; None for more than MOST. More are enough if fewer are."""
    counts = range(2, MOST + 1)
    place = bisect_left(counts, True, key=enough)
    return rounded_up(counts[place]) if place < len(counts) else None


def rounded_up(count: int) -> int:
    """A number of at most two digits that is no smaller."""
    step = 10 ** max(0, len(str(count)) - 2)
    return -(-count // step) * step
