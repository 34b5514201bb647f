"""What best-of-n comes to in a file of generations, as text for a terminal, as titles, and as tables of numbers."""

import math
from typing import Any

import pandas as pd

from analysis.generations.measure import BestOfN
from analysis.generations.scores import ENSEMBLE, ENSEMBLES
from analysis.records.names import listed
from analysis.records.number_format import number, with_error
from analysis.records.safe_names import printable
from analysis.report.terminal_text import ROWS, aligned, filled

FAR = 1e6  # an n that nobody draws


def lines_of(found: BestOfN) -> list[str]:
    """What was found, on lines of 80 columns."""
    columns = found.generations.columns
    proxies = f"prox{'y' if len(columns.proxies) == 1 else 'ies'}: {listed(list(map(printable, columns.proxies)))}"
    told = f"prompt: {printable(' + '.join(columns.prompt))}; gold: {printable(columns.gold)}; {proxies}"
    lines = [filled(f"{size_of(found)} ({told})"), "", *(filled(f"* {each}", "  ") for each in sentences(found)), ""]
    for table in (gold_table(found), law_table(found)):
        lines += [
            *aligned(table.head(ROWS)),
            *[f"and {len(table) - ROWS:,} more, in laws.csv"] * (len(table) > ROWS),
            "",
        ]
    lines.append(filled(" ".join(words_on(found))))
    return [*lines, *(filled(f"note: {note}", "  ") for note in found.notes)]


def words_on(found: BestOfN) -> list[str]:
    """How the tables are read."""
    mean = number(found.gold_mean if abs(found.gold_mean) > 0.005 * found.gold_unit else 0.0)
    words = [
        "Gold is the gain over one response, in standard deviations over the initial policy's responses; in the "
        f"file that is {number(found.gold_unit)}, and the mean {mean}. ±: 95 % intervals over prompts. r: "
        "correlation with gold at equal prompts.",
        "The law is d (α − β d), d = √KL (Gao et al. 2023); misses by: rms of mean gold less the law.",
    ]
    if (found.laws["kind"] == "ensemble").any():
        words.append(f"*: an ensemble of the proxies; unc. weighted: mean − {found.uncertainty:g} × variance.")
    beyond = (found.laws["peak_n"] > found.laws["largest_n"]) & (found.laws["peak_n"] <= FAR)
    return [*words, *["beyond: no such n was measured."] * bool(beyond.any())]


def size_of(found: BestOfN) -> str:
    """How many prompts and responses there are."""
    fewest, most = found.responses
    each = f"{most:,}" if fewest == most else f"{fewest:,} to {most:,}"
    return f"{found.prompts:,} prompt{'s' * (found.prompts != 1)} with {each} responses each"


def sentences(found: BestOfN) -> list[str]:
    """A sentence for the first proxies, and for ensembles the best of them."""
    rows = found.laws.to_dict("records")
    alone = [row for row in rows if row["kind"] == "proxy"]
    together = [row for row in rows if row["kind"] == "ensemble"]
    said = [f"Ranked by {printable(row['score'])}, {path_of(row)}." for row in alone[:2]]
    if together:
        best = max(together, key=lambda row: row["best_gold"])
        said.append(f"Of the ensembles, {spoken(best['score'])} gains most: {path_of(best)}.")
    return said


def spoken(score: str) -> str:
    """The name of an ensemble in a sentence."""
    return score.removeprefix(ENSEMBLE).replace("_", " ")


def short_label(score: str) -> str:
    """The name of an ensemble in a table, or beside its line."""
    return spoken(score).replace("uncertainty ", "unc. ")


def path_of(row: dict[str, Any]) -> str:
    """How gold goes along n: where it is highest, and whether it surely falls after that."""
    top = brief(row, "best_gold")
    if row["best_n"] == row["largest_n"]:
        return f"gold rises to {top} sd at n = {row['best_n']:,}, the largest here"
    end = f"to n = {row['largest_n']:,}"
    if row["best_n"] == 1:
        return f"gold is highest at n = 1, and falls by {brief(row, 'fall')} {end}"
    if row["fall_low"] > 0:
        return f"gold peaks at {top} sd at n = {row['best_n']:,}, and falls by {brief(row, 'fall')} {end}"
    return f"gold reaches {top} sd at n = {row['best_n']:,}, and does not surely fall {end}"


def title_of(found: BestOfN, score: str) -> str:
    """The finding of one score."""
    row = found.laws.set_index("score").loc[score].to_dict()
    return f"{path_of(row)}".replace("gold", "Gold", 1)


def gold_table(found: BestOfN) -> pd.DataFrame:
    """How gold goes along n, a row for each proxy and ensemble, as texts."""
    rows = found.laws.to_dict("records")
    ends = [row["best_n"] == row["largest_n"] for row in rows]
    return pd.DataFrame(
        {
            "ranked by": [in_table(row["score"]) for row in rows],
            "r": [brief(row, "within_correlation") for row in rows],
            "best gold": [brief(row, "best_gold") for row in rows],
            "at n": [f"{row['best_n']:,}" for row in rows],
            f"falls by, to n = {found.largest_n:,}": [
                "-" if end else brief(row, "fall") for row, end in zip(rows, ends, strict=True)
            ],
        }
    )


def law_table(found: BestOfN) -> pd.DataFrame:
    """The law of gold, a row for each proxy and ensemble, as texts."""
    rows = found.laws.to_dict("records")
    return pd.DataFrame(
        {
            "law of gold": [in_table(row["score"]) for row in rows],
            "α": [brief(row, "alpha") for row in rows],
            "β": [brief(row, "beta") for row in rows],
            "peak at n": [peak_of(row) for row in rows],
            "misses by": [number(row["rmse"], 2) for row in rows],
        }
    )


def in_table(score: str) -> str:
    """The name of a score in a table of texts."""
    return f"* {short_label(score)}" if score in ENSEMBLES else printable(score)


def brief(row: dict[str, Any], name: str) -> str:
    """A number and half of its interval."""
    low, high = row[f"{name}_low"], row[f"{name}_high"]
    return with_error(row[name], (high - low) / 2) if high > low else number(row[name])


def peak_of(row: dict[str, Any]) -> str:
    """Where the law peaks and its interval, as n."""
    if math.isnan(row["peak_n"]):
        return "-"
    if row["peak_n"] > FAR:
        return "none"
    ends = [f"{row[name]:,.0f}" if row[name] < FAR else "∞" for name in ("peak_n_low", "peak_n_high")]
    beyond = " beyond" if row["peak_n"] > row["largest_n"] else ""
    interval = "" if math.isnan(row["peak_n_low"]) else f" ({ends[0]} to {ends[1]})"
    return f"{row['peak_n']:,.0f}{interval}{beyond}"
