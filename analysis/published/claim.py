"""Published claims, and how records judge them.

A claim is a function from records to estimates, with a rule written beside it, which is not changed to make data fit. A
rule looks at intervals alone:

    above(x)     holds if the 95 % interval lies above x, fails if it lies below
    below(x)     holds if it lies below x, fails if it lies above
    within(m)    holds if the 90 % interval lies within -m to m (two one-sided tests at 5 %), fails if it lies outside
    outside(m)   holds if the 95 % interval lies outside -m to m, on either side, fails if it lies within

and is undecided otherwise, as it is where there is no interval. A statement is worded as its rule: a bound names its
bound, "no difference" is equivalence on both sides, and what raises, lowers or improves something does so by a least
effect, LEAST or LEAST_RATIO; a smaller one counts as none.

What is claimed of several losses, or sizes, has an estimate for each: it holds if the rule holds for every one (an
intersection-union test, which needs no correction), and fails if it fails for any at a level corrected for their number
(Bonferroni). The number told is that of the one that speaks least for the claim, or that it fails for.

The p-value of a verdict is the smallest level at which it would be the same. Several claims of one paper are several
tests: analysis/published/holm.py says what is left of them with the correction of Holm 1979.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pandas as pd

from analysis.records.load import load_proxies, load_table
from analysis.statistics.intervals import Estimate

if TYPE_CHECKING:
    from analysis.published.ordering import Ordering

VERDICTS = ("holds", "fails", "undecided")
ALPHA = 0.05
LEAST = 0.05  # deviations of gold, or what else a claim's unit is; a smaller change counts as none
LEAST_RATIO = round(math.log(1.05), 3)  # the same of ratios: 5 %, as a logarithm

Interval = tuple[float, float]
Result = TypeVar("Result")


class UnknownError(ValueError):
    """The records cannot tell; the text says why."""


@dataclass(frozen=True)
class Records:
    """What claims are judged by. folder: None where only curves are at hand."""

    curves: pd.DataFrame
    folder: Path | None = None
    computed: dict[Callable[[Records], Any], Any] = field(default_factory=dict, repr=False, compare=False)

    def once(self, compute: Callable[[Records], Result]) -> Result:
        """What `compute` gives for these records: computed once, however many claims ask."""
        if compute not in self.computed:
            self.computed[compute] = compute(self)
        found: Result = self.computed[compute]
        return found

    @cached_property
    def proxies(self) -> pd.DataFrame:
        """The proxy reward models. Raises UnknownError where there are none."""
        if self.folder is None or not (self.folder / "proxies.parquet").exists():
            raise UnknownError("there is no table of proxies")
        return load_proxies(self.folder)

    @cached_property
    def runs(self) -> pd.DataFrame:
        """One row a run, with all settings. Raises UnknownError where it is not there."""
        runs = pd.DataFrame() if self.folder is None else load_table(self.folder, "runs")
        if runs.empty:
            raise UnknownError("there is no table of runs")
        return runs


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What a claim is judged by: an estimate for each thing that it is claimed of, by its name.

    ours: of a claim with an order, what was measured of each label; None elsewhere.
    """

    estimates: Mapping[str, Estimate]
    note: str = ""
    ours: Mapping[str, float] | None = None


Bounded = Callable[[float, float], float]
Tested = Callable[[Estimate], float]


@dataclass(frozen=True, kw_only=True)
class Rule:
    """When a claim holds. holds_by(low, high): how far an interval is inside, above 0 where the claim holds.

    fails_by(low, high): above 0 where it fails. level: of the interval. p_holds, p_fails: the smallest level at which
    an estimate would make it hold, or fail; NaN where nothing is known of its error.
    """

    text: str
    holds_by: Bounded
    fails_by: Bounded
    p_holds: Tested
    p_fails: Tested
    level: float = 0.95


def p_at_most(x: float) -> Tested:
    """The one-sided p-value against an estimate being at most x."""
    return lambda estimate: estimate.beyond(x)


def p_at_least(x: float) -> Tested:
    """The one-sided p-value against an estimate being at least x."""
    return lambda estimate: replace(estimate, value=-estimate.value).beyond(-x)


def two_sided(test: Tested) -> Tested:
    """The p-value at which an interval with two sides excludes a bound."""
    return lambda estimate: min(1.0, 2 * test(estimate))


def above(x: float) -> Rule:
    """More than x."""
    return Rule(
        text=f"holds if the 95 % interval lies above {x:g}, fails if it lies below",
        holds_by=lambda low, high: low - x,
        fails_by=lambda low, high: x - high,
        p_holds=two_sided(p_at_most(x)),
        p_fails=two_sided(p_at_least(x)),
    )


def below(x: float) -> Rule:
    """Less than x."""
    return Rule(
        text=f"holds if the 95 % interval lies below {x:g}, fails if it lies above",
        holds_by=lambda low, high: x - high,
        fails_by=lambda low, high: low - x,
        p_holds=two_sided(p_at_least(x)),
        p_fails=two_sided(p_at_most(x)),
    )


def p_equivalent(margin: float) -> Tested:
    """The p-value of two one-sided tests of an estimate being between -margin and margin."""
    return lambda estimate: max(p_at_most(-margin)(estimate), p_at_least(margin)(estimate))


def p_different(margin: float) -> Tested:
    """The one-sided p-value against an estimate being between -margin and margin."""
    return lambda estimate: min(p_at_most(margin)(estimate), p_at_least(-margin)(estimate))


def within(margin: float) -> Rule:
    """Equivalent to 0."""
    return Rule(
        text=f"holds if the 90 % interval lies within -{margin:g} to {margin:g}, fails if it lies outside",
        holds_by=lambda low, high: margin - max(-low, high),
        fails_by=lambda low, high: max(low, -high) - margin,
        p_holds=p_equivalent(margin),
        p_fails=p_different(margin),
        level=0.9,
    )


def outside(margin: float) -> Rule:
    """Different from 0 by more than a margin."""
    return Rule(
        text=f"holds if the 95 % interval lies outside -{margin:g} to {margin:g}, fails if it lies within",
        holds_by=lambda low, high: max(low, -high) - margin,
        fails_by=lambda low, high: margin - max(-low, high),
        p_holds=two_sided(p_different(margin)),
        p_fails=two_sided(p_equivalent(margin)),
    )


@dataclass(frozen=True, kw_only=True)
class Claim:
    """One published claim. source: paper and place. part: of the experiment, whose sweep it is judged by.

    estimate: raises UnknownError where records cannot tell. unit: of what it estimates. ours: whether it is a claim of
    ours beside those of the paper, which is then no test of the paper's (analysis/published/holm.py). order: the
    published order that it asks for (analysis/published/ordering.py); None elsewhere.
    """

    name: str
    statement: str
    source: str
    unit: str
    rule: Rule
    estimate: Callable[[Records], Finding]
    part: str = ""
    ours: bool = False
    order: Ordering | None = None


@dataclass(frozen=True, kw_only=True)
class Part:
    """One sweep of an experiment. config: its file in configs/. quick: keys that make it small, as KEY=VALUE."""

    config: str
    quick: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Paper:
    """A published experiment: what it is, the sweeps that stand for it, by name, and its claims.

    examples: figures of worked computations that belong to it, by their names in analysis/figures.
    """

    title: str
    parts: Mapping[str, Part]
    claims: tuple[Claim, ...]
    examples: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """A claim judged: holds, fails or undecided; the estimate that speaks least for it, its interval, its seeds.

    p: the smallest level at which the verdict would be the same; of an undecided one, at which there would be one.
    needed: about how many seeds would decide an undecided one; None where that is not known, or too many. ours: of a
    claim with an order, what was measured of each label.
    """

    verdict: str
    estimate: float | None = None
    interval: Interval | None = None
    seeds: int | None = None
    p: float | None = None
    needed: int | None = None
    note: str = ""
    ours: Mapping[str, float] | None = None
