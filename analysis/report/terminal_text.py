"""What a result directory came to, for a terminal of 80 columns: how runs ended, the headline, and a small table."""

import textwrap
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from analysis.headline.headline import headline, place_text, sentences
from analysis.headline.statement import Statement, brief, near
from analysis.records.load import (
    expected_runs,
    failures,
    final_rows,
    is_finished,
    load,
    mixed_code_note,
    pairwise_rows,
    variants,
)
from analysis.records.names import axis_label, loss_label, value_text
from analysis.records.number_format import number
from analysis.records.parts import parts_of
from analysis.records.proxy_settings import at_extreme_values, label_of, varied_settings, with_labels
from analysis.records.safe_names import printable, with_safe_names
from analysis.statistics.peaks import best, curve_settings, peaks

WIDTH = 80
MOST = 12  # settings of runs that diverged
ROWS = 8  # of a table
LONGEST = 28  # letters of a name in a table


def text(folder: str | Path, found: Sequence[Statement] | None = None) -> str:
    """What a result directory came to, for a terminal: how its runs ended, the headline, the best of each loss.

    found: the headline, if it is known.
    """
    curves = with_safe_names(load(folder), printable)
    rows = curves[curves["method"] != "oracle"]
    runs, diverged = (part["run_id"].nunique() for part in (rows, rows[rows["status"] == "diverged"]))
    so_far, failed = "" if is_finished(folder) else " so far", failures(folder)
    of = f" of {expected_runs(folder):,}" if expected_runs(folder) and so_far else ""
    elsewhere = rows.loc[rows["method"] == "external", "run_id"].nunique()
    runs -= elsewhere
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
    """The best of each loss, where there is training on pairs; where further axes vary, at their first values."""
    pairs = pairwise_rows(curves)
    if final_rows(pairs).empty:
        return []
    places = parts_of(pairs)
    at, rows = places[0]
    found, along = best(rows), peaks(rows)
    weakest = along.loc[along.groupby("loss", sort=False)["beta"].transform("min").fillna(0) == along["beta"].fillna(0)]
    weakest = weakest.drop_duplicates("loss").set_index("loss").loc[found["loss"]]
    table = pd.DataFrame({"loss": [short(loss_label(str(loss))) for loss in found["loss"]]})
    some = bool(found["best_beta"].notna().any())
    if some:
        star = found["at_the_end"].map({True: "*", False: ""})
        table["best β"] = [f"{number(beta)}{sign}" for beta, sign in zip(found["best_beta"], star, strict=True)]
    table["peak gold"], table["at KL"] = errors(found, "peak_gold"), [near(kl) for kl in found["peak_kl"]]
    smallest = weakest["beta"].dropna().unique()
    if len(smallest) > 1:
        table["smallest β"] = [number(beta) for beta in weakest["beta"]]
    table["falls by"], table["to KL"] = errors(weakest, "fall"), [near(kl) for kl in weakest["end_kl"]]
    which = f" ({smallest[0]:g})" if len(smallest) == 1 else ""
    words = [units(found), "falls by: from its peak to the end" + f", at the smallest β{which}" * some + "."]
    if some and found["at_the_end"].any():
        words.append("*: the smallest or largest β here; the best may lie beyond.")
    if len(places) > 1:
        words.append(f"This is at {place_text(at)}; the page has the other values.")
    return ["", *aligned(table), filled(" ".join(words))]


def proxies_table(curves: pd.DataFrame) -> list[str]:
    """Where each method against proxies peaks, by the setting that varies most; others at their first values."""
    rows = with_labels(curves)
    if rows.empty:
        return []
    names = [name for name in varied_settings(rows) if name != "beta"]
    names = sorted(names, key=lambda name: -len(rows[name].dropna().unique()))
    rows, fixed = at_extreme_values(rows, names[1:], 0)
    found = peaks(rows)
    apart = [name for name in curve_settings(rows) if name not in ("method", "loss", "kappa", "beta") and name in found]
    keys = [name for name in apart if len(found[name].dropna().unique()) > 1][:1]
    keys += ["beta"] if len(found["beta"].dropna().unique()) > 1 else []
    found = found.sort_values(["method", *keys], kind="stable", ignore_index=True)
    every = len(found)
    found = found.iloc[[round(place) for place in np.linspace(0, every - 1, min(every, ROWS))]]
    table = pd.DataFrame({"method": [label_of(curves, str(method)) for method in found["method"]]})
    for name in keys:
        column = "penalty" if name == "beta" else axis_label(name)
        table[column] = ["-" if pd.isna(value) else short(value_text(value), 18) for value in found[name]]
    table["peak gold"], table["at KL"] = errors(found, "peak_gold"), [near(kl) for kl in found["peak_kl"]]
    table["falls by"], table["to KL"] = errors(found, "fall"), [near(kl) for kl in found["end_kl"]]
    words = [units(found), "falls by: from its peak to the last point."]
    words += [f"This is at{fixed.removeprefix(',')}."] if fixed else []
    words += [f"{every - len(found)} more are in the page."] if every > len(found) else []
    return ["", *aligned(table), filled(" ".join(words))]


def short(name: str, longest: int = LONGEST) -> str:
    """A name that fits a table."""
    return name if len(name) <= longest else f"{name[: longest - 1]}…"


def errors(table: pd.DataFrame, name: str) -> list[str]:
    """Numbers with half of their intervals."""
    half = (table[f"{name}_high"] - table[f"{name}_low"]) / 2
    return [brief(*pair) for pair in zip(table[name], half, strict=True)]


def units(table: pd.DataFrame) -> str:
    """What the numbers of a table are."""
    fewest, most = int(table["seeds"].min()), int(table["seeds"].max())
    gold = "Gold is in deviations under the reference (0), KL in nats;"
    if most < 2:
        return f"{gold} one seed, so there are no errors, and peaks are too high."
    return f"{gold} ± is half of a 95 % interval over {most if fewest == most else f'{fewest} to {most}'} seeds."


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
