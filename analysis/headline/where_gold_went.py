"""Which responses take gold away again after its peak, at the weakest regularization?

Of the loss and the beta of `rise_and_fall`, from the ledger: the part of the responses that gives most of the fall from
the peak to the end of training. It is sure where the interval of what it gives lies above 0. Nothing is stated where
gold does not fall.
"""

import math

import pandas as pd

from analysis.headline.rise_and_fall import shown_loss, weakest
from analysis.headline.statement import Number, Statement, brief, rounded
from analysis.records.load import without_diverged
from analysis.records.names import loss_label
from analysis.statistics.mass import PARTS, falls_by_part, mass_along

IN_WORDS = {
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


def where_gold_went(curves: pd.DataFrame, ledger: pd.DataFrame, place: str = "") -> Statement | None:
    """The statement, from rows at one combination of further axes and the ledger of `shown_runs`.

    None where gold does not fall.
    """
    if ledger.empty:
        return None
    means, found = mass_along(ledger), falls_by_part(ledger)
    fall = sum(each.value for each in found.values())
    if not fall > 0:
        return None
    part = max(PARTS, key=lambda name: found[name].value)
    own = found[part]
    low, high = own.interval()
    mine = means[means["part"] == part]
    peak = mine.loc[mine["gold"].idxmax()]
    masses = rounded(float(peak["mass"]), 2), rounded(float(mine["mass"].iloc[-1]), 2)
    amount = brief(own.value, (high - low) / 2)
    loss = shown_loss(curves)
    beta = ledger_beta(curves)
    where = ", ".join(filter(None, [loss_label(loss), "" if beta is None else f"β {beta:g}", place]))
    sure = math.isfinite(low) and low > 0
    text = (
        f"Of a fall of {rounded(fall, 2)}, {amount} comes from {IN_WORDS[part]}, whose probability goes from "
        f"{masses[0]} at the peak to {masses[1]} at the end ({where})"
    )
    title = f"Gold falls by {rounded(fall, 2)}: {amount} of it by {IN_WORDS[part]}"
    if not sure:
        title = f"Gold falls by {rounded(fall, 2)}; which responses take it away is not sure"
        text = f"It is not sure which responses take gold away; most, {amount}, comes from {IN_WORDS[part]} ({where})"
    numbers: dict[str, Number] = {"loss": loss, "beta": beta, "part": part, "fall": fall}
    numbers |= {name: found[name].value for name in PARTS}
    numbers |= {
        "low": low,
        "high": high,
        "mass_at_peak": float(peak["mass"]),
        "mass_at_end": float(mine["mass"].iloc[-1]),
    }
    return Statement(topic="where_gold_went", text=text, title=title, sure=sure, numbers=numbers)


def ledger_beta(curves: pd.DataFrame) -> float | None:
    """The beta of `shown_runs`, None where it has none."""
    beta = shown_runs(curves)["beta"]
    return None if beta.isna().all() else float(beta.iloc[0])
