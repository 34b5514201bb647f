"""Whether one method's trade-off is better than another's, or the same.

Two families of policies are compared at equal KL, draw by draw: runs of one seed share their pairs, so their difference
in gold is sharper than either curve. The mean difference over KL, from the reference as far as both families reach, is
the area between the curves divided by that reach, in deviations of gold.

    difference    Student's t over draws: the 95 % interval of the mean difference
    equivalence   two one-sided tests (Schuirmann 1987): the curves are called similar within `margin` if the 90 %
                  interval lies within it, on average over KL and at each tenth of the reach, which happens to curves
                  that differ by the margin in at most 5 of 100 cases. `smallest_margin` is the least margin at which
                  that would be so on average, and `smallest_everywhere` that for every tenth
    dominance     intervals that hold the difference at ten KL at once with 95 % (Student's t with Bonferroni's
                  correction): a method dominates if it has more gold at each of them, surely so at one or more, and
                  surely so on average

To find no difference is not to find equivalence: with few seeds neither may be known, and the verdict is "undecided".
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from analysis.statistics.frontier import Names, check_above_zero, families_of, values_text
from analysis.statistics.intervals import LEVEL, Estimate, mean_of
from analysis.statistics.tradeoff_curves import Curves, by_draw, curves_at, places_of, reach_of

SIMILAR = 0.2  # deviations of gold: a small effect by the convention of Cohen 1988
POINTS = 101
TENTHS = slice(10, None, 10)  # of these: tenths of the reach

Array = np.ndarray


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Method a against method b: a positive difference means that a has more gold at equal KL."""

    a: Any
    b: Any
    difference: float  # a mean over KL, in deviations of gold
    low: float  # its 95 % interval
    high: float
    estimate: Estimate  # the difference as an estimate
    at_tenths: tuple[Estimate, ...]  # the same at tenths of the reach
    p: float  # two-sided, of no difference
    margin: float  # of equivalence
    equivalence_p: float  # of the two one-sided tests on average over KL
    smallest_margin: float  # at which they would just succeed
    smallest_everywhere: float  # the same at every tenth
    least: float  # the smallest difference at tenths of the reach
    least_low: float  # the least end of the intervals that hold all of these
    most: float  # the largest difference at tenths of the reach
    most_high: float  # the largest end of these intervals
    above: float  # share of tenths where the interval is above zero
    below: float  # share of tenths where it is below zero
    reach: float  # nats
    seeds: int  # draws that both have
    pooled: str = ""  # what is averaged over, as text

    @property
    def equivalent(self) -> bool:
        """Whether the curves are similar within the margin, on average over KL and at every tenth of it."""
        return max(self.smallest_margin, self.smallest_everywhere) < self.margin

    @property
    def verdict(self) -> str:
        """What the comparison comes to.

        One of "a dominates", "b dominates", "equivalent", "a is better", "b is better", "equal on average" and
        "undecided".
        Better is better on average over KL by more than chance, without dominance. A difference that is surely there
        and surely within the margin everywhere is called equivalent, unless one dominates. Equal on average are curves
        that may cross: the mean difference is within the margin, but not surely that at every tenth.
        """
        if self.above > 0 and self.low > 0 and self.least >= 0:
            return "a dominates"
        if self.below > 0 and self.high < 0 and self.most <= 0:
            return "b dominates"
        if self.equivalent:
            return "equivalent"
        if self.low > 0:
            return "a is better"
        if self.high < 0:
            return "b is better"
        return "equal on average" if self.smallest_margin < self.margin else "undecided"


def paired_differences(a: Curves, b: Curves) -> tuple[Array, Array, int]:
    """Differences of gold [S, G] over the replicates that both have, what noise they share [G], and S."""
    places = [places_of(curves.names) for curves in (a, b)]
    both = [name for name in a.names if name in places[1]]
    rows = [[place[name] for name in both] for place in places]
    difference = by_draw(a.each[rows[0]] - b.each[rows[1]], [draw for draw, _ in both])
    return difference, np.hypot(a.noise, b.noise), len(difference)


def equivalence(estimate: Estimate, margin: float) -> tuple[float, float]:
    """The p-value of two one-sided tests of |value| < margin, and the smallest margin at which they succeed at 5 %."""
    low, high = estimate.interval(2 * LEVEL - 1)
    if not estimate.known:
        return np.nan, np.inf
    opposite = replace(estimate, value=-estimate.value)
    return max(estimate.beyond(-margin), opposite.beyond(-margin)), max(-low, high)


def compare(
    curves: pd.DataFrame,
    a: Any,
    b: Any,
    by: Names = "loss",
    *,
    pool: Names = (),
    margin: float = SIMILAR,
    upto: float | None = None,
) -> Comparison:
    """Compare two values of the column `by` across beta; see the module.

    by: one column, or several, of which a and b then name a value each, as ("logistic", 0.1). pool: further axes that
    are averaged over. margin: of equivalence, in deviations of gold. upto: no farther than this KL, in nats. Raises
    ValueError where `by` has no such value, where something else varies and is not in `pool`, or where they share no
    seed; and ResultsError for rows that cannot belong together.
    """
    families = families_of(curves, by, pool=pool)
    if families.further:
        varied = values_text(pd.concat([points for _, points in families.each]), families.further) or ", ".join(
            families.further
        )
        names = ", ".join(f'"{name}"' for name in (*families.by, *families.further))
        raise ValueError(
            f"the curves vary in {varied}, too: take those of one value, name it in by=[{names}] with a value of each "
            f'in a and b, or average over it with pool=["{families.further[0]}"]'
        )
    check_above_zero(margin=margin, upto=upto)
    each = dict(families.each)
    keys = [value if isinstance(value, tuple) else (value,) for value in (a, b)]
    for name, key in zip((a, b), keys, strict=True):
        if key not in each:
            known = ", ".join(str(value[0] if len(value) == 1 else value) for value in each)
            raise ValueError(f"{by if isinstance(by, str) else list(by)} = {name!r}: must be one of {known}")
    found = compare_families(
        a, b, *(each[key] for key in keys), apart=families.distinguishing, margin=margin, upto=upto
    )
    return replace(found, pooled=families.pooled)


def compare_families(
    a: Any,
    b: Any,
    of_a: pd.DataFrame,
    of_b: pd.DataFrame,
    *,
    apart: Sequence[str],
    margin: float = SIMILAR,
    upto: float | None = None,
) -> Comparison:
    """Compare two families by their points, as far as both reach. apart: what tells families apart."""
    reach = min(reach_of(points, apart) for points in (of_a, of_b))
    reach = reach if upto is None else min(reach, upto)
    if not reach > 0:
        raise ValueError(f"{a} and {b}: one of them never leaves the reference, so there is nothing to compare")
    grid = np.linspace(0.0, reach, POINTS)
    return compare_curves(a, b, *(curves_at(points, apart, grid) for points in (of_a, of_b)), margin=margin)


def compare_curves(a: Any, b: Any, of_a: Curves, of_b: Curves, *, margin: float = SIMILAR) -> Comparison:
    """Compare two families by their curves at the same KL; see `compare`."""
    difference, noise, seeds = paired_differences(of_a, of_b)
    if not seeds:
        raise ValueError(f"{a} and {b}: have no seed in common, so they cannot be compared draw by draw")
    estimate = mean_of(mean_over_kl(difference, of_a.kl), float(np.sqrt((noise**2).mean())))
    low, high = estimate.interval()
    p, smallest = equivalence(estimate, margin)
    places = tuple(
        mean_of(values, float(shared)) for values, shared in zip(difference.T[TENTHS], noise[TENTHS], strict=True)
    )
    level = 1 - (1 - LEVEL) / len(places)
    band = np.array([each.interval(level) for each in places]).T
    mean = np.array([each.value for each in places])
    return Comparison(
        a=a,
        b=b,
        difference=estimate.value,
        low=low,
        high=high,
        estimate=estimate,
        at_tenths=places,
        p=p_value(estimate),
        margin=margin,
        equivalence_p=p,
        smallest_margin=smallest,
        smallest_everywhere=max(equivalence(each, margin)[1] for each in places),
        least=float(mean.min()),
        least_low=float(band[0].min()),
        most=float(mean.max()),
        most_high=float(band[1].max()),
        above=float((band[0] > 0).mean()),
        below=float((band[1] < 0).mean()),
        reach=float(of_a.kl[-1]),
        seeds=seeds,
    )


def mean_over_kl(difference: Array, kl: Array) -> Array:
    """The mean over KL of differences [S, G] at kl [G], the area divided by the reach, [S]."""
    return np.trapezoid(difference, kl, axis=1) / float(kl[-1])


def p_value(estimate: Estimate) -> float:
    """Two-sided, of no difference; NaN where nothing is known of the error."""
    if not estimate.known:
        return np.nan
    opposite = replace(estimate, value=-estimate.value)
    return min(1.0, 2 * min(estimate.beyond(0.0), opposite.beyond(0.0)))


def compare_all(
    curves: pd.DataFrame,
    by: Names = "loss",
    *,
    pool: Names = (),
    margin: float = SIMILAR,
    upto: float | None = None,
) -> pd.DataFrame:
    """Every two values of `by` compared: the fields of Comparison that are numbers, and its verdict.

    Each value of whatever else varies, and is not in `pool`, has rows and a column of its own. Pairs that have no seed
    in common, or of which one never leaves the reference, are left out.
    """
    check_above_zero(margin=margin, upto=upto)
    families = families_of(curves, by, pool=pool)
    count, rows = len(families.by), []
    for (first, of_a), (second, of_b) in combinations(families.each, 2):
        a, b = (value[0] if count == 1 else value[:count] for value in (first, second))
        here = dict(zip(families.further, first[count:], strict=True))
        if not equal_or_missing(first[count:], second[count:]):
            continue
        with suppress(ValueError):
            found = compare_families(a, b, of_a, of_b, apart=families.distinguishing, margin=margin, upto=upto)
            rows.append(here | vars(replace(found, pooled=families.pooled)) | {"verdict": found.verdict})
    left_out = ("estimate", "at_tenths", *(() if families.pooled else ("pooled",)))
    names = [name for name in Comparison.__dataclass_fields__ if name not in left_out]
    return pd.DataFrame(rows, columns=[*families.further, *names, "verdict"])


def equal_or_missing(some: Sequence[Any], others: Sequence[Any]) -> bool:
    """Whether values are the same, or missing in both."""
    return all(one == other or (pd.isna(one) and pd.isna(other)) for one, other in zip(some, others, strict=True))
