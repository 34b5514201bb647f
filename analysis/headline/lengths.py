"""Which losses make responses longer, and what is left of gold at the lengths that the reference speaks?

Where every response is listed and may end early. Losses are compared at one KL, the largest that all of them reach; one
that reaches less than SHORT of the median reach is left out (analysis/statistics/common_curve.py). There the curve of
each draw over KL is read off, as in analysis/statistics/frontier.py, for three columns: the length beyond that of the
reference, gold, and gold at the reference's lengths. Gold less the last is what lengths give.

A loss surely makes responses longer or shorter than the baseline does (logistic, or else the first loss) where the
interval of the difference, paired over draws and corrected for the number of losses (Bonferroni), leaves 0 out.
Labellers of several length biases are compared in the mean over losses, at one KL, the last bias against the first,
where other axes have their first values.

Shapes: S draws.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from analysis.headline.statement import Number, Statement, brief, near, would_tell
from analysis.records.load import further_axes, without_diverged
from analysis.records.names import axis_label, in_words, listed, loss_label, losses_of, value_text
from analysis.records.parts import parts_of
from analysis.statistics.common_curve import far_reaching
from analysis.statistics.frontier import families_of
from analysis.statistics.intervals import LEVEL, Estimate, mean_of
from analysis.statistics.power import seeds_to_differ
from analysis.statistics.tradeoff_curves import curves_at, reach_of

BASELINE, BIAS = "logistic", "length_bias"
COLUMNS = ("length", "gold", "gold_equal_length")
MOST = 2  # losses on either side that are named

Array = np.ndarray
At = dict[str, Any]  # values of further axes


@dataclass(frozen=True, kw_only=True)
class AtKL:
    """Losses at one KL, by rising gold: each of COLUMNS, [S], with the length less that of the reference.

    draws: what each seed of a world is called, [S]. still: how many losses hardly leave the reference, and are not
    compared. kl: in nats.
    """

    kl: float
    each: Mapping[str, Mapping[str, Array]]
    draws: tuple[object, ...]
    still: int

    @property
    def baseline(self) -> str:
        """The loss that others are compared with."""
        return BASELINE if BASELINE in self.each else losses_of(pd.DataFrame({"loss": list(self.each)}))[0]

    def mean(self, column: str) -> Array:
        """The mean of a column over losses, [S]."""
        return np.mean([values[column] for values in self.each.values()], axis=0)

    def longer(self) -> dict[str, Estimate]:
        """The length of each loss less that of the baseline, paired over draws, the longest first."""
        usual = self.each[self.baseline]["length"]
        found = {name: mean_of(own["length"] - usual) for name, own in self.each.items() if name != self.baseline}
        return dict(sorted(found.items(), key=lambda item: -item[1].value))


def beyond_reference(curves: pd.DataFrame) -> pd.DataFrame:
    """The rows of training on pairs, with the length less that at the first checkpoint, which is the reference's.

    No rows where responses are not listed, or none ends early.
    """
    if not {*COLUMNS} <= {*curves}:
        return curves.iloc[:0]
    rows = without_diverged(curves)
    rows = rows[rows["method"].eq("gpo") & rows["gold_equal_length"].notna()].sort_values("step", kind="stable")
    return rows.assign(length=rows["length"] - rows.groupby("run_id")["length"].transform("first"))


def as_gold(rows: pd.DataFrame, column: str) -> pd.DataFrame:
    """The rows with one of COLUMNS, all of which are exact, in the place of gold."""
    return rows.assign(gold=rows[column], gold_se=0.0)


@dataclass(frozen=True, kw_only=True)
class Families:
    """The points of each loss across beta, of curves at one combination of further axes, and the KL that all reach."""

    points: Mapping[str, pd.DataFrame]
    reach: Mapping[str, float]
    apart: tuple[str, ...]  # settings that tell losses apart

    @property
    def far(self) -> list[str]:
        """The losses that leave the reference far enough to be compared."""
        return [name for name in far_reaching(dict(self.reach)) if self.reach[name] > 0]

    def at(self, losses: Sequence[str], kl: float) -> AtKL | None:
        """These losses at a KL that they reach; None where they have no draw in common."""
        read: dict[str, dict[str, dict[object, float]]] = {}
        for name in losses:
            found = [curves_at(as_gold(self.points[name], column), self.apart, np.array([kl])) for column in COLUMNS]
            read[name] = {
                column: dict(zip(each.draws, each.gold[:, 0], strict=True))
                for column, each in zip(COLUMNS, found, strict=True)
            }
        draws = [draw for draw in read[losses[0]]["gold"] if all(draw in own["gold"] for own in read.values())]
        each = {
            name: {column: np.array([values[draw] for draw in draws]) for column, values in own.items()}
            for name, own in read.items()
        }
        ranked = dict(sorted(each.items(), key=lambda item: float(item[1]["gold"].mean()))) if draws else {}
        return AtKL(kl=kl, each=ranked, draws=tuple(draws), still=len(self.reach) - len(losses)) if draws else None


def of_losses(curves: pd.DataFrame) -> Families:
    """The losses of curves at one combination of further axes; none where responses have one length."""
    rows = beyond_reference(curves)
    if rows.empty:
        return Families(points={}, reach={}, apart=())
    found = families_of(rows, "loss")
    points = {value[0]: table for value, table in found.each}
    reach = {name: reach_of(table, found.distinguishing) for name, table in points.items()}
    return Families(points=points, reach=reach, apart=found.distinguishing)


def lengths_at_kl(curves: pd.DataFrame) -> AtKL | None:
    """The losses at the KL that all reach, of curves at one combination of further axes.

    None where responses have one length, or no loss leaves the reference.
    """
    found = of_losses(curves)
    return found.at(found.far, min(found.reach[name] for name in found.far)) if found.far else None


def lengths(pairs: pd.DataFrame) -> list[Statement]:
    """Two statements at the first values of further axes: which losses lengthen, and what that does to gold.

    The second is on length-biased labellers where there are some. None where responses have one length.
    """
    at, part = parts_of(pairs)[0]
    found = lengths_at_kl(part)
    if found is None:
        return []
    place = ", ".join(f"{axis_label(name)} {value_text(value)}" for name, value in at.items())
    biased = length_biased_labels(pairs)
    return [lengths_apart(found, place), biased or equal_length(found, place)]


def place_of(found: AtKL, place: str) -> str:
    """At which KL, and where."""
    still = f"; {in_words(found.still)} hardly {'leave' if found.still > 1 else 'leaves'} the reference"
    return f"at {near(found.kl)} nats{f', {place}' if place else ''}{still if found.still else ''}"


def amount(estimate: Estimate) -> str:
    """An estimate with half of its interval."""
    low, high = estimate.interval()
    return brief(estimate.value, (high - low) / 2)


def size(estimate: Estimate) -> str:
    """The same without its sign."""
    return amount(estimate).removeprefix("−")


def signed(estimate: Estimate) -> str:
    """The same with a sign."""
    return f"{'−' if estimate.value < 0 else '+'}{size(estimate)}"


def leaves_out_0(estimate: Estimate, families: int = 1) -> bool:
    """Whether its interval, corrected for so many families, leaves 0 out."""
    low, high = estimate.interval(1 - (1 - LEVEL) / families)
    return low > 0 or high < 0


def lengths_apart(found: AtKL, place: str = "") -> Statement:
    """Which losses surely make responses longer, or shorter, than the baseline does."""
    differences = found.longer()
    sure = {name: each for name, each in differences.items() if leaves_out_0(each, len(differences))}
    longer = [name for name, each in sure.items() if each.value > 0]
    shorter = [name for name, each in reversed(sure.items()) if each.value < 0]
    base, own = loss_label(found.baseline), mean_of(found.each[found.baseline]["length"])
    if leaves_out_0(own):
        way = "longer" if own.value > 0 else "shorter"
        parts = [f"{base} makes responses {size(own)} tokens {way} ({place_of(found, place)})"]
    else:
        parts = [f"whether {base} changes lengths is not sure ({signed(own)} tokens, {place_of(found, place)})"]
    if longer:
        parts.append(f"those of {those(longer, differences)} are longer than that")
    if shorter:
        parts.append(f"those of {those(shorter, differences)} are shorter{'' if longer else ' than that'}")
    unsure, others = len(differences) - len(sure), "other " if sure else ""
    if unsure:
        parts.append(f"for {in_words(unsure)} {others}loss{'es' * (unsure > 1)} no difference from it is sure")
    title = f"No loss surely differs from {base} in length" if differences else f"Lengths under {base}"
    if sure:
        made = [f"{makers(names)} {word}" for names, word in ((longer, "longer"), (shorter, "shorter")) if names]
        title = f"{made[0]} responses than {base}{''.join(f', {more} ones' for more in made[1:])}"
    numbers: dict[str, Number] = {"kl": found.kl, found.baseline: own.value}
    numbers |= {f"{name} less {found.baseline}": each.value for name, each in differences.items()}
    return Statement(topic="length", text="; ".join(parts), title=title, sure=not unsure, numbers=numbers)


def those(names: Sequence[str], differences: Mapping[str, Estimate]) -> str:
    """Losses and their differences, the first of them by name."""
    rest = len(names) - MOST
    named = [f"{loss_label(name)} ({signed(differences[name])})" for name in names[:MOST]]
    return listed([*named, *([f"{in_words(rest)} other{'s' * (rest > 1)}"] if rest > 0 else [])])


def makers(names: Sequence[str]) -> str:
    """Losses by name, or how many where there are more than MOST, and what they do."""
    who = listed([loss_label(name) for name in names]) if len(names) <= MOST else f"{in_words(len(names))} losses"
    return f"{who} make{'' if len(names) > 1 else 's'}"


def equal_length(found: AtKL, place: str = "") -> Statement:
    """What of gold is left at the reference's lengths, in the mean over losses."""
    whole, left = mean_of(found.mean("gold")), mean_of(found.mean("gold_equal_length"))
    by_length = mean_of(found.mean("gold") - found.mean("gold_equal_length"))
    sure = leaves_out_0(by_length)
    where = f"mean over {in_words(len(found.each))} loss{'es' * (len(found.each) > 1)}, {place_of(found, place)}"
    text = f"of {amount(whole)} gold, {amount(left)} is left at the reference's lengths ({where})"
    needed = None if sure else seeds_to_differ(by_length)
    if not sure:
        text += f"; that lengths matter is not sure ({signed(by_length)}; {would_tell(needed, len(found.draws))})"
    numbers: dict[str, Number] = {"kl": found.kl, "gold": whole.value, "left": left.value, "by_length": by_length.value}
    title = f"Of {amount(whole)} gold, {amount(left)} is left at equal length"
    return Statement(topic="equal_length", text=text, title=title, sure=sure, numbers=numbers, seeds=needed)


def length_biased_labels(pairs: pd.DataFrame) -> Statement | None:
    """What labels of the last length bias do, less those of the first; None where no bias varies."""
    ends = ends_of_bias(pairs)
    if ends is None:
        return None
    (at, of_first), (last, of_last) = ends
    place = ", ".join(f"{axis_label(name)} {value_text(value)}" for name, value in at.items() if name != BIAS)
    longer, gold, equal = (less(of_last, of_first, column) for column in COLUMNS)
    tokens = f"{size(longer)} tokens {'longer' if longer.value > 0 else 'shorter'}"
    labels = f"labels with length bias {value_text(last[BIAS])} instead of {value_text(at[BIAS])}"
    if leaves_out_0(longer):
        text = f"{labels} make responses {tokens}"
    else:
        text = f"whether {labels} change lengths is not sure ({signed(longer)} tokens)"
    where = f"mean over {in_words(len(of_first.each))} losses, {place_of(of_first, place)}"
    sure = leaves_out_0(longer) and leaves_out_0(gold)
    needed = None if leaves_out_0(gold) else seeds_to_differ(gold)
    if leaves_out_0(gold):
        text += (
            f" and {'add' if gold.value > 0 else 'cost'} {size(gold)} gold, {signed(equal)} at equal length ({where})"
        )
    else:
        tell = would_tell(needed, len(of_first.draws))
        text += f"; what they do to gold is not sure ({signed(gold)}, {signed(equal)} at equal length; {where}; {tell})"
    title = f"Length-biased labels: {signed(longer)} tokens, {signed(gold)} gold"
    numbers: dict[str, Number] = {
        "kl": of_first.kl,
        **{column: less(of_last, of_first, column).value for column in COLUMNS},
    }
    return Statement(topic="length_bias", text=text, title=title, sure=sure, numbers=numbers, seeds=needed)


def ends_of_bias(pairs: pd.DataFrame) -> tuple[tuple[At, AtKL], tuple[At, AtKL]] | None:
    """The least and the largest bias, at the first values of the other axes: the losses that both have, at one KL.

    Runs that have no bias in their row have none in their labels.
    """
    if BIAS not in further_axes(pairs):
        return None
    parts = [({BIAS: 0.0} | at, part) for at, part in parts_of(pairs)]
    others = [{name: value for name, value in at.items() if name != BIAS} for at, _ in parts]
    here = [item for item, other in zip(parts, others, strict=True) if other == others[0]]
    (at, first), (last, second) = (choose(here, key=lambda item: float(str(item[0][BIAS]))) for choose in (min, max))
    of_first, of_last = of_losses(first), of_losses(second)
    both = [name for name in of_first.far if name in of_last.far]
    if not both or at == last:
        return None
    kl = min(found.reach[name] for found in (of_first, of_last) for name in both)
    low, high = of_first.at(both, kl), of_last.at(both, kl)
    return ((at, low), (last, high)) if low and high and {*low.draws} & {*high.draws} else None


def less(a: AtKL, b: AtKL, column: str) -> Estimate:
    """A column of a less that of b, in the mean over losses, paired over draws."""
    of_a, of_b = (dict(zip(each.draws, each.mean(column), strict=True)) for each in (a, b))
    return mean_of([of_a[draw] - of_b[draw] for draw in of_a if draw in of_b])
