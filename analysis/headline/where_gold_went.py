"""Which responses take gold away again after its peak, at the weakest regularization?

Of the loss and the beta of `rise_and_fall`, and only where it says surely that gold rises and then falls. From the
ledger: the part of the responses that gives most of that fall, from the peak to the end of training. It is the largest
of several on the same seeds, so its interval is corrected for the number of parts (Bonferroni). It is sure where that
interval lies above 0. The half of it is what the sentence has after the sign ±.
"""

import math

import pandas as pd

from analysis.headline.rise_and_fall import shown_loss, weakest
from analysis.headline.statement import Number, Statement, amount, beta_of, brief, in_brackets, rounded
from analysis.records.load import without_diverged
from analysis.statistics.intervals import LEVEL
from analysis.statistics.mass import PARTS, falls_by_part, mass_along
from analysis.statistics.peaks import peaks

CORRECTED = 1 - (1 - LEVEL) / len(PARTS)
PART_NAMES = {
    "chosen": "chosen responses",
    "rejected": "rejected responses",
    "seen": "responses that were both chosen and rejected",
    "unseen": "grammatical responses that no pair has",
    "ungrammatical": "ungrammatical responses that no pair has",
}


def shown_runs(curves: pd.DataFrame) -> pd.DataFrame:
    """The rows of the loss of the headline at its smallest beta."""
    rows = without_diverged(weakest(curves))
    return rows[rows["loss"] == shown_loss(curves)]


def sure_fall(curves: pd.DataFrame) -> pd.Series | None:
    """The row of `peaks` that `rise_and_fall` is about, if it surely rises and then surely falls."""
    runs = shown_runs(curves)
    row = peaks(runs).iloc[0]
    rose = row["peak_gold_low"] > 0 and row["peak_step"] > runs["step"].min()
    return row if rose and row["fall_low"] > 0 else None


def where_gold_went(curves: pd.DataFrame, ledger: pd.DataFrame, place: str = "") -> Statement | None:
    """The statement, from rows at one combination of further axes and the ledger of `shown_runs`.

    None where it is not sure that gold rises and then falls. It stands after `rise_and_fall`, which says of which loss
    it is. place: that combination of further axes, if there is more than one.
    """
    row = None if ledger.empty else sure_fall(curves)
    if row is None:
        return None
    means, found = mass_along(ledger), falls_by_part(ledger)
    part = max(PARTS, key=lambda name: found[name].value)
    low, high = found[part].interval(CORRECTED)
    mine = means[means["part"] == part]
    masses = float(mine.loc[mine["gold"].idxmax(), "mass"]), float(mine["mass"].iloc[-1])
    fall = brief(row["fall"], float(row["fall_high"] - row["fall_low"]) / 2)
    own, here = amount(found[part], CORRECTED), in_brackets(place)
    sure = math.isfinite(low) and low > 0
    if sure:
        text = f"Of the fall of {fall}{here}, {own} is due to {PART_NAMES[part]}"
        title = f"Gold falls by {fall}: {own} of it by {PART_NAMES[part]}"
    else:
        text = f"It is not sure which responses the fall of {fall}{here} is due to"
        text += f"; the largest part, {own}, comes from {PART_NAMES[part]}"
        title = f"Gold falls by {fall}; it is not sure by which responses"
    text += f". Their probability goes from {rounded(masses[0], 2)} at the peak to {rounded(masses[1], 2)} at the end"
    numbers: dict[str, Number] = {
        "loss": shown_loss(curves),
        "beta": beta_of(shown_runs(curves)),
        "part": part,
        **{name: float(row[name]) for name in ("fall", "fall_low", "fall_high")},
        **{name: found[name].value for name in PARTS},
        "low": low,
        "high": high,
        "level": CORRECTED,
        "mass_at_peak": masses[0],
        "mass_at_end": masses[1],
    }
    return Statement(topic="where_gold_went", text=text, title=title, sure=sure, numbers=numbers)
