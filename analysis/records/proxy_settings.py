"""Which curves against proxies belong together: what varies in a sweep, and how it is told apart in a figure.

One setting runs along the colours, all others make panels.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from analysis.records.about import cards, methods_where, settings_of
from analysis.records.load import trained_rows

ONE_PROXY = "one proxy"


@dataclass(frozen=True, kw_only=True)
class Family:
    """Curves of one panel: their method, its title, and the column that tells them apart.

    labels: of each value of that column.
    """

    method: str
    title: str
    varied: str
    labels: dict[Any, str]
    rows: pd.DataFrame


def label_of(curves: pd.DataFrame, method: str) -> str:
    """What a method is called in figures."""
    card = cards(curves).get(method)
    return card.label if card else method


def with_labels(curves: pd.DataFrame) -> pd.DataFrame:
    """The rows of methods against proxies, with the settings of an ensemble in one column, `ensemble`."""
    rows = trained_rows(curves[curves["method"].isin(methods_where(curves, "against_proxy"))]).copy()
    if "proxy_members" in rows or "proxy_combine" in rows:
        rows["ensemble"] = [
            ensemble(row.get("proxy_members"), row.get("proxy_combine"))
            for row in rows[[name for name in ("proxy_members", "proxy_combine") if name in rows]].to_dict("records")
        ]
        rows = rows.drop(columns=["proxy_members", "proxy_combine"], errors="ignore")
    return rows


def ensemble(members: float | None, combine: object) -> str:
    """What an ensemble is called."""
    if members == 1:
        return ONE_PROXY
    how = str(combine).replace("_", " ") if isinstance(combine, str) else "mean"
    return how if members is None or np.isnan(members) else f"{how} of {members:g}"


def varied_settings(rows: pd.DataFrame) -> list[str]:
    """The settings that vary within a method, seeds aside; those that say the same as proxy_parameters are it."""
    names = []
    for name in settings_of(rows):
        if name in ("method", "loss", "kappa", "seed"):
            continue
        within = rows.groupby("method")[name].nunique()
        if (within > 1).any() and not follows_from_size(rows, name):
            names.append(name)
    sizes = "proxy_parameters" in rows and len(rows["proxy_parameters"].unique()) > 1
    return ["proxy_parameters", *names] if sizes else names


def follows_from_size(rows: pd.DataFrame, name: str) -> bool:
    """Whether a setting of proxies is told by their number of parameters."""
    return name.startswith("proxy_") and "proxy_parameters" in rows and determined(rows, name, "proxy_parameters")


def value_label(name: str, value: Any) -> str:
    """A value of a setting as a label."""
    if name == "proxy_parameters":
        return f"{value:,.0f} parameters"
    if name == "beta":
        return f"penalty {value:g}"
    if isinstance(value, str):
        return value.replace("_", " ")
    whole = float(value).is_integer() and abs(value) < 2**53
    return f"{name.replace('_', ' ')} {value:,.0f}" if whole else f"{name.replace('_', ' ')} {value:g}"


def at_extreme_values(rows: pd.DataFrame, names: Sequence[str], place: int) -> tuple[pd.DataFrame, str]:
    """The rows at the first (0) or last (-1) value of each setting, of methods that have it; and these as `, text`."""
    labels = []
    for name in names:
        values = sorted(
            rows[name].dropna().unique(), key=lambda value: (value != ONE_PROXY, isinstance(value, str), value)
        )
        if values:
            rows = rows[rows[name].isna() | (rows[name] == values[place])]
            labels.append(value_label(name, values[place]))
    return rows, "".join(f", {text}" for text in labels)


def families(curves: pd.DataFrame, along: str | None = None) -> Iterator[Family]:
    """Every panel: one for each method and combination of settings other than the one along the colours.

    along: that setting; the one with the most values, unless said.
    """
    rows = with_labels(curves)
    names = varied_settings(rows)
    along = along or max(names, key=lambda name: len(rows[name].unique()), default="method")
    apart = [name for name in names if name != along]
    values = sorted(
        rows[along].dropna().unique(), key=lambda value: (value != ONE_PROXY, isinstance(value, str), value)
    )
    labels = {value: value_label(along, value) for value in values}
    apart = sorted(apart, key=lambda name: name != "beta")
    for setting, table in rows.groupby(["method", *apart], dropna=False):
        texts = [value_label(name, value) for name, value in zip(apart, setting[1:], strict=True) if pd.notna(value)]
        title = "\n".join(filter(None, [label_of(curves, setting[0]), ", ".join(texts)]))
        yield Family(method=setting[0], title=title, varied=along, labels=labels, rows=table)


def determined(table: pd.DataFrame, name: str, by: str) -> bool:
    """Whether the column `by` says all that the column `name` does."""
    return not table[[by, name]].drop_duplicates()[by].duplicated().any()
