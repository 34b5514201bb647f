"""What a result directory came to, for a terminal: tables with a heading, short columns, and plain words below."""

import math
import textwrap
from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd

from analysis.records.load import (
    expected_runs,
    failures,
    final_rows,
    is_finished,
    load,
    mixed_code_note,
    pairwise_rows,
    trained_rows,
    variants,
)
from analysis.records.number_format import number, with_error
from analysis.records.safe_names import printable, with_safe_names
from analysis.statistics.law_fits import fit_laws, trends
from analysis.statistics.peaks import best, curve_settings, peaks

WIDTH = 100
MOST = 12  # settings of runs that diverged
UNITS = "Gold is in standard deviations under the reference, which has 0; KL in nats from the reference."
CROSS_FITTED = "Peaks are looked for on the other seeds, so luck does not raise them."


def text(folder: str | Path) -> str:
    """What a result directory came to, for a terminal: how its runs ended, and the best of each loss."""
    curves = with_safe_names(load(folder), printable)
    rows = curves[curves["method"] != "oracle"]
    runs, diverged = (part["run_id"].nunique() for part in (rows, rows[rows["status"] == "diverged"]))
    so_far, failed = "" if is_finished(folder) else " so far", failures(folder)
    of = f" of {expected_runs(folder)}" if expected_runs(folder) and so_far else ""
    first = f"{runs}{of} run{'s' * (runs != 1)}{so_far}, {diverged} of them diverged"
    if len(failed):
        first += f"; {len(failed)} more failed, and `runs.parquet` says why"
    if diverged:
        first += "\n" + _filled(f"diverged, and left out of all below: {which_diverged(curves)}")
    if mixed := mixed_code_note(folder):
        first += f"\n{mixed}"
    if final_rows(curves).empty:
        hint = "; a smaller learning rate may help" if diverged else ""
        return f"{first}; no figures, since nothing is left to draw{hint}"
    return "\n".join([first, *_offline_text(curves), *_proxy_text(curves)])


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


def _filled(words: str) -> str:
    return textwrap.fill(words, WIDTH)


def _seeds(table: pd.DataFrame) -> str:
    fewest, most = int(table["seeds"].min()), int(table["seeds"].max())
    if most < 2:
        return "There is one seed, so nothing has an error, and peaks are too high."
    return (
        f"± is half of a 95 % interval over {most if fewest == most else f'{fewest} to {most}'} seeds. {CROSS_FITTED}"
    )


def _errors(table: pd.DataFrame, name: str) -> list[str]:
    """Numbers with half of their intervals."""
    half = (table[f"{name}_high"] - table[f"{name}_low"]) / 2
    return [with_error(*pair) for pair in zip(table[name], half, strict=True)]


def _offline_text(curves: pd.DataFrame) -> list[str]:
    """The best of each loss, where there is offline training."""
    rows = pairwise_rows(curves)
    if final_rows(rows).empty:
        return []
    found, along = best(rows), peaks(rows)
    apart = [name for name in curve_settings(rows) if name not in ("method", "kappa", "beta")]
    shown = found[apart].copy()
    some = bool(found["best_beta"].notna().any())
    if some:
        star = found["at_the_end"].map({True: "*", False: ""})
        shown["best beta"] = [number(beta) + sign for beta, sign in zip(found["best_beta"], star, strict=True)]
        shown["sure"] = ["-" if math.isnan(share) else f"{100 * share:.0f} %" for share in found["sure"]]
    shown["peak gold"], shown["at KL"] = _errors(found, "peak_gold"), found["peak_kl"].map(number)
    least = along["beta"].fillna(0.0).groupby([along[name] for name in apart], sort=False, dropna=False).idxmin()
    weakest = along.loc[least].set_index(apart if len(apart) > 1 else apart[0])
    weakest = weakest.loc[[tuple(row) if len(apart) > 1 else row[0] for row in found[apart].to_numpy()]]
    if some:
        shown["smallest beta"] = [number(beta) for beta in weakest["beta"]]
    shown["falls by"] = _errors(weakest, "fall")
    words = [UNITS, _seeds(found)]
    if some:
        words += [
            "sure: how often this beta is the best when seeds are drawn again.",
            "* the smallest or largest beta here: the best may lie beyond." * bool(found["at_the_end"].any()),
        ]
    words.append(
        f"falls by: what gold loses from its peak to the end of training{', at the smallest beta' * some}; below 0 it "
        "still rises."
    )
    heading = "The most gold of each loss, over beta and training" if some else "The most gold of each loss in training"
    return ["", heading, _table(shown), _filled(" ".join(filter(None, words)))]


def _proxy_text(curves: pd.DataFrame) -> list[str]:
    """Where each method against proxies peaks, and its law."""
    rows = curves[~curves["method"].isin(["gpo", "oracle"])]
    if trained_rows(rows).empty:
        return []
    by = [name for name in curve_settings(rows) if name not in ("loss", "kappa") and not rows[name].isna().all()]
    table = peaks(rows)
    shown = table[by].rename(columns={"beta": "penalty"})
    shown["peak gold"], shown["at KL"] = _errors(table, "peak_gold"), table["peak_kl"].map(number)
    shown["end gold"], shown["end KL"] = table["end_gold"].map(number), table["end_kl"].map(number)
    shown["falls by"] = _errors(table, "fall")
    below = "falls by: what gold loses from its peak to the last point; below 0 it still rises."
    lines = ["", "The most gold of each method against proxies, along n, tau or training", _table(shown)]
    lines.append(_filled(f"{UNITS} {_seeds(table)} {below}"))
    laws = fit_laws(rows)
    if laws.empty:
        return lines
    columns = [name for name in laws if name in by or name == "proxy_parameters"]
    table = laws[columns].rename(columns={"beta": "penalty", "proxy_parameters": "parameters"})
    table = table.assign(alpha=_between(laws, "law_alpha"), beta=_between(laws, "law_beta"))
    table = table.assign(**{"peak d": _within(laws, "peak_d"), "peak gold": _within(laws, "peak_gold")})
    table = table.assign(rmse=laws["rmse"].map(number), other=laws["rival_rmse"].map(number))
    words = (
        "Fitted: d (alpha - beta d) for best_of_n, d (alpha - beta log d) for the others. Brackets are 95 % intervals. "
        "beyond: the peak of the law lies beyond the last point. rmse: how far points lie from the law, in deviations "
        "of gold; other: from the other form, which fits better where that is smaller."
    )
    lines += ["", "Laws of gold over d = sqrt(KL)", _table(table), _filled(words)]
    return [*lines, *(line for against in ("proxy_parameters", "pairs") for line in _trend_text(rows, against))]


def _between(laws: pd.DataFrame, name: str) -> list[str]:
    """Coefficients with their intervals, where there are any."""
    rows = zip(laws[name], laws[f"{name}_low"], laws[f"{name}_high"], strict=True)
    return [
        f"{number(at)} [{number(low)}, {number(high)}]" if math.isfinite(low) else number(at) for at, low, high in rows
    ]


def _within(laws: pd.DataFrame, name: str) -> list[str]:
    """Peaks that lie among the points."""
    rows = zip(laws[name], laws["peak_d"], laws["reach"], strict=True)
    return [number(at) if peak <= reach else "beyond" for at, peak, reach in rows]


def _trend_text(rows: pd.DataFrame, against: str) -> list[str]:
    """How coefficients change along a column that has three values or more."""
    if against not in rows or len(rows[against].dropna().unique()) < 3:
        return []
    found = trends(rows[rows["method"].isin(["best_of_n", "rl"])], against)
    fixed = [name for name in found if name not in ("slope", "slope_low", "slope_high", "seeds")]
    table = found[fixed].assign(
        change=_between(found.rename(columns={"slope": "s", "slope_low": "s_low", "slope_high": "s_high"}), "s")
    )
    table["coefficient"] = table["coefficient"].str.removeprefix("law_")
    heading = f"How the coefficients change for each factor of ten in {against.replace('_', ' ')}"
    return ["", heading, _table(table), "Brackets are 95 % intervals over seeds."]


def _table(table: pd.DataFrame) -> str:
    numbers: Iterable[str] = table.select_dtypes("float").columns
    table = table.assign(**{name: table[name].map(number) for name in numbers})
    table = table.rename(columns=lambda name: str(name).replace("_", " "))
    return str(table.to_string(index=False, na_rep="-"))
