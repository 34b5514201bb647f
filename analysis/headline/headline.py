"""The headline of a sweep: one to six sentences, computed from its records by the rules of this folder.

In this order, as far as there is something to say. First what a sweep is made for: what losses do to length, what the
class of policies takes, what divergences leave of gold. Then whether gold rises and falls, which responses take it away
again, which beta ends best, whether losses differ, with which fewer chosen responses fall, what further axes do, and
what comes of optimizing against proxies. Where further axes vary, what is stated of one loss or beta is about their
first values; it is left out where there are several classes of policies, each with a rise and fall of its own. Runs
that diverged are named after these sentences.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd

from analysis.headline.axes import axes_apart
from analysis.headline.best_beta import best_beta
from analysis.headline.displacement import displacement, last_rows
from analysis.headline.diverged import diverged
from analysis.headline.lengths import lengths
from analysis.headline.losses import losses_apart
from analysis.headline.proxies import against_proxies
from analysis.headline.rise_and_fall import rise_and_fall
from analysis.headline.statement import Statement, place_text
from analysis.headline.titles.divergences import divergences_apart
from analysis.headline.titles.policy_classes import policy_classes
from analysis.headline.where_gold_went import shown_runs, where_gold_went
from analysis.records.load import final_rows, load, load_losses, load_table, pairwise_rows
from analysis.records.names import capitalized
from analysis.records.parts import parts_of
from analysis.statistics.mass import ledger_of
from analysis.statistics.policy_classes.missing_gold import has_classes

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
    if final_rows(curves).empty:
        lost = diverged(curves, functions)
        return [lost] if lost else []
    pairs, apart = pairwise_rows(curves), divergences_apart(curves)
    trained = not final_rows(pairs).empty
    found = [*lengths(pairs), *policy_classes(pairs)] if trained else []
    found += apart
    if trained:
        found += [*([] if has_classes(pairs) else at_first_values(pairs, folder)), *axes_apart(pairs)]
    others = curves[curves["method"] != "gibbs"] if apart else curves  # what is stated of it above says more
    found = [*found, *against_proxies(others)][:MOST]
    lost = diverged(curves, functions)
    return [*found, *([lost] if lost else [])]


def at_first_values(pairs: pd.DataFrame, folder: Path | None) -> list[Statement]:
    """The statements on training on pairs at the first values of further axes. folder: as in `headline_of`."""
    at, part = parts_of(pairs)[0]
    found = [state(part, place_text(at)) for state in PART]
    if folder is not None:
        found.insert(1, where_gold_went(part, ledger_of(folder, shown_runs(part)), place_text(at)))
        found += displacement(part, pairs_of(folder, part), place_text(at))
    return [statement for statement in found if statement is not None]


def pairs_of(folder: Path, part: pd.DataFrame) -> pd.DataFrame:
    """The recorded pairs of the runs that `displacement` is about, if there are any. Raises ResultsError."""
    return load_table(folder, "pairs", sorted(last_rows(part)["run_id"].unique()))


def sentences(statements: Sequence[Statement]) -> list[str]:
    """The statements as sentences."""
    return [f"{capitalized(statement.text)}." for statement in statements]
