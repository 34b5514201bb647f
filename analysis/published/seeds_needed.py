"""How many seeds would decide a claim that is undecided, if effects and scatter are what they seem.

Where every estimate is on the side of its bound where the claim holds, that is for the one that takes most seeds;
elsewhere it would fail, by the one on the other side that takes fewest. Each number is for a power of four in five,
with one estimate taken alone (statistics/power.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from analysis.statistics.intervals import Estimate
from analysis.statistics.power import MOST, seeds_for

if TYPE_CHECKING:
    from analysis.published.claim import Rule


def seeds_needed(rule: Rule, estimates: Mapping[str, Estimate]) -> tuple[int | None, str]:
    """About how many seeds would decide, None for more than MOST; and the verdict that it would be."""
    side = {name: rule.holds_by(each.value, each.value) for name, each in estimates.items()}
    if all(distance > 0 for distance in side.values()):
        level = (1 + rule.level) / 2
        needed = [seeds_for(distance, estimates[name], level) for name, distance in side.items()]
        known = [count for count in needed if count is not None]
        return (max(known) if len(known) == len(needed) else None), "holds"
    level = 1 - (1 - rule.level) / (2 * len(estimates))
    against = {name: rule.fails_by(each.value, each.value) for name, each in estimates.items()}
    counts = [seeds_for(distance, estimates[name], level) for name, distance in against.items() if distance > 0]
    known = [count for count in counts if count is not None]
    return (min(known) if known else None), "fails"


def needed_note(count: int | None, verdict: str) -> str:
    """What is said of the seeds that a claim would take."""
    if count is None:
        return f"would take more than {MOST:,} seeds"
    return f"would take about {count:,} seeds, and then {'hold' if verdict == 'holds' else 'fail'}"
