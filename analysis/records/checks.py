"""Tables that are given to the analysis, looked at before they are believed.

Rows that cannot belong together (two runs at one place of a sweep, oracles of two worlds that no column tells apart)
would be averaged as if they were seeds, so every function that takes curves refuses them and says which they are.
"""

import numpy as np
import pandas as pd
from pandas.api.types import is_numeric_dtype

from analysis.records.about import settings_of
from analysis.records.load import ResultsError, require_curves

NUMBERS = ("beta", "step", "kl", "gold")
TOGETHER = "load several folders with load([DIR, DIR]), which adds what differs between them as columns"


def checked(curves: pd.DataFrame) -> pd.DataFrame:
    """The curves, whose oracle stands in them once, if their rows can belong together. Raises ResultsError."""
    require_curves(curves)
    wrong = [name for name in NUMBERS if not (is_numeric_dtype(curves[name]) or curves[name].isna().all())]
    if wrong:
        raise ResultsError(f"curves: the column {wrong[0]} must hold numbers, not {curves[wrong[0]].dtype}")
    refuse_two_rows_at_a_step(curves)
    refuse_two_runs_at_a_place(curves)
    return with_one_oracle(curves)


def refuse_two_rows_at_a_step(curves: pd.DataFrame) -> None:
    """Raises ResultsError where a run has two rows at one step."""
    rows = curves.loc[curves["method"] != "oracle", ["run_id", "step"]]
    twice = rows.duplicated()
    if twice.any():
        row = rows[twice].iloc[0]
        raise ResultsError(
            f"curves: run {row['run_id']} has two rows at step {row['step']}, as if records were put together twice; "
            f"drop one of them, or {TOGETHER}"
        )


def refuse_two_runs_at_a_place(curves: pd.DataFrame) -> None:
    """Raises ResultsError where two runs have the same method, loss, beta, seed and further settings."""
    names = curves.loc[curves["method"] != "oracle", "run_id"]
    runs = curves.iloc[np.flatnonzero(curves["method"] != "oracle")[~names.duplicated().to_numpy()]]
    places = [name for name in settings_of(curves) if name != "kappa"]
    twice = runs.duplicated(places, keep=False)
    if twice.any():
        first = runs[twice].iloc[0]
        plain = runs[places].astype(object).where(runs[places].notna(), None)
        same = plain.apply(tuple, axis=1) == tuple(plain[twice.to_numpy()].iloc[0])
        names = runs.loc[same, "run_id"].tolist()
        at = ", ".join(f"{name} {first[name]}" for name in places if pd.notna(first[name]))
        raise ResultsError(
            f"curves: {len(names)} runs stand at one place ({at}), such as {names[0]} and {names[1]}, so they are not "
            f"of one sweep; take those of one sweep, or {TOGETHER}"
        )


def with_one_oracle(curves: pd.DataFrame) -> pd.DataFrame:
    """The curves, with the oracle of each world once. Raises ResultsError where no column tells two oracles apart."""
    rows = curves[curves["method"] == "oracle"]
    if rows.empty:
        return curves
    places = [name for name in settings_of(curves) if name not in ("kappa", "seed")]
    again = rows.duplicated([*places, "kl", "gold"]).to_numpy()
    if again.any():
        kept = np.ones(len(curves), dtype=bool)
        kept[np.flatnonzero(curves["method"] == "oracle")[again]] = False
        curves = curves[kept]
    if rows[~again].duplicated(places).any():
        raise ResultsError(
            f"curves: there are oracles of two worlds, or golds, that no column tells apart; take one world, or "
            f"{TOGETHER}"
        )
    return curves


def balanced(table: pd.DataFrame) -> pd.DataFrame:
    """The rows and columns of a table that have a value everywhere.

    As long as a value is missing, the row or column that lacks the largest share of its values goes, a column before a
    row where both lack as much. So a beta at which one of eight seeds diverged goes, and a seed that has only begun.
    """
    there = table.notna()
    while there.size and not there.all(axis=None):
        rows, columns = 1 - there.mean(axis=1), 1 - there.mean(axis=0)
        column = columns.max() >= rows.max()
        there = there.drop(columns=columns.idxmax()) if column else there.drop(index=rows.idxmax())
    return table.loc[there.index, there.columns]
