"""Each loss beside the common curve of the others: its gold less theirs at equal KL, paired over seeds.

The common curve is the mean, at equal KL and draw by draw, of the frontiers of several families (across beta, as in
analysis/statistics/frontier.py): of GPO's losses where a sweep has two or more of them, else of all. A family that
belongs to them is compared with the mean of the others, so that it does not hide half of its own difference. Runs of
one seed share their pairs, so a difference is sharper than either curve; see analysis/statistics/comparison.py, whose
tests are used here.

A family counts as equal to the others where two one-sided tests say so within SIMILAR on average and at every tenth of
its reach, and as different where simultaneous intervals, corrected for tenths and for families (Bonferroni), leave 0
out, or the interval of the mean over KL does, corrected for families.

The common curve goes as far as all that belong to it do. One that reaches less than SHORT of the median reach would cut
it off for all; it does not belong, and is compared as far as it goes itself.

Shapes: S draws, G points of KL.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from analysis.records.about import GPO_LOSSES
from analysis.statistics.comparison import POINTS, SIMILAR, Comparison, compare_curves
from analysis.statistics.frontier import Names, families_of
from analysis.statistics.intervals import LEVEL, mean_of
from analysis.statistics.tradeoff_curves import Curves, curves_at, places_of, reach_of

SHORT = 0.5

Array = np.ndarray


@dataclass(frozen=True, kw_only=True)
class Departure:
    """One family less the mean of the others at equal KL; low and high: the interval of 95 % at each KL, [G]."""

    name: Any
    kl: Array
    difference: Array
    low: Array
    high: Array
    comparison: Comparison  # a is the family, b the common curve
    families: int  # that are compared with it at once

    @property
    def mean(self) -> float:
        """The mean difference over KL, in deviations of gold."""
        return self.comparison.difference

    @property
    def widest(self) -> float:
        """The difference at tenths of the reach that is farthest from 0."""
        found = [each.value for each in self.comparison.at_tenths]
        return max(found, key=abs)

    @property
    def equal(self) -> bool:
        """Whether it surely counts as equal to the common curve."""
        return self.comparison.equivalent

    @property
    def different(self) -> str:
        """How it surely differs: it has "more" or "less" gold on average, or "crosses" the common curve; or ""."""
        level = 1 - (1 - LEVEL) / self.families
        low, high = self.comparison.estimate.interval(level)
        if low > 0 or high < 0:
            return "more" if low > 0 else "less"
        at_tenth = 1 - (1 - level) / len(self.comparison.at_tenths)
        ends = [each.interval(at_tenth) for each in self.comparison.at_tenths]
        return "crosses" if any(low > 0 or high < 0 for low, high in ends) else ""


@dataclass(frozen=True, kw_only=True)
class CommonCurve:
    """The mean of several families, [G], and how each family departs from it."""

    members: tuple[Any, ...]
    kl: Array
    gold: Array
    departures: tuple[Departure, ...]
    seeds: int

    @property
    def reach(self) -> float:
        """How far the common curve goes, in nats."""
        return float(self.kl[-1])


def common_curve(
    curves: pd.DataFrame, by: Names = "loss", *, pool: Names = (), margin: float = SIMILAR
) -> CommonCurve | None:
    """The common curve of the families of `by`; None for fewer than two families that ever leave the reference.

    pool: settings that are averaged over. Raises ValueError where something else varies; see `frontier`.
    """
    families = families_of(curves, by, pool=pool)
    if families.further:
        raise ValueError(f"the curves vary in {', '.join(families.further)}, too; average over it with pool=...")
    apart = families.distinguishing
    points = {value[0] if len(families.by) == 1 else value: rows for value, rows in families.each}
    reach = {name: reach_of(rows, apart) for name, rows in points.items()}
    reach = {name: far for name, far in reach.items() if far > 0}
    members = members_of(reach)
    if len(reach) < 2 or len(members) < 2:
        return None
    shared = shared_draws([points[name] for name in members], apart)
    if not shared:
        return None
    grid = np.linspace(0.0, min(reach[name] for name in members), POINTS)
    on_grid: dict[Any, Curves] = {}

    def at(name: Any, kl: Array) -> Curves:
        if kl is not grid:
            return curves_at(points[name], apart, kl)
        if name not in on_grid:
            on_grid[name] = curves_at(points[name], apart, grid)
        return on_grid[name]

    mean = mean_of_curves([at(name, grid) for name in members], shared)
    departures = []
    for name, far in reach.items():
        here = grid if far >= grid[-1] else np.linspace(0.0, far, POINTS)
        rest = [member for member in members if member != name]
        others = mean_of_curves([at(member, here) for member in rest], shared)
        own = at(name, here)
        if set(own.draws) & set(others.draws):
            departures.append(departure(name, averaged(own), others, len(reach), margin))
    return CommonCurve(
        members=tuple(members), kl=grid, gold=mean.mean, departures=tuple(departures), seeds=len(mean.draws)
    )


def far_reaching(reach: dict[Any, float]) -> list[Any]:
    """Those that reach SHORT of the median reach or more."""
    enough = SHORT * float(np.median(list(reach.values()))) if reach else 0.0
    return [name for name, far in reach.items() if far >= enough]


def members_of(reach: dict[Any, float]) -> list[Any]:
    """The families that the common curve is the mean of."""
    known = [name for name in GPO_LOSSES if name in reach]
    chosen = known if len(known) > 1 else list(reach)
    return far_reaching({name: reach[name] for name in chosen})


def shared_draws(points: Sequence[pd.DataFrame], apart: Sequence[str]) -> set[Any]:
    """The draws that all of them have."""
    found = [set(curves_at(rows, apart, np.zeros(1)).draws) for rows in points]
    return set.intersection(*found)


def averaged(curves: Curves) -> Curves:
    """One replicate a draw, a mean over those that the draw has."""
    return replace(curves, each=curves.gold, names=tuple((draw, ()) for draw in curves.draws))


def mean_of_curves(several: Sequence[Curves], draws: set[Any]) -> Curves:
    """The mean of several curves at equal KL, draw by draw, of the draws that all have."""
    order = [draw for draw in several[0].draws if draw in draws]
    places = [places_of(curves.draws) for curves in several]
    golds = [curves.gold[[place[draw] for draw in order]] for curves, place in zip(several, places, strict=True)]
    noise = np.sqrt(sum(curves.noise**2 for curves in several)) / len(several)
    return replace(several[0], each=np.mean(golds, axis=0), names=tuple((draw, ()) for draw in order), noise=noise)


def departure(name: Any, own: Curves, common: Curves, families: int, margin: float) -> Departure:
    """How far one family lies from the common curve at equal KL."""
    places = [places_of(curves.draws) for curves in (own, common)]
    both = [draw for draw in own.draws if draw in places[1]]
    rows = [[place[draw] for draw in both] for place in places]
    difference = own.each[rows[0]] - common.each[rows[1]]
    noise = np.hypot(own.noise, common.noise)
    at_each = [mean_of(values, float(shared)) for values, shared in zip(difference.T, noise, strict=True)]
    ends = np.array([each.interval() for each in at_each]).T
    return Departure(
        name=name,
        kl=own.kl,
        difference=difference.mean(axis=0),
        low=ends[0],
        high=ends[1],
        comparison=compare_curves(name, "the common curve", own, common, margin=margin),
        families=families,
    )
