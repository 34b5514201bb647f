"""What the class of policies, chance in the data, and the loss take of gold, where a sweep has several classes.

Of the loss and the smallest beta of `rise_and_fall`. Optimizers suit one class and not another, so each class is shown
at the values of axes of [train] with which it ends with the least training loss, on the population where a sweep has
it. Gold has no part in that choice. Other axes are at their first values, and so are drawn pairs.

    missing   what is lacking at the end of training, by analysis/statistics/policy_classes/missing_gold.py
    falls     how far gold falls along training from its peak, for each class: the `peaks` of analysis/statistics

A fall is sure where its interval lies above 0, or below SIMILAR; what data take is sure where the interval leaves out
0, or lies within SIMILAR of it. What the population gives has no chance in it.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from analysis.headline.axes import values_of
from analysis.headline.rise_and_fall import shown_loss, weakest
from analysis.headline.statement import Number, Statement, beta_of, rounded, setting_text, unsigned, with_half
from analysis.records.load import final_rows, further_axes, oracle_rows, without_diverged
from analysis.records.names import listed
from analysis.statistics.comparison import SIMILAR
from analysis.statistics.intervals import Estimate
from analysis.statistics.policy_classes.missing_gold import (
    KIND,
    OPTIMIZER,
    PAIRS,
    POPULATION,
    TABLE,
    Missing,
    falls_of_classes,
    has_classes,
    missing_gold,
    on_population,
    table_kl,
)
from analysis.statistics.tradeoffs import oracle_at

CLASS_NAMES = {"tabular": "table", "linear": "linear", "transformer": "transformer"}  # in this order
POLICY = {"tabular": "a table", "linear": "a linear policy", "transformer": "a transformer"}


def rows_of_classes(curves: pd.DataFrame) -> pd.DataFrame:
    """The rows that the statements are about: one run for each class, data and seed."""
    rows, axes = rows_of_optimizers(curves)
    return pd.concat([well_trained(some, axes) for _, some in rows.groupby(KIND, sort=False)])


def rows_of_optimizers(curves: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """The same rows at all values of axes of the optimizer, and these axes."""
    rows = without_diverged(weakest(curves))
    rows = rows[rows["loss"] == shown_loss(curves)]
    axes = [axis for axis in further_axes(rows) if axis not in (KIND, PAIRS, POPULATION)]
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


def loss_and_beta(rows: pd.DataFrame) -> str:
    """The loss and beta of the rows, in words."""
    return setting_text(rows["loss"].iloc[0], beta_of(rows))


def pairs_text(rows: pd.DataFrame) -> str:
    """How many pairs a run has."""
    drawn = rows.loc[~on_population(rows), PAIRS]
    return f"{int(drawn.iloc[0]):,} drawn pairs" if len(drawn) else ""


def policy_classes(curves: pd.DataFrame) -> list[Statement]:
    """The statements on what is missing and on falls, from rows of training on pairs with the oracle's.

    None where there are not several classes; the first needs a table on the population.
    """
    if not has_classes(curves):
        return []
    found = [missing_statement(curves), falls_statement(rows_of_classes(curves))]
    return [statement for statement in found if statement is not None]


def falls_statement(rows: pd.DataFrame) -> Statement:
    """How far gold falls from its peak along training, for each class and kind of data."""
    falls = falls_of_classes(rows)
    parts, numbers = [], dict[str, Number]()
    for whole in (False, True):
        some = {kind: falls[kind, whole] for kind in CLASS_NAMES if (kind, whole) in falls}
        for kind, row in some.items():
            name = f"{kind}, {'population' if whole else 'pairs'}"
            numbers |= {f"{name}: fall{end}": float(row[f"fall{end}"]) for end in ("", "_low", "_high")}
            numbers |= {f"{name}: peak": float(row["peak_gold"]), f"{name}: end": float(row["end_gold"])}
        if some:
            data = "the whole population" if whole else pairs_text(rows)
            parts.append(f"by {listed([fall_text(kind, row, whole) for kind, row in some.items()])} on {data}")
    text = f"From its peak along training, gold falls {', and '.join(parts)} ({loss_and_beta(rows)})"
    sure = all(whole or falls_surely(row) for (_, whole), row in falls.items())
    return Statement(topic="falls_of_classes", text=text, title=f"Gold falls {parts[0]}", sure=sure, numbers=numbers)


def falls_surely(row: pd.Series) -> bool:
    """Whether it is sure that gold falls, or that it does not fall by SIMILAR."""
    return bool(row["fall_low"] > 0 or row["fall_high"] < SIMILAR)


def fall_text(kind: str, row: pd.Series, whole: bool) -> str:
    """The fall of one class; on the population without an error, since there is no chance in it."""
    half = 0.0 if whole else float(row["fall_high"] - row["fall_low"]) / 2
    unsure = "" if whole or falls_surely(row) else ", not sure"
    return f"{with_half(float(row['fall']), half)} ({CLASS_NAMES[kind]}{unsure})"


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
    drawn = {kind: found[kind].data for kind in CLASS_NAMES if kind in found}
    known = {kind: data for kind, data in drawn.items() if data is not None}
    lost = rounded(found[TABLE].loss, 2)
    ends = (
        "at the best possible gold for its KL" if lost == "0.00" else f"{lost} below the best possible gold for its KL"
    )
    others = [
        f"{POLICY[kind]} has {than_table(found[kind])}" for kind in CLASS_NAMES if kind in found and kind != TABLE
    ]
    text = f"On the whole population ({loss_and_beta(rows)}), a table ends {ends}; {listed(others)}"
    title = f"On the whole population {listed(others)} gold than a table"
    if known:
        text += f". With {pairs_text(rows)} gold is {data_text(known)}"
    if TABLE in known:
        title = f"With {pairs_text(rows)} a table's gold is {data_text({TABLE: known[TABLE]})}; on the population "
        title += listed(others)
    sure = all(is_sure(data) for data in known.values())
    return Statement(topic="classes", text=text, title=title, sure=sure, numbers=numbers_of(found, curves))


def than_table(missing: Missing) -> str:
    """What a class has on the population, beside a table."""
    size = rounded(abs(missing.policy_class), 2)
    return "as much" if size == "0.00" else f"{size} {'less' if missing.policy_class > 0 else 'more'}"


def data_text(drawn: Mapping[str, Estimate]) -> str:
    """How much lower or higher gold is with drawn pairs, for each class."""
    ways = []
    for word, sign in (("lower", 1), ("higher", -1)):
        some = [
            data_amount(kind, data, len(drawn) > 1) for kind, data in drawn.items() if (data.value < 0) == (sign < 0)
        ]
        ways += [f"{word} by {listed(some)}"] if some else []
    return ", and ".join(ways)


def data_amount(kind: str, data: Estimate, named: bool) -> str:
    """What data take of a class, or give it, with half of its interval. named: whether it says of which."""
    notes = [*([CLASS_NAMES[kind]] if named else []), *([] if is_sure(data) else ["not sure"])]
    return unsigned(data) + (f" ({', '.join(notes)})" if notes else "")


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
