"""What does a further axis (label noise, pairs, size) do to gold at equal KL?

Its last value against its first, by rising number: draw by draw at equal KL, averaged over losses (but for those that
hardly leave the reference) and over the other axes, with the difference, equivalence and dominance of
analysis/statistics/comparison.py.

Values that are names have no last one: each is compared with the first, with intervals that hold for all of them at
once (Bonferroni), and the largest sure difference is stated; where none is sure, that of the least p.

Axes of gold are not compared: gold is in deviations of its own, so that each value has another unit. Other axes are
compared at the first gold. Golds of several seeds are draws of one kind, and averaged over.
"""

from contextlib import suppress
from dataclasses import replace
from typing import Any

import pandas as pd

from analysis.headline.statement import Number, Statement, brief, near, place_text, would_tell
from analysis.records.load import final_rows, further_axes
from analysis.records.names import axis_label, value_text
from analysis.statistics.common_curve import far_reaching
from analysis.statistics.comparison import SIMILAR, Comparison, compare
from analysis.statistics.intervals import LEVEL
from analysis.statistics.lengths.at_equal_kl import BIAS, beyond_reference
from analysis.statistics.policy_classes.missing_gold import is_taken_apart
from analysis.statistics.power import seeds_to_differ
from analysis.statistics.tradeoff_curves import DRAW_COLUMNS

MOST = 2  # axes that a headline speaks of
GOLD = "gold_"  # what axes of gold begin with


def values_of(curves: pd.DataFrame, axis: str) -> list[Any]:
    """The values of an axis, by rising number or as they come."""
    found = list(curves.loc[curves["method"] != "oracle", axis].dropna().unique())
    return found if any(isinstance(value, str) for value in found) else sorted(found)


def axes_apart(curves: pd.DataFrame) -> list[Statement]:
    """A statement for each axis that rows of training on pairs vary in, MOST at most.

    None for labellers who like length where analysis/headline/lengths.py says what they do.
    """
    axes = further_axes(curves)
    stated = (BIAS,) if BIAS in axes and not beyond_reference(curves).empty else ()
    found = [axis_apart(curves, axis, axes) for axis in axes if axis not in stated]
    return [statement for statement in found if statement is not None][:MOST]


def axis_apart(curves: pd.DataFrame, axis: str, axes: list[str]) -> Statement | None:
    """The statement on one of the axes; None where its values cannot be compared, as those of gold."""
    values = values_of(curves, axis)
    if len(values) < 2 or axis.startswith(GOLD) or is_taken_apart(curves, axis):
        return None
    rows, pool = comparable(curves, axis), ["loss", *(name for name in axes if name != axis)]
    compared: list[Comparison] = []
    for value in values[1:] if any(isinstance(value, str) for value in values) else values[-1:]:
        with suppress(ValueError):
            compared.append(compare(rows, value, values[0], by=axis, pool=pool))
    if not compared:
        return None
    level = 1 - (1 - LEVEL) / len(compared)
    return of_comparison(clearest(compared, level), axis_label(axis), place_text(first_gold(curves)), level)


def clearest(compared: list[Comparison], level: float) -> Comparison:
    """Of several comparisons with one value the one to state, by the rule of this module, its interval of `level`."""
    ends = [each.estimate.interval(level) for each in compared]
    wide = [replace(each, low=low, high=high) for each, (low, high) in zip(compared, ends, strict=True)]
    unlike = [each for each in wide if not each.equivalent] or wide
    sure = [each for each in unlike if each.low > 0 or each.high < 0]
    return max(sure, key=lambda each: abs(each.difference)) if sure else min(unlike, key=lambda each: each.p)


def first_gold(curves: pd.DataFrame) -> dict[str, Any]:
    """The first value of each axis of gold, but for its seed, where gold varies."""
    runs = curves[curves["method"].ne("oracle")]
    axes = [name for name in further_axes(curves) if name.startswith(GOLD) and name not in DRAW_COLUMNS]
    return {name: runs[name].iloc[0] for name in axes}


def comparable(curves: pd.DataFrame, axis: str) -> pd.DataFrame:
    """The runs that have an axis, at the first gold, without losses that hardly leave the reference at one value."""
    rows = curves[curves["method"].ne("oracle") & curves[axis].notna()]
    for name, value in first_gold(curves).items():
        rows = rows[rows[name].isna() if pd.isna(value) else rows[name].eq(value).fillna(False).astype(bool)]
    reach = final_rows(rows).groupby(["loss", axis])["kl"].max().groupby("loss").min()
    return rows[rows["loss"].isin(far_reaching(dict(reach)))]


def of_comparison(compared: Comparison, name: str, place: str = "", level: float = LEVEL) -> Statement:
    """The statement of a comparison of two values. place: at which gold. level: of its interval."""
    high, low = value_text(compared.a), value_text(compared.b)
    half = (compared.high - compared.low) / 2
    amount, reach = brief(abs(compared.difference), half), f"mean to {near(compared.reach)} nats"
    reach += f", {place}" if place else ""
    needed, sure = None, True
    if compared.equivalent:
        text = f"{name.capitalize()} {high} and {low} lie within {SIMILAR:g} of each other at equal KL ({reach})"
        title = f"{name.capitalize()} {high} and {low}: within {SIMILAR:g} of each other at equal KL"
    elif compared.low > 0 or compared.high < 0:
        word = "more" if compared.difference > 0 else "less"
        text = f"At equal KL, {name} {high} has {amount} {word} gold than {low} ({reach})"
        title = f"{name.capitalize()} {high}: {amount} {word} gold than {low}, at equal KL"
    else:
        sure = False
        needed = seeds_to_differ(compared.estimate, level)
        signed = brief(compared.difference, half)
        tell = would_tell(needed, compared.seeds)
        text = f"Whether {name} matters at equal KL is not sure ({high} against {low}: {signed}, {reach}; {tell})"
        title = f"{name.capitalize()} {high} against {low}: {signed}, which is not sure"
    numbers: dict[str, Number] = {
        "axis": name,
        "a": high,
        "b": low,
        **{field: float(getattr(compared, field)) for field in ("difference", "low", "high", "reach")},
    }
    return Statement(topic=f"axis {name}", text=text, title=title, sure=sure, numbers=numbers, seeds=needed)
