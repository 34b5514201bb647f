"""How many seeds would decide a claim that is undecided, if effects and scatter are what they seem.

Where every estimate is on the side of its bound where the claim holds, that is how many seeds make all of them hold in
four of five sweeps, as if they were independent; elsewhere it would fail, by the one on the other side that takes
fewest. With N seeds an estimate is its value and a Student error of N - 1 degrees of freedom; the power is the share of
POINTS quantiles of that error at which the rule holds. An error is taken to fall as 1 / sqrt(N). That of a peak or a
fall, whose place moves from one checkpoint to the next, falls more slowly: its number is rather too small.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import stdtrit

from analysis.statistics.intervals import Estimate
from analysis.statistics.power import MOST, POWER, error_of, fewest, seeds_for

if TYPE_CHECKING:
    from analysis.published.claim import Rule

POINTS = 200


def seeds_needed(rule: Rule, estimates: Mapping[str, Estimate]) -> tuple[int | None, str]:
    """About how many seeds would decide, None for more than MOST; and the verdict that it would be."""
    if all(rule.holds_by(each.value, each.value) > 0 for each in estimates.values()):
        return fewest(lambda count: all_hold(rule, estimates, count)), "holds"
    level = 1 - (1 - rule.level) / (2 * len(estimates))
    against = {name: rule.fails_by(each.value, each.value) for name, each in estimates.items()}
    counts = [seeds_for(distance, estimates[name], level) for name, distance in against.items() if distance > 0]
    known = [count for count in counts if count is not None]
    return (min(known) if known else None), "fails"


def all_hold(rule: Rule, estimates: Mapping[str, Estimate], count: int) -> bool:
    """Whether all estimates hold in four of five sweeps of so many seeds."""
    power = 1.0
    for each in estimates.values():
        power *= power_to_hold(rule, each, count)
        if not power >= POWER:
            return False
    return True


def power_to_hold(rule: Rule, estimate: Estimate, count: int) -> float:
    """How often the interval of an estimate over so many seeds lies where the rule holds."""
    error = error_of(estimate, count)
    if not math.isfinite(error):
        return math.nan
    half = float(stdtrit(count - 1, (1 + rule.level) / 2)) * error
    drawn = estimate.value + error * stdtrit(count - 1, (np.arange(POINTS) + 0.5) / POINTS)
    return sum(rule.holds_by(value - half, value + half) > 0 for value in drawn.tolist()) / POINTS


def needed_note(count: int | None, verdict: str) -> str:
    """What is said of the seeds that a claim would take."""
    if count is None:
        return f"would take more than {MOST:,} seeds"
    return f"would take about {count:,} seeds, and then {'hold' if verdict == 'holds' else 'fail'}"
