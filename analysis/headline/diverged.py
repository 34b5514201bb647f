"""Which runs diverged, and the likely cause.

A cause is read from the loss: where |f'| at z = -6 is more than STEEP times that at z = -3, f grows like an exponential
and a pair far on the wrong side overflows. Where |f'| grows, each step at a learning rate that is too large throws such
a pair farther. Else the learning rate alone is too large.
"""

import numpy as np
import pandas as pd

from analysis.headline.statement import Statement
from analysis.records.load import trained_rows, variants
from analysis.records.names import listed, loss_label

STEEP = 4.0
FAR, NEAR = -6.0, -3.0
MOST = 3  # losses that are named


def diverged(curves: pd.DataFrame, functions: pd.DataFrame) -> Statement | None:
    """The statement; None where no run diverged. functions: loss, z, slope; may be empty."""
    if not (curves["status"] == "diverged").any():
        return None
    runs = variants(curves)
    runs = runs[runs["method"] != "oracle"]
    lost = runs.loc[runs["status"] == "diverged"].drop_duplicates("run_id")
    if lost.empty:
        return None
    count, every = len(lost), runs["run_id"].nunique()
    names = lost["loss"].fillna(lost["method"])
    parts = []
    for name, some in lost.groupby(names.to_numpy(), sort=False):
        betas = sorted(some["beta"].dropna().unique())
        at = f" at β {listed([f'{beta:g}' for beta in betas[:MOST]])}" if betas else ""
        parts.append(f"{loss_label(str(name))}{at}: {cause(str(name), functions, lowest_z(trained_rows(runs), some))}")
    left = len(parts) - MOST
    more = f"; and {left} more loss{'es' * (left > 1)}" if left > 0 else ""
    text = f"{count:,} of {every:,} runs diverged ({'; '.join(parts[:MOST])}{more})"
    title = f"{count:,} of {every:,} runs diverged"
    return Statement(topic="diverged", text=text, title=title, sure=True, numbers={"runs": every, "diverged": count})


def lowest_z(rows: pd.DataFrame, lost: pd.DataFrame) -> float:
    """The lowest z that 5 % of a run's pairs had at a checkpoint before it diverged; NaN where it is not known."""
    before = rows[rows["run_id"].isin(lost["run_id"])]
    if "margin_q05" not in before or before.empty:
        return float("nan")
    return float((before["beta"] * before["margin_q05"]).min())


def cause(loss: str, functions: pd.DataFrame, lowest: float) -> str:
    """The likely cause, in words."""
    seen = f"; z reached {lowest:.0f} before" if lowest < NEAR else ""
    f = functions[functions["loss"] == loss].sort_values("z") if len(functions) else functions
    if f.empty:
        return "probably the learning rate is too large"
    far, near = (abs(float(np.interp(at, f["z"], f["slope"]))) for at in (FAR, NEAR))
    if far > STEEP * near:
        return f"probably an overflow, since f grows exponentially where z is far negative{seen}"
    if far > 1.1 * near:
        return f"probably steps too large for a gradient that grows where z is far negative{seen}"
    return f"probably the learning rate is too large{seen}"
