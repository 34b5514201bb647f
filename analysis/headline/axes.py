"""What does a further axis (label noise, pairs, size) do to gold at equal KL?

Its last value against its first, by rising number: draw by draw at equal KL, averaged over losses (but for those that
hardly leave the reference) and over the other axes, with the difference, equivalence and dominance of
analysis/statistics/comparison.py.
"""

from typing import Any

import pandas as pd

from analysis.headline.statement import Number, Statement, brief, near, would_tell
from analysis.records.load import final_rows, further_axes
from analysis.records.names import axis_label, value_text
from analysis.statistics.common_curve import far_reaching
from analysis.statistics.comparison import SIMILAR, Comparison, compare
from analysis.statistics.power import seeds_to_differ

MOST = 2  # axes that a headline speaks of


def values_of(curves: pd.DataFrame, axis: str) -> list[Any]:
    """The values of an axis, by rising number or as they come."""
    found = list(curves.loc[curves["method"] != "oracle", axis].dropna().unique())
    return found if any(isinstance(value, str) for value in found) else sorted(found)


def axes_apart(curves: pd.DataFrame) -> list[Statement]:
    """A statement for each axis that rows of training on pairs vary in, MOST at most."""
    axes = further_axes(curves)
    found = [axis_apart(curves, axis, axes) for axis in axes]
    return [statement for statement in found if statement is not None][:MOST]


def axis_apart(curves: pd.DataFrame, axis: str, axes: list[str]) -> Statement | None:
    """The statement on one of the axes; None where its values cannot be compared."""
    values = values_of(curves, axis)
    if len(values) < 2:
        return None
    others = [name for name in axes if name != axis]
    try:
        compared = compare(comparable(curves, axis), values[-1], values[0], by=axis, pool=["loss", *others])
    except ValueError:
        return None
    return of_comparison(compared, axis_label(axis))


def comparable(curves: pd.DataFrame, axis: str) -> pd.DataFrame:
    """The runs that have an axis, without losses that hardly leave the reference at one of its values."""
    rows = curves[curves["method"].ne("oracle") & curves[axis].notna()]
    reach = final_rows(rows).groupby(["loss", axis])["kl"].max().groupby("loss").min()
    return rows[rows["loss"].isin(far_reaching(dict(reach)))]


def of_comparison(compared: Comparison, name: str) -> Statement:
    """The statement of a comparison of two values."""
    high, low = value_text(compared.a), value_text(compared.b)
    half = (compared.high - compared.low) / 2
    amount, reach = brief(abs(compared.difference), half), f"mean to {near(compared.reach)} nats"
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
        needed = seeds_to_differ(compared.estimate)
        signed = brief(compared.difference, half)
        tell = would_tell(needed, compared.seeds)
        text = f"Whether {name} matters at equal KL is not sure ({high} less {low}: {signed}, {reach}; {tell})"
        title = f"{name.capitalize()} {high} less {low}: {signed}, which is not sure"
    numbers: dict[str, Number] = {
        "axis": name,
        "a": high,
        "b": low,
        **{field: float(getattr(compared, field)) for field in ("difference", "low", "high", "reach")},
    }
    return Statement(topic=f"axis {name}", text=text, title=title, sure=sure, numbers=numbers, seeds=needed)
