"""The numbers of a sweep, and the claims that were judged by it, as LaTeX: floats that need booktabs alone."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from analysis.headline.headline import headline, sentences
from analysis.headline.statement import Statement
from analysis.published.papers import PAPERS
from analysis.published.verdicts import tally
from analysis.records.load import load
from analysis.records.number_format import number
from analysis.records.safe_names import latex_text
from analysis.report.best_points import BestPoints, best_of_losses, peaks_against_proxies

MOST = 40  # rows
COLUMN, LETTER, APART = 235.0, 4.1, 6.0  # points: a column of a paper, a letter of 8, and from one cell to the next
SPACED = "\n    \\addlinespace\n"
SHORT = {"at KL": "KL", "to KL": "KL"}  # headings, so that a table of usual losses fits a column
HEAD = "% Needs \\usepackage{booktabs}.\n"
NUMBER = re.compile(r"(−|-)?\d[\d,.]*(e[+-]\d+)?( ± [\d.]+)?(\*)?")
FLOAT = """
\\begin{{{kind}}}
  \\centering
  \\footnotesize
  \\setlength{{\\tabcolsep}}{{3pt}}
  \\caption{{{caption}}}
  \\label{{tab:{label}}}
  \\smallskip
  \\begin{{tabular}}{{@{{}}{columns}@{{}}}}
    \\toprule
{rows}
    \\bottomrule
  \\end{{tabular}}
\\end{{{kind}}}
"""


def summary_tables(folder: Path, found: Sequence[Statement] | None = None) -> str:
    """The best of each loss and the peak of each method, with the headline as comments. Raises ResultsError.

    found: the headline, if it is known.
    """
    curves = load(folder)
    said = [f"% {latex_text(sentence)}\n" for sentence in sentences(headline(folder) if found is None else found)]
    points = {"losses": best_of_losses(curves), "proxies": peaks_against_proxies(curves, MOST)}
    return "".join([HEAD, *said, *(points_table(label, each) for label, each in points.items() if each is not None)])


def points_table(label: str, points: BestPoints) -> str:
    """A table of best points, with what its numbers are as the caption."""
    words = [f"{points.title}.", *points.words]
    words += [f"This is at {points.place}."] if points.place else []
    words += [f"{points.left_out:,} more are left out."] if points.left_out else []
    table = points.table.head(MOST)
    if len(points.table) > MOST:
        words.append(f"{len(points.table) - MOST:,} more are left out.")
    rows = [[SHORT.get(name, name) for name in table], *table.to_numpy().tolist()]
    wide = sum(LETTER * max(map(len, texts)) for texts in zip(*rows, strict=True)) + APART * (len(rows[0]) - 1)
    cells = [[cell(text) for text in row] for row in rows]
    columns, kind = "l" + "r" * (len(rows[0]) - 1), "table" if wide <= COLUMN else "table*"
    return floating(label, " ".join(words), columns, cells, kind=kind)


def claims_table(entries: Sequence[dict[str, Any]]) -> str:
    """The claims of a result directory, each with its rule, its estimate and its verdict; notes are comments."""
    papers = [PAPERS[name].title for name in dict.fromkeys(entry["paper"] for entry in entries) if name in PAPERS]
    words = [f"Claims of {', '.join(papers)}." if papers else "Claims.", f"{tally(entries)}."]
    words.append("Intervals have the level that the rule of their claim names; p is with Holm's correction.")
    if any(entry["quick"] for entry in entries):
        words.append("Judged by a quick version, small on purpose: these verdicts mean little.")
    rows = [["claim and rule", "estimate", "p", "verdict"], *map(claim_row, entries)]
    columns = "p{0.52\\linewidth}p{0.24\\linewidth}rl"
    notes = "".join(
        f"% {latex_text(entry['name'])}: {latex_text(entry['note'])}\n" for entry in entries if entry["note"]
    )
    return HEAD + notes + floating("claims", " ".join(words), columns, rows, kind="table*", between=SPACED)


def claim_row(entry: dict[str, Any]) -> list[str]:
    """A claim as cells."""
    told = f"{entry['statement']} ({entry['source']})." if entry["source"] else f"{entry['statement']}."
    rule = re.sub(r"(?<!\S)-(?=\d)", "−", entry["rule"])
    rule = f" \\emph{{{latex_text(rule[:1].upper() + rule[1:])}.}}" if rule else ""
    p = "--" if entry["p_holm"] is None else cell(number(entry["p_holm"], 2))
    return [
        f"\\raggedright {latex_text(told)}{rule}",
        f"\\raggedright {estimate(entry)}",
        p,
        latex_text(entry["verdict"]),
    ]


def estimate(entry: dict[str, Any]) -> str:
    """The estimate of a claim with its interval and its unit."""
    if entry["estimate"] is None:
        return "no number"
    value, unit = cell(number(entry["estimate"])), latex_text(entry["unit"])
    if entry["interval"] is None:
        return f"{value}, no interval ({unit})"
    low, high = entry["interval"]
    between = "exact" if low == high else f"{{[}}{cell(number(low))}, {cell(number(high))}{{]}}"
    return f"{value} {between} ({unit})"


def floating(
    label: str, caption: str, columns: str, rows: Sequence[Sequence[str]], *, kind: str, between: str = "\n"
) -> str:
    """A float with a table of cells, the first row its heading.

    kind: table, or over two columns table*. between: what stands from one row to the next.
    """
    heading, *lines = [f"    {' & '.join(row)} \\\\" for row in rows]
    body = f"{heading}\n    \\midrule\n{between.join(lines)}"
    return FLOAT.format(kind=kind, caption=latex_text(caption), label=label, columns=columns, rows=body)


def cell(text: str) -> str:
    """A text for a cell; numbers, with what stands behind them, as formulas."""
    if not NUMBER.fullmatch(text):
        return latex_text(text)
    written = {"−": "-", " ± ": r" \pm ", ",": "{,}", "*": "^{*}"}
    for sign, command in written.items():
        text = text.replace(sign, command)
    text = re.sub(r"e([+-])0*(\d+)", r"\\times10^{\1\2}", text).replace("{+", "{")
    return f"${text}$"
