"""Lengths and gold of losses at one KL: what policies that write longer or shorter have, and have at equal length.

Where every response is listed and may end early. Losses are compared at one KL, the largest that all of them reach; one
that reaches less than SHORT of the median reach is left out (analysis/statistics/common_curve.py). There the curve of
each draw over KL is read off, as in analysis/statistics/frontier.py, for three columns: the length beyond that of the
reference, gold, and gold at the reference's lengths. Gold less the last is what lengths give.

Shapes: S draws.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.records.load import further_axes, without_diverged
from analysis.records.names import losses_of
from analysis.records.parts import parts_of
from analysis.statistics.common_curve import far_reaching
from analysis.statistics.frontier import families_of
from analysis.statistics.intervals import Estimate, mean_of
from analysis.statistics.tradeoff_curves import curves_at, reach_of

BASELINE, BIAS = "logistic", "length_bias"
COLUMNS = ("length", "gold", "gold_equal_length")

Array = np.ndarray


@dataclass(frozen=True, kw_only=True)
class AtKL:
    """Losses at one KL, by rising gold: each of COLUMNS, [S], with the length less that of the reference.

    draws: what each seed of a world is called, [S]. still: the losses that stay near the reference, and are not
    compared. kl: in nats.
    """

    kl: float
    each: Mapping[str, Mapping[str, Array]]
    draws: tuple[object, ...]
    still: tuple[str, ...]

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
        still = tuple(name for name in self.reach if name not in losses)
        return AtKL(kl=kl, each=ranked, draws=tuple(draws), still=still) if draws else None


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


def ends_of_bias(pairs: pd.DataFrame) -> tuple[tuple[float, AtKL], tuple[float, AtKL]] | None:
    """The least and the largest bias, at the first values of the other axes: the losses that both have, at one KL.

    Runs that have no bias in their row have none in their labels.
    """
    if BIAS not in further_axes(pairs):
        return None
    parts = [({BIAS: 0.0} | at, part) for at, part in parts_of(pairs)]
    others = [{name: value for name, value in at.items() if name != BIAS} for at, _ in parts]
    here = [item for item, other in zip(parts, others, strict=True) if other == others[0]]
    biases = {float(str(at[BIAS])): part for at, part in here}
    (least, first), (most, second) = ((bias, biases[bias]) for bias in (min(biases), max(biases)))
    of_first, of_last = of_losses(first), of_losses(second)
    both = [name for name in of_first.far if name in of_last.far]
    if not both or least == most:
        return None
    kl = min(found.reach[name] for found in (of_first, of_last) for name in both)
    low, high = of_first.at(both, kl), of_last.at(both, kl)
    return ((least, low), (most, high)) if low and high and {*low.draws} & {*high.draws} else None


def less(a: AtKL, b: AtKL, column: str) -> Estimate:
    """A column of a less that of b, in the mean over losses, paired over draws."""
    of_a, of_b = (dict(zip(each.draws, each.mean(column), strict=True)) for each in (a, b))
    return mean_of([of_a[draw] - of_b[draw] for draw in of_a if draw in of_b])
