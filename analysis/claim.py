"""Published claims, and how records judge them.

A claim is a function from records to estimates, with a rule written beside it, which is not changed to make data fit. A
rule looks at intervals alone:

    above(x)     holds if the 95 % interval lies above x, fails if it lies below
    below(x)     holds if it lies below x, fails if it lies above
    within(m)    holds if the 90 % interval lies within -m to m (two one-sided tests at 5 %), fails if it lies outside
    outside(m)   holds if the 95 % interval lies outside -m to m, on either side, fails if it lies within

and is undecided otherwise, as it is where there is no interval. What is claimed of several losses, or sizes, has an
estimate for each: it holds if the rule holds for every one (an intersection-union test, which needs no correction), and
fails if it fails for any at a level corrected for their number (Bonferroni). The number told is that of the one that
speaks least for the claim, or that it fails for.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import pandas as pd

from analysis.intervals import Estimate
from analysis.results import ResultsError, load, load_beside, load_proxies

VERDICTS = ("holds", "fails", "undecided")

Interval = tuple[float, float]


class UnknownError(ValueError):
    """The records cannot tell; the text says why."""


@dataclass(frozen=True)
class Records:
    """What claims are judged by. folder: None where only curves are at hand."""

    curves: pd.DataFrame
    folder: Path | None = None

    @cached_property
    def proxies(self) -> pd.DataFrame:
        """The proxy reward models. Raises UnknownError where there are none."""
        if self.folder is None or not (self.folder / "proxies.parquet").exists():
            raise UnknownError("there is no table of proxies")
        return load_proxies(self.folder)

    @cached_property
    def runs(self) -> pd.DataFrame:
        """One row a run, with all settings. Raises UnknownError where it is not there."""
        runs = pd.DataFrame() if self.folder is None else load_beside(self.folder, "runs")
        if runs.empty:
            raise UnknownError("there is no table of runs")
        return runs


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What a claim is judged by: an estimate for each thing that it is claimed of, by its name."""

    estimates: Mapping[str, Estimate]
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Rule:
    """When a claim holds. slack(low, high): how far an interval is inside, above 0 where the claim holds.

    against(low, high): above 0 where it fails. level: of the interval.
    """

    text: str
    slack: Callable[[float, float], float]
    against: Callable[[float, float], float]
    level: float = 0.95


def above(x: float) -> Rule:
    """More than x."""
    return Rule(
        text=f"holds if the 95 % interval lies above {x:g}, fails if it lies below",
        slack=lambda low, high: low - x,
        against=lambda low, high: x - high,
    )


def below(x: float) -> Rule:
    """Less than x."""
    return Rule(
        text=f"holds if the 95 % interval lies below {x:g}, fails if it lies above",
        slack=lambda low, high: x - high,
        against=lambda low, high: low - x,
    )


def within(margin: float) -> Rule:
    """Equivalent to 0."""
    return Rule(
        text=f"holds if the 90 % interval lies within -{margin:g} to {margin:g}, fails if it lies outside",
        slack=lambda low, high: margin - max(-low, high),
        against=lambda low, high: max(low, -high) - margin,
        level=0.9,
    )


def outside(margin: float) -> Rule:
    """Different from 0 by more than a margin."""
    return Rule(
        text=f"holds if the 95 % interval lies outside -{margin:g} to {margin:g}, fails if it lies within",
        slack=lambda low, high: max(low, -high) - margin,
        against=lambda low, high: margin - max(-low, high),
    )


@dataclass(frozen=True, kw_only=True)
class Claim:
    """One published claim. source: paper and place. part: of the experiment, whose sweep it is judged by.

    estimate: raises UnknownError where records cannot tell. unit: of what it estimates.
    """

    name: str
    statement: str
    source: str
    unit: str
    rule: Rule
    estimate: Callable[[Records], Finding]
    part: str = ""


@dataclass(frozen=True, kw_only=True)
class Part:
    """One sweep of an experiment. config: its file in configs/. quick: keys that make it small, as KEY=VALUE."""

    config: str
    quick: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Paper:
    """A published experiment: what it is, the sweeps that stand for it, by name, and its claims.

    worked: figures of worked computations that belong to it, by their names in analysis/figures.
    """

    title: str
    parts: Mapping[str, Part]
    claims: tuple[Claim, ...]
    worked: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """A claim judged: holds, fails or undecided; the estimate that speaks least for it, its interval, its seeds."""

    verdict: str
    estimate: float | None = None
    interval: Interval | None = None
    seeds: int | None = None
    note: str = ""


def judge(rule: Rule, finding: Finding) -> Verdict:
    """The verdict of a rule on what was found."""
    each = finding.estimates
    if not each:
        return Verdict(verdict="undecided", note=finding.note)
    intervals = {name: estimate.interval(rule.level) for name, estimate in each.items()}
    unknown = [name for name, estimate in each.items() if not estimate.known]
    if unknown:
        first = each[unknown[0]]
        single = len(unknown) == len(each) and all(estimate.freedom < 1 for estimate in each.values())
        said = "one seed: no interval" if single else f"no interval for {', '.join(unknown)}"
        return Verdict(verdict="undecided", estimate=first.value, note=joined(said, finding.note))
    stricter = 1 - (1 - rule.level) / len(each)
    against = {name: rule.against(*estimate.interval(stricter)) for name, estimate in each.items()}
    weakest = min(intervals, key=lambda name: rule.slack(*intervals[name]))
    worst = max(against, key=lambda name: against[name])
    verdict, shown = "undecided", weakest
    if all(rule.slack(*interval) > 0 for interval in intervals.values()):
        verdict = "holds"
    elif against[worst] > 0:
        verdict, shown = "fails", worst
    told = f"{'fails' if shown == worst and verdict == 'fails' else 'least'} for {shown}, of {len(each)}"
    corrected = f"one fails at {100 * stricter:.3g} %"
    told = f"{told}: all have to hold, {corrected}" if len(each) > 1 else ""
    return Verdict(
        verdict=verdict,
        estimate=each[shown].value,
        interval=intervals[shown],
        seeds=each[shown].freedom + 1 if each[shown].freedom > 0 else None,
        note=joined(told, finding.note),
    )


def joined(*notes: str) -> str:
    """Notes as one."""
    return "; ".join(filter(None, notes))


def decide(claim: Claim, records: Records) -> Verdict:
    """The verdict on a claim; undecided where the records cannot tell."""
    try:
        found = judge(claim.rule, claim.estimate(records))
    except ResultsError:
        raise
    except ValueError as error:
        return Verdict(verdict="undecided", note=str(error))
    return replace(found, note=joined(found.note, lost_in(records)))


def lost_in(records: Records) -> str:
    """What is left out of the records since it diverged."""
    curves = records.curves
    lost = curves.loc[curves["status"] == "diverged", "run_id"].nunique()
    return (
        f"{lost} of {curves.loc[curves['method'] != 'oracle', 'run_id'].nunique()} runs diverged and are left out"
        if lost
        else ""
    )


def records_in(folder: Path) -> Records:
    """The records of a result directory. Raises ResultsError."""
    return Records(load(folder), folder)
