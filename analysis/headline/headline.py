"""The headline of a sweep: one to six sentences, computed from its records by the rules of this folder.

In this order, as far as there is something to say: whether gold rises and falls, which responses take it away again,
which beta ends best, whether losses differ, with which fewer chosen responses fall, what losses do to length, what the
class of policies takes, what further axes do, and what comes of optimizing against proxies. Where further axes vary,
what is stated of training on pairs before them is about their first values. Runs that diverged are named after these
sentences.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.headline.axes import axes_apart
from analysis.headline.best_beta import best_beta
from analysis.headline.displacement import displacement, last_rows
from analysis.headline.diverged import diverged
from analysis.headline.lengths import lengths
from analysis.headline.losses import losses_apart
from analysis.headline.proxies import against_proxies
from analysis.headline.rise_and_fall import rise_and_fall
from analysis.headline.statement import Statement
from analysis.headline.titles.divergences import divergences_apart
from analysis.headline.titles.policy_classes import policy_classes
from analysis.headline.where_gold_went import shown_runs, where_gold_went
from analysis.records.load import final_rows, load, load_losses, load_table, pairwise_rows
from analysis.records.names import axis_label, capitalized, value_text
from analysis.records.parts import parts_of
from analysis.statistics.mass import ledger_of

MOST = 6
PART: tuple[Callable[[pd.DataFrame, str], Statement | None], ...] = (rise_and_fall, best_beta, losses_apart)


def headline(folder: str | Path, curves: pd.DataFrame | None = None) -> list[Statement]:
    """The statements of a result directory, MOST at most, and one on runs that diverged. Raises ResultsError.

    curves: its curves, where they are loaded.
    """
    curves = load(folder) if curves is None else curves
    functions = load_losses(folder) if (Path(folder) / "losses.parquet").exists() else pd.DataFrame({"loss": []})
    return headline_of(curves, functions, Path(folder))


def headline_of(curves: pd.DataFrame, functions: pd.DataFrame, folder: Path | None = None) -> list[Statement]:
    """The statements of curves; none where no run came to its end. functions: of losses, which may be none.

    folder: where their ledger and their pairs are.
    """
    found: list[Statement] = []
    pairs = pairwise_rows(curves)
    if not final_rows(pairs).empty:
        at, part = parts_of(pairs)[0]
        statements = [state(part, place_text(at)) for state in PART]
        if folder is not None:
            statements.insert(1, where_gold_went(part, ledger_of(folder, shown_runs(part)), place_text(at)))
            statements += displacement(part, pairs_of(folder, part), place_text(at))
        found += [statement for statement in statements if statement is not None]
        found += [*lengths(pairs), *policy_classes(pairs), *axes_apart(pairs)]
    apart = divergences_apart(curves)
    others = curves[curves["method"] != "gibbs"] if apart else curves  # what is stated of it here says more
    found = [*found, *apart, *against_proxies(others)][:MOST] if not final_rows(curves).empty else []
    lost = diverged(curves, functions)
    return [*found, *([lost] if lost else [])]


def pairs_of(folder: Path, part: pd.DataFrame) -> pd.DataFrame:
    """The recorded pairs of the runs that `displacement` is about, if there are any. Raises ResultsError."""
    return load_table(folder, "pairs", sorted(last_rows(part)["run_id"].unique()))


def place_text(at: Mapping[str, Any]) -> str:
    """One combination of further axes, in words."""
    return ", ".join(f"{axis_label(name)} {value_text(value)}" for name, value in at.items())


def sentences(statements: Sequence[Statement]) -> list[str]:
    """The statements as sentences."""
    return [f"{capitalized(statement.text)}." for statement in statements]
