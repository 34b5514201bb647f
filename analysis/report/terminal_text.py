"""What a result directory came to, for a terminal of 80 columns: how runs ended, the headline, and a small table."""

import textwrap
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from analysis.headline.headline import headline, sentences
from analysis.headline.statement import Statement
from analysis.records.about import runs_of_sweep, trained_elsewhere
from analysis.records.load import (
    expected_runs,
    failures,
    final_rows,
    is_finished,
    load,
    mixed_code_note,
    variants,
)
from analysis.records.safe_names import printable, with_safe_names
from analysis.report.best_points import best_of_losses, peaks_against_proxies
from analysis.statistics.peaks import curve_settings

WIDTH = 80
MOST = 12  # settings of runs that diverged
ROWS = 8  # of a table
LONGEST = 28  # letters of a name in a table


def text(folder: str | Path, found: Sequence[Statement] | None = None, curves: pd.DataFrame | None = None) -> str:
    """What a result directory came to, for a terminal: how its runs ended, the headline, the best of each loss.

    found: the headline, if it is known. curves: its curves, where they are loaded.
    """
    curves = with_safe_names(load(folder) if curves is None else curves, printable)
    rows, elsewhere = runs_of_sweep(curves[["run_id", "method", "status"]]), len(trained_elsewhere(curves))
    runs, diverged = (part["run_id"].nunique() for part in (rows, rows[rows["status"] == "diverged"]))
    so_far, failed = "" if is_finished(folder) else " so far", failures(folder)
    of = f" of {expected_runs(folder):,}" if expected_runs(folder) and so_far else ""
    first = f"{runs:,}{of} run{'s' * (runs != 1)}{so_far}, {diverged or 'none'} of them diverged"
    if elsewhere:
        first += f"; {elsewhere:,} polic{'ies' if elsewhere > 1 else 'y'} trained elsewhere"
    if len(failed):
        first += f"; {len(failed):,} more failed, and `runs.parquet` says why"
    lines = [filled(first)]
    if diverged:
        lines.append(filled(f"diverged, and left out of all below: {which_diverged(curves)}"))
    if mixed := mixed_code_note(folder):
        lines.append(filled(mixed))
    if final_rows(curves).empty:
        hint = "; a smaller learning rate may help" if diverged else ""
        return "\n".join([*lines, filled(f"no figures, since nothing is left to draw{hint}")])
    found = headline(folder) if found is None else found
    said = [filled(f"* {printable(sentence)}", "  ") for sentence in sentences(found)]
    return "\n".join([*lines, "", *said, *pairs_table(curves), *proxies_table(curves)])


def which_diverged(curves: pd.DataFrame) -> str:
    """Which losses and betas runs diverged at, and how many of their seeds, such as savage at beta 0.01 (2 of 4)."""
    runs = variants(curves)
    by = [name for name in curve_settings(runs) if name != "kappa"]
    runs = runs[runs["method"] != "oracle"]
    lost = runs["run_id"].isin(runs.loc[runs["status"] == "diverged", "run_id"])
    each = runs.assign(lost=lost).drop_duplicates("run_id").groupby(by, dropna=False, sort=False)["lost"]
    counts = each.agg(["sum", "size"]).reset_index()
    counts = counts[counts["sum"] > 0]
    shown = [_setting(row, by) for row in counts.head(MOST).to_dict("records")]
    more = len(counts) - len(shown)
    return ", ".join(shown) + (f" and {more} more settings" if more > 0 else "")


def _setting(row: dict[object, object], by: Sequence[str]) -> str:
    """One setting of runs, and how many of its seeds diverged."""
    name = row["method"] if pd.isna(row["loss"]) else row["loss"]
    known = [(key, row[key]) for key in by if key not in ("method", "loss") and not pd.isna(row[key])]
    at = ", ".join(f"{key} {value:g}" if isinstance(value, float) else f"{key} {value}" for key, value in known)
    return f"{name}{f' at {at}' if at else ''} ({row['sum']} of {row['size']} seeds)"


def filled(words: str, indent: str = "") -> str:
    """The words on lines of WIDTH columns, those after the first indented; none ends within a number and its error."""
    kept = words.replace(" ± ", "\u00a0±\u00a0")
    lines = textwrap.fill(kept, WIDTH, subsequent_indent=indent, break_on_hyphens=False, break_long_words=False)
    return lines.replace("\u00a0", " ")


def pairs_table(curves: pd.DataFrame) -> list[str]:
    """The best of each loss, where there is training on pairs."""
    found = best_of_losses(curves)
    if found is None:
        return []
    more = [f"This is at {found.place}; the page has the other values."] if found.place else []
    return ["", *aligned(shortened(found.table)), filled(" ".join([*found.words, *more]))]


def proxies_table(curves: pd.DataFrame) -> list[str]:
    """Where each method against proxies peaks."""
    found = peaks_against_proxies(curves, ROWS)
    if found is None:
        return []
    more = [f"{found.left_out} more are in the page."] if found.left_out else []
    return ["", *aligned(shortened(found.table)), filled(" ".join([*found.words, *more]))]


def shortened(table: pd.DataFrame) -> pd.DataFrame:
    """A table of texts that are no longer than there is room for."""
    return table.apply(
        lambda column: column.map(lambda text: short(text, LONGEST if column.name == table.columns[0] else 18))
    )


def short(name: str, longest: int = LONGEST) -> str:
    """A name that fits a table."""
    return name if len(name) <= longest else f"{name[: longest - 1]}…"


def aligned(table: pd.DataFrame) -> list[str]:
    """The first ROWS rows of a table in columns, the first to the left and cut to what room there is."""
    shown = table.head(ROWS).astype(str)
    widths = [max(len(name), *map(len, shown[name])) for name in shown]
    widths[0] = min(widths[0], WIDTH - sum(width + 2 for width in widths[1:]))
    lines = []
    for first, *cells in [list(shown), *shown.to_numpy().tolist()]:
        right = [cell.rjust(width) for cell, width in zip(cells, widths[1:], strict=True)]
        lines.append("  ".join([short(first, widths[0]).ljust(widths[0]), *right]))
    more = len(table) - len(shown)
    return [*lines, *([f"and {more:,} more, in the page"] if more > 0 else [])]
