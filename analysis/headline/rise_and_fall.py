"""Does gold rise and then fall as training goes on, at the weakest regularization?

Of one loss that is named in advance: logistic (DPO), or the first that the sweep has. At its smallest beta, along
training, with the peak and the fall of analysis/statistics/peaks.py.

    fell        the interval of the fall lies above 0
    stayed      it lies below SIMILAR, so gold ends about as high as it was
    not sure    neither; then how many seeds would show the fall, if it is what it seems
"""

import math
from dataclasses import replace

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
    losses = losses_of(without_diverged(curves))
    return FIRST if FIRST in losses else losses[0]


def weakest(curves: pd.DataFrame) -> pd.DataFrame:
    """The runs of each loss at its smallest beta; all runs of losses that have none."""
    rows = without_diverged(curves)
    return rows[rows["beta"].isna() | (rows["beta"] == rows.groupby("loss")["beta"].transform("min"))]


def rise_and_fall(curves: pd.DataFrame, place: str = "") -> Statement:
    """The statement, from rows of training on pairs at one combination of further axes, with the oracle's.

    place: that combination, such as `label noise 0.1`.
    """
    loss, table = shown_loss(curves), peaks(weakest(curves))
    row = table[table["loss"] == loss].iloc[0]
    half, fall_half = (float(row[f"{name}_high"] - row[f"{name}_low"]) / 2 for name in ("peak_gold", "fall"))
    seeds, peak_kl = int(row["seeds"]), float(row["peak_kl"])
    best = float(oracle_at(curves, np.array([peak_kl]))[0])
    fallen = table.loc[table["fall_low"] > 0, "loss"].tolist()
    beta = "" if pd.isna(row["beta"]) else f"β {row['beta']:g}"
    where = ", ".join(filter(None, [loss_label(loss), beta, place]))
    peak, fall = brief(row["peak_gold"], half), brief(row["fall"], fall_half)
    error = Estimate(value=row["fall"], error=row["fall_se"], degrees_of_freedom=seeds - 1)
    needed = seeds_to_differ(error) if seeds > 1 else None
    rose = f"rose to {peak} deviations near {near(peak_kl)} nats"
    sure = True
    if not row["peak_gold_low"] > 0 and seeds > 1:
        sure, needed = False, seeds_to_differ(replace(error, value=row["peak_gold"], error=row["peak_gold_se"]))
        tell = would_tell(needed, seeds)
        text = f"Whether gold rises at all is not sure: its peak is {peak}, near {near(peak_kl)} nats ({where}; {tell})"
        title = f"A rise of gold is not sure: its peak is {peak}"
    elif row["fall_low"] > 0:
        text = f"Gold {rose} and then fell by {fall} ({where}"
        if len(table) > 1:
            text += f"; the fall is sure for {len(fallen)} of {len(table)} losses"
        text += ")"
        title = f"Gold rises to {peak}, then falls by {fall}"
    elif row["fall_high"] < SIMILAR:
        text = f"Gold {rose} and ended within {SIMILAR:g} of that, at {near(row['end_kl'])} nats ({where})"
        title = f"Gold rises to {peak} and stays there"
    else:
        sure, tell = False, would_tell(needed, seeds)
        text = f"Gold {rose}; whether it then falls is not sure ({fall}; {tell}; {where})"
        title = f"Gold rises to {peak}; a fall is not sure ({fall})"
    if math.isfinite(best):
        text += f"; the best possible policy has {best:.1f} there"
    numbers = {
        "loss": loss,
        "beta": None if pd.isna(row["beta"]) else float(row["beta"]),
        **{name: float(row[name]) for name in ("peak_gold", "peak_gold_low", "peak_gold_high", "peak_kl")},
        **{name: float(row[name]) for name in ("fall", "fall_low", "fall_high", "end_gold", "end_kl")},
        "oracle_gold": best,
        "losses_that_fall": len(fallen),
        "losses": len(table),
    }
    return Statement(
        topic="rise_and_fall", text=text, title=title, sure=sure, numbers=numbers, seeds=None if sure else needed
    )
