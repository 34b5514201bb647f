"""Does gold rise and then fall as training goes on, at the weakest regularization?

Of one loss that is named in advance: logistic (DPO), or the first that the sweep has. At its smallest beta, along
training, with the peak and the fall of analysis/statistics/peaks.py.

    fell        the interval of the fall lies above 0; from the start, if gold was never above the reference
    stayed      it lies below SIMILAR, so gold ends about as high as it was, or its peak is the end of training
    not sure    neither; then how many seeds would show the fall, if it is what it seems
"""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.headline.statement import Statement, brief, near, would_tell
from analysis.records.load import without_diverged
from analysis.records.names import loss_label, losses_of
from analysis.statistics.comparison import SIMILAR
from analysis.statistics.intervals import Estimate
from analysis.statistics.peaks import peaks
from analysis.statistics.power import seeds_to_differ
from analysis.statistics.tradeoffs import oracle_at

FIRST = "logistic"


def shown_loss(curves: pd.DataFrame) -> str:
    """The loss that the headline is about."""
    losses = losses_of(without_diverged(curves[["run_id", "method", "loss", "status"]]))
    return FIRST if FIRST in losses else losses[0]


def weakest(curves: pd.DataFrame) -> pd.DataFrame:
    """The runs of each loss at its smallest beta; all runs of losses that have none."""
    rows = without_diverged(curves.reset_index(drop=True)[["run_id", "method", "loss", "beta", "status"]])
    kept = rows["beta"].isna() | (rows["beta"] == rows.groupby("loss")["beta"].transform("min"))
    return curves.iloc[rows.index[kept]]


@dataclass(frozen=True, kw_only=True)
class Path:
    """The path of one loss at its smallest beta: a row of `peaks`, as words. at_start, at_end: where its peak is."""

    row: pd.Series
    peak: str  # with its error
    fall: str
    at_start: bool
    at_end: bool

    @property
    def seeds(self) -> int:
        """How many there are."""
        return int(self.row["seeds"])

    def enough(self, name: str) -> int | None:
        """How many seeds would show that its peak, or its fall, is not 0."""
        error = Estimate(value=self.row[name], error=self.row[f"{name}_se"], degrees_of_freedom=self.seeds - 1)
        return seeds_to_differ(error) if self.seeds > 1 else None


def path_of(curves: pd.DataFrame, loss: str, row: pd.Series) -> Path:
    """The path of a loss, from rows of training on pairs, and its row of `peaks`."""
    halves = {name: float(row[f"{name}_high"] - row[f"{name}_low"]) / 2 for name in ("peak_gold", "fall")}
    rows = weakest(curves)
    steps = rows.loc[rows["loss"] == loss, "step"]
    return Path(
        row=row,
        peak=brief(row["peak_gold"], halves["peak_gold"]),
        fall=brief(row["fall"], halves["fall"]),
        at_start=bool(row["peak_step"] == steps.min()),
        at_end=bool(row["peak_step"] == steps.max()),
    )


def told(path: Path, where: str, also: str) -> tuple[str, str, int | None, bool]:
    """The sentence and the title of a path, how many seeds would tell, and whether it is sure.

    also: of how many losses that fall is sure.
    """
    row, peak, fall = path.row, path.peak, path.fall
    far = f"near {near(float(row['peak_kl']))} nats"
    if row["fall_low"] > 0 and (path.at_start or not row["peak_gold"] > 0):
        return f"Gold falls from the start, by {fall} ({where})", f"Gold falls from the start, by {fall}", None, True
    if not row["peak_gold_low"] > 0 and path.seeds > 1:
        needed = path.enough("peak_gold")
        tell = f"; {would_tell(needed, path.seeds)}" if row["peak_gold"] > 0 else ""
        text = f"It is not sure whether gold rises at all: its peak is {peak}, {far} ({where}{tell})"
        return text, f"A rise of gold is not sure: its peak is {peak}", needed, False
    rose = f"Gold rose to {peak} deviations {far}"
    if row["fall_low"] > 0:
        return (
            f"{rose} and then fell by {fall} ({where}{also})",
            f"Gold rises to {peak}, then falls by {fall}",
            None,
            True,
        )
    if row["fall_high"] < SIMILAR and path.at_end:
        text = f"{rose}, at the end of training ({where}): no fall was seen"
        return text, f"Gold rises to {peak} by the end of training", None, True
    if row["fall_high"] < SIMILAR:
        text = f"{rose}, and ended within {SIMILAR:g} of that, at {near(row['end_kl'])} nats ({where})"
        return text, f"Gold rises to {peak}, and ends within {SIMILAR:g} of it", None, True
    needed = path.enough("fall")
    text = f"{rose}; whether it then falls is not sure ({fall}; {would_tell(needed, path.seeds)}; {where})"
    return text, f"Gold rises to {peak}; a fall is not sure ({fall})", needed, False


def rise_and_fall(curves: pd.DataFrame, place: str = "") -> Statement:
    """The statement, from rows of training on pairs at one combination of further axes, with the oracle's.

    place: that combination, such as `label noise 0.1`.
    """
    loss, table = shown_loss(curves), peaks(weakest(curves))
    row = table[table["loss"] == loss].iloc[0]
    best = float(oracle_at(curves, np.array([float(row["peak_kl"])]))[0])
    fallen = int((table["fall_low"] > 0).sum())
    beta = "" if pd.isna(row["beta"]) else f"β {row['beta']:g}"
    where = ", ".join(filter(None, [loss_label(loss), beta, place]))
    also = f"; the fall is sure for {fallen} of {len(table)} losses" if len(table) > 1 else ""
    text, title, needed, sure = told(path_of(curves, loss, row), where, also)
    if math.isfinite(best) and row["peak_gold"] > 0:
        text += f"; the best possible policy has {best:.1f} there"
    numbers = {
        "loss": loss,
        "beta": None if pd.isna(row["beta"]) else float(row["beta"]),
        **{name: float(row[name]) for name in ("peak_gold", "peak_gold_low", "peak_gold_high", "peak_kl")},
        **{name: float(row[name]) for name in ("fall", "fall_low", "fall_high", "end_gold", "end_kl")},
        "oracle_gold": best,
        "losses_that_fall": fallen,
        "losses": len(table),
    }
    return Statement(topic="rise_and_fall", text=text, title=title, sure=sure, numbers=numbers, seeds=needed)
