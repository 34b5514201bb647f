"""What can be chosen on the page: one combination of the further axes at a time, and in it families of policies.

A family is a loss (with the settings that only it has), or a method against proxies. A method that does not have an
axis at all, such as best-of-n a number of training steps, stands beside the others at each of its values.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from analysis.records.about import cards, settings_of
from analysis.records.load import further_axes, oracle_rows, pairwise_rows, without_diverged
from analysis.records.names import losses_of
from analysis.records.proxy_settings import label_of, with_labels
from analysis.report.explorer.slider_series import VALUES

NONE = "none"  # a method that has an axis, in runs that have no value of it


@dataclass(frozen=True, kw_only=True)
class Axis:
    """A further axis: its column, and its values in the order of the page."""

    name: str
    choices: list[Any]


@dataclass(frozen=True, kw_only=True)
class Part:
    """The runs at one combination of the axes.

    settings: the value of each axis that says anything here. best: the oracle.
    """

    settings: dict[str, Any]
    families: dict[str, pd.DataFrame]
    best: pd.DataFrame


def shown_columns(curves: pd.DataFrame) -> list[str]:
    """The columns that the page needs: settings, what numbers the rows of a run, and VALUES with their errors."""
    along = {card.along for card in cards(curves).values()}
    wanted = {"run_id", "status", "step", *along, *settings_of(curves), *VALUES, *(f"{name}_se" for name in VALUES)}
    return [name for name in curves if name in wanted]


def policies_of(curves: pd.DataFrame) -> pd.DataFrame:
    """All checkpoints of runs that did not diverge, with the column `family`."""
    rows = without_diverged(curves[shown_columns(curves)])
    pairs, against = pairwise_rows(rows), with_labels(rows)
    labels = against["method"].map({method: label_of(against, method) for method in against["method"].unique()})
    tables = [pairs.assign(family=pairs["loss"]), against.assign(family=labels)]
    return pd.concat([table for table in tables if len(table)], ignore_index=True)


def axes_of(rows: pd.DataFrame) -> list[Axis]:
    """The axes that have several values in the methods that have them."""
    found = []
    for name in further_axes(rows.drop(columns="family")):
        has = rows.groupby("method")[name].count() > 0
        values = _plain(rows.loc[rows["method"].isin(has.index[has]), name])
        known = [value for value in values if value != NONE]
        if len(values) > 1:
            known = known if any(isinstance(value, str) for value in known) else sorted(known)
            found.append(Axis(name=name, choices=known + [NONE] * (NONE in values)))
    return found


def _plain(column: pd.Series) -> list[Any]:
    return [NONE if pd.isna(value) else value for value in column.unique().tolist()]


def parts_of(curves: pd.DataFrame, rows: pd.DataFrame, axes: Sequence[Axis]) -> list[Part]:
    """Every combination of the axes that some runs have, with the families there, in the order of the axes' values."""
    held: dict[str, dict[tuple[tuple[str, Any], ...], pd.DataFrame]] = {}
    for method, table in rows.groupby("method", sort=False):
        names = [axis.name for axis in axes if table[axis.name].notna().any()]
        groups = table.groupby(names, dropna=False, sort=False) if names else [((), table)]
        held[method] = {_key(names, values): part for values, part in groups}
    combinations: list[dict[str, Any]] = []
    for key in sorted((key for groups in held.values() for key in groups), key=len, reverse=True):
        if not any(dict(key).items() <= other.items() for other in combinations):
            combinations.append(dict(key))
    place = {axis.name: axis.choices for axis in axes}
    combinations.sort(key=lambda at: [place[name].index(at[name]) if name in at else -1 for name in place])
    best = oracle_rows(curves)
    return [Part(settings=at, families=_families(held, at), best=_oracle_at(best, at)) for at in combinations]


def _key(names: Sequence[str], values: Any) -> tuple[tuple[str, Any], ...]:
    return tuple((name, NONE if pd.isna(value) else value) for name, value in zip(names, values, strict=True))


def _families(held: dict[str, dict[tuple[tuple[str, Any], ...], pd.DataFrame]], at: dict[str, Any]) -> dict[str, Any]:
    here = [part for groups in held.values() for key, part in groups.items() if dict(key).items() <= at.items()]
    rows = pd.concat(here, ignore_index=True)
    groups = dict(list(rows.groupby("family", sort=False)))
    order = [*losses_of(rows), *(card.label for card in cards(rows).values() if card.against_proxy)]
    return {name: groups[name] for name in dict.fromkeys(order) if name in groups}


def _oracle_at(best: pd.DataFrame, at: dict[str, Any]) -> pd.DataFrame:
    """The oracle of the world that has these values; none where that leaves several worlds."""
    for name, value in at.items():
        if name in best:
            best = best[best[name].isna() | (best[name] == value)]
    return best.iloc[:0] if best["beta"].duplicated().any() else best
