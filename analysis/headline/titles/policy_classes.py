"""What the class of policies, chance in the data, and the loss take of gold, where a sweep has several classes.

Of the loss and the smallest beta of `rise_and_fall`. Optimizers suit one class and not another, so each class is shown
at the values of axes of [train] with which it ends with the least training loss, on the population where a sweep has
it. Gold has no part in that choice. Other axes are at their first values, and so are drawn pairs.

    falls     how far gold falls along training from its peak, for each class: the `peaks` of analysis/statistics
    missing   what is lacking at the end of training, by analysis/statistics/policy_classes/missing_gold.py

A fall is sure where its interval lies above 0, or below SIMILAR; what data take is sure where the interval leaves out
0, or lies within SIMILAR of it. What the population gives has no chance in it.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from analysis.headline.axes import values_of
from analysis.headline.rise_and_fall import shown_loss, weakest
from analysis.headline.statement import LEAST, Number, Statement, brief, rounded
from analysis.records.load import final_rows, further_axes, oracle_rows, without_diverged
from analysis.records.names import listed, loss_label
from analysis.statistics.comparison import SIMILAR
from analysis.statistics.intervals import Estimate
from analysis.statistics.policy_classes.missing_gold import (
    KIND,
    PAIRS,
    TABLE,
    Missing,
    falls_of_classes,
    missing_gold,
    on_population,
    table_kl,
)
from analysis.statistics.tradeoffs import oracle_at

IN_WORDS = {"tabular": "table", "linear": "linear", "transformer": "transformer"}
OPTIMIZER = "train_"  # what axes of the optimizer begin with


def has_classes(curves: pd.DataFrame) -> bool:
    """Whether training on pairs has several classes of policies."""
    if KIND not in curves:
        return False
    last = final_rows(curves)
    return len(last.loc[last["method"] == "gpo", KIND].dropna().unique()) > 1


def rows_of_classes(curves: pd.DataFrame) -> pd.DataFrame:
    """The rows that the statements are about: one run for each class, data and seed."""
    rows, axes = rows_of_optimizers(curves)
    return pd.concat([well_trained(some, axes) for _, some in rows.groupby(KIND, sort=False)])


def rows_of_optimizers(curves: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """The same rows at all values of axes of the optimizer, and these axes."""
    rows = without_diverged(weakest(curves))
    rows = rows[rows["loss"] == shown_loss(curves)]
    axes = [axis for axis in further_axes(rows) if axis not in (KIND, PAIRS, "population")]
    for axis in axes:
        if not axis.startswith(OPTIMIZER):
            rows = rows[rows[axis].isna() | (rows[axis] == values_of(rows, axis)[0])]
    sizes = [count for count in values_of(rows, PAIRS) if count > 0]
    rows = rows[on_population(rows) | (rows[PAIRS] == (sizes[0] if sizes else 0)).astype(bool)]
    return rows, [axis for axis in axes if axis.startswith(OPTIMIZER)]


def well_trained(rows: pd.DataFrame, axes: list[str]) -> pd.DataFrame:
    """The rows of one class at the values of these axes with which it ends with the least training loss."""
    if not axes:
        return rows
    last = final_rows(rows)
    last = last[on_population(last)] if on_population(last).any() else last
    least = last.groupby(axes)["train_loss"].mean().idxmin()
    values = least if isinstance(least, tuple) else (least,)
    kept = np.logical_and.reduce([rows[axis] == value for axis, value in zip(axes, values, strict=True)])
    return rows[kept]


def optimizer_takes(curves: pd.DataFrame) -> dict[str, float]:
    """What the worst values of axes of the optimizer take of gold on the population, less the values that are shown.

    For each class, at the end of training; nothing where there is one optimizer, or no population.
    """
    rows, axes = rows_of_optimizers(curves)
    last = final_rows(rows)
    last = last[on_population(last)]
    if not axes or last.empty:
        return {}
    shown = final_rows(rows_of_classes(curves))
    own = shown[on_population(shown)].groupby(KIND)["gold"].mean()
    worst = last.groupby([KIND, *axes])["gold"].mean().groupby(KIND).min()
    return {str(kind): float(own[kind] - worst[kind]) for kind in own.index}


def place_of(rows: pd.DataFrame) -> str:
    """The loss and beta of the rows, in words."""
    beta = rows["beta"].iloc[0]
    return ", ".join(filter(None, [loss_label(rows["loss"].iloc[0]), "" if pd.isna(beta) else f"β {beta:g}"]))


def pairs_text(rows: pd.DataFrame) -> str:
    """How many pairs a run has."""
    drawn = rows.loc[~on_population(rows), PAIRS]
    return f"{int(drawn.iloc[0]):,} drawn pairs" if len(drawn) else ""


def policy_classes(curves: pd.DataFrame) -> list[Statement]:
    """The statements on falls and on what is missing, from rows of training on pairs with the oracle's.

    None where there are not several classes; the second needs a table on the population.
    """
    if not has_classes(curves):
        return []
    rows = rows_of_classes(curves)
    found = [falls_statement(rows), missing_statement(curves)]
    return [statement for statement in found if statement is not None]


def falls_statement(rows: pd.DataFrame) -> Statement:
    """How far gold falls from its peak along training, for each class and kind of data."""
    falls = falls_of_classes(rows)
    parts, numbers, sure, texts = [], dict[str, Number](), True, dict[bool, str]()
    for whole in (False, True):
        some = {kind: row for (kind, population), row in falls.items() if population == whole}
        for kind, row in some.items():
            name = f"{kind}, {'population' if whole else 'pairs'}"
            numbers |= {f"{name}: fall{end}": float(row[f"fall{end}"]) for end in ("", "_low", "_high")}
            numbers |= {f"{name}: peak": float(row["peak_gold"]), f"{name}: end": float(row["end_gold"])}
            sure &= whole or row["fall_low"] > 0 or row["fall_high"] < SIMILAR
        if some:
            data = "the whole population" if whole else pairs_text(rows)
            texts[whole] = f"by {listed([fall_text(kind, row, whole) for kind, row in some.items()])} on {data}"
            parts.append(texts[whole])
    unsure = [
        IN_WORDS.get(kind, kind)
        for (kind, whole), row in falls.items()
        if not whole and not (row["fall_low"] > 0 or row["fall_high"] < SIMILAR)
    ]
    note = f"; not sure for {listed(unsure)}" if unsure else ""
    text = f"From its peak along training, gold falls {' and '.join(parts)} ({place_of(rows)}{note})"
    title = f"Gold falls {texts.get(False, parts[0])}"
    return Statement(topic="falls of classes", text=text, title=title, sure=bool(sure), numbers=numbers)


def fall_text(kind: str, row: pd.Series, whole: bool) -> str:
    """The fall of one class; on the population without an error, since there is no chance in it."""
    half = 0.0 if whole else float(row["fall_high"] - row["fall_low"]) / 2
    return f"{amount(float(row['fall']), half)} ({IN_WORDS.get(kind, kind)})"


def amount(value: float, half: float) -> str:
    """A number with half of its interval, if it has one."""
    return brief(value, half) if half >= LEAST else rounded(value, 2)


def missing_of(curves: pd.DataFrame) -> dict[str, Missing]:
    """What each class lacks of the best possible gold; nothing without a table on the population, or its oracle."""
    rows = rows_of_classes(curves)
    kl = table_kl(rows)
    if not np.isfinite(kl) or oracle_rows(curves).empty:
        return {}
    best = float(oracle_at(curves, np.array([kl]), {KIND: TABLE})[0])
    return missing_gold(rows, best) if np.isfinite(best) else {}


def missing_statement(curves: pd.DataFrame) -> Statement | None:
    """What the loss, the class and chance in the data take of the best possible gold at the end of training."""
    found, rows = missing_of(curves), rows_of_classes(curves)
    if not found:
        return None
    loss = found[TABLE].loss
    others = {kind: each for kind, each in found.items() if kind != TABLE}
    drawn = {kind: each.data for kind, each in found.items() if each.data is not None}
    takes = listed([f"{rounded(each.policy_class, 2)} ({IN_WORDS.get(kind, kind)})" for kind, each in others.items()])
    text = (
        f"At the end, a table on the whole population lacks {rounded(loss, 2)} of the best possible gold at its KL; "
        f"the class takes {takes} more"
    )
    title, sure = f"The class takes {takes} of gold", True
    if drawn:
        text += f", and chance in {pairs_text(rows)} {listed([data_text(kind, data) for kind, data in drawn.items()])}"
        sure = all(is_sure(data) for data in drawn.values())
    if TABLE in drawn:
        doubt = "" if is_sure(drawn[TABLE]) else " (not sure)"
        chance = data_amount(drawn[TABLE])
        title = f"Chance in {pairs_text(rows)} takes {chance} of a table's gold{doubt}; the class takes {takes}"
    text += f" ({place_of(rows)})"
    return Statement(topic="classes", text=text, title=title, sure=sure, numbers=numbers_of(found, curves))


def data_text(kind: str, data: Estimate) -> str:
    """What data take of one class."""
    return f"{data_amount(data)} ({IN_WORDS.get(kind, kind)}{'' if is_sure(data) else ', not sure'})"


def data_amount(data: Estimate) -> str:
    """What data take, with half of its interval."""
    low, high = data.interval()
    return amount(data.value, (high - low) / 2)


def is_sure(data: Estimate) -> bool:
    """Whether the interval leaves out 0, or lies within SIMILAR of it."""
    low, high = data.interval()
    return bool(low > 0 or high < 0 or (low > -SIMILAR and high < SIMILAR))


def numbers_of(found: Mapping[str, Missing], curves: pd.DataFrame) -> dict[str, Number]:
    """The numbers of what is missing."""
    numbers: dict[str, Number] = {"loss": found[TABLE].loss}
    for kind, each in found.items():
        numbers |= {f"{kind}: class": each.policy_class, f"{kind}: total": each.total}
        if each.data is not None:
            low, high = each.data.interval()
            numbers |= {f"{kind}: data": each.data.value, f"{kind}: data low": low, f"{kind}: data high": high}
    return numbers | {f"{kind}: optimizer": value for kind, value in optimizer_takes(curves).items()}
