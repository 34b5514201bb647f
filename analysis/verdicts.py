"""The claims table: which published claims hold in the records of a result directory."""

import json
import math
import textwrap
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.claim import VERDICTS, Claim, Records, decide, records_in
from analysis.files import write_whole
from analysis.names import printable
from analysis.papers import PAPERS

COLUMNS = (
    *("paper", "name", "statement", "source", "verdict", "estimate", "low", "high", "level", "seeds"),
    *("unit", "rule", "note"),
)
QUICK = "quick version, small on purpose"


def claims(source: str | Path | pd.DataFrame, paper: str | None = None) -> pd.DataFrame:
    """Published claims, judged by a result directory, or by its curves.

    paper: one of PAPERS, all of whose claims are then told; otherwise those of all papers that the records can judge.
    Columns: paper, name, statement, source, verdict (holds, fails or undecided), estimate, low and high with the level
    that the rule looks at, seeds, unit, rule, note, which says where the records are of the quick version.
    Where an experiment has several sweeps, this is one of them, and claims of others are undecided. Raises ResultsError
    where the directory cannot be read, and ValueError for a paper that is none.
    """
    if paper is not None and paper not in PAPERS:
        raise ValueError(f"paper = {paper!r}: must be one of {', '.join(PAPERS)}")
    records = Records(source) if isinstance(source, pd.DataFrame) else records_in(Path(source))
    names = [paper] if paper else list(PAPERS)
    rows = [row_of(name, claim, records) for name in names for claim in PAPERS[name].claims]
    told = rows if paper else [row for row in rows if not math.isnan(row["estimate"])]
    if records.folder is not None and quick_in(records.folder):
        told = [row | {"note": "; ".join(filter(None, [QUICK, row["note"]]))} for row in told]
    return pd.DataFrame(told, columns=list(COLUMNS))


def quick_in(folder: Path) -> bool:
    """Whether the claims of a folder were judged by the quick version of an experiment."""
    try:
        told = json.loads((folder / "claims.json").read_text(encoding="utf-8"))
        return any(entry["quick"] for entry in told)
    except (OSError, ValueError, KeyError, TypeError):
        return False  # no claims there, or not ours


def row_of(paper: str, claim: Claim, records: Records) -> dict[str, Any]:
    """A claim judged, as a row of the table."""
    found = decide(claim, records)
    low, high = found.interval or (math.nan, math.nan)
    return {
        "paper": paper,
        "name": claim.name,
        "statement": claim.statement,
        "source": claim.source,
        "estimate": math.nan if found.estimate is None else found.estimate,
        "low": low,
        "high": high,
        "level": claim.rule.level,
        "seeds": math.nan if found.seeds is None else found.seeds,
        "unit": claim.unit,
        "rule": claim.rule.text,
        "verdict": found.verdict,
        "note": found.note,
    }


def judged(paper: str, part: str, folder: Path) -> list[dict[str, Any]]:
    """The rows of the claims of one part of an experiment. Raises ResultsError."""
    records = records_in(folder)
    return [row_of(paper, claim, records) for claim in PAPERS[paper].claims if claim.part == part]


def entries(rows: Iterable[dict[str, Any]], *, quick: bool, date: str, version: str) -> list[dict[str, Any]]:
    """Rows as the entries of claims.json, which has null where there is no number."""
    told = []
    for row in rows:
        kept = {name: value for name, value in row.items() if name not in ("low", "high")}
        unknown = not math.isfinite(row["low"])
        kept["seeds"] = None if math.isnan(row["seeds"]) else int(row["seeds"])
        kept["estimate"] = row["estimate"] if math.isfinite(row["estimate"]) else None
        kept["interval"] = None if unknown else [row["low"], row["high"]]
        if quick:
            kept["note"] = "; ".join(filter(None, [QUICK, row["note"]]))
        told.append(kept | {"quick": quick, "date": date, "version": version})
    return told


def write_claims(told: Sequence[dict[str, Any]], folder: Path) -> Path:
    """Write entries into `claims.json` of a folder, whole or not at all. Raises ResultsError where it cannot be."""
    content = json.dumps(told, indent=2, allow_nan=False, ensure_ascii=False) + "\n"
    return write_whole(folder / "claims.json", content.encode())


def text(told: Sequence[dict[str, Any]], width: int = 100) -> str:
    """Entries of claims.json for a terminal, and how many hold."""
    lines = []
    told = [
        {key: printable(value) if isinstance(value, str) else value for key, value in each.items()} for each in told
    ]
    for entry in told:
        verdict = entry["verdict"] + " (quick)" * entry["quick"]
        indent = " " * 19
        lines.append(
            textwrap.fill(entry["statement"], width, initial_indent=f"{verdict:<19}", subsequent_indent=indent)
        )
        lines.append(textwrap.fill(number_of(entry), width, initial_indent=indent, subsequent_indent=indent))
        if entry["note"]:
            lines.append(textwrap.fill(entry["note"], width, initial_indent=indent, subsequent_indent=indent))
        lines.append(f"{indent}{entry['source']}")
    counts = [f"{sum(entry['verdict'] == verdict for entry in told)} {verdict}" for verdict in VERDICTS]
    quick = " (quick version)" if any(entry["quick"] for entry in told) else ""
    return "\n".join([*lines, f"{len(told)} claims: {', '.join(counts)}{quick}"])


def number_of(entry: dict[str, Any]) -> str:
    """The estimate of an entry with its interval, its unit and its rule."""
    if entry["estimate"] is None:
        return f"no number ({entry['unit']}); {entry['rule']}"
    if entry["interval"] is None:
        return f"{entry['estimate']:.3g}, no interval ({entry['unit']}); {entry['rule']}"
    low, high = entry["interval"]
    between = "exact" if low == high else f"[{low:.3g}, {high:.3g}]"
    return f"{entry['estimate']:.3g} {between} ({entry['unit']}); {entry['rule']}"
