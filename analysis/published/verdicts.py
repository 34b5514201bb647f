"""The claims table: which published claims hold in the records of a result directory."""

import json
import math
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.published.claim import VERDICTS, Claim, Records, Verdict
from analysis.published.holm import holm_corrected
from analysis.published.judging import decide
from analysis.published.papers import PAPERS
from analysis.published.what_would_change import QUICK, reopened
from analysis.records.atomic_files import write_atomically
from analysis.records.checks import checked
from analysis.records.load import load, origin_hashes
from analysis.records.number_format import number
from analysis.records.safe_names import printable

COLUMNS = (
    *("paper", "name", "statement", "source", "verdict", "estimate", "low", "high", "level", "seeds"),
    *("p", "p_holm", "needed", "unit", "rule", "note", "ours", "order"),
)


def claims(source: str | Path | pd.DataFrame, paper: str | None = None) -> pd.DataFrame:
    """Published claims, judged by a result directory, or by its curves.

    paper: one of PAPERS, all of whose claims are then listed; otherwise those of all that the records can judge.
    Columns: paper, name, statement, source, verdict (holds, fails or undecided), estimate, low and high with the level
    that the rule looks at, seeds, p (the smallest level at which the verdict would be the same), p_holm (the same with
    Holm's correction over all claims of the paper, and apart from them over those of ours), needed (about how many
    seeds would decide what is undecided), unit, rule, note, which says where the records are of the quick version,
    ours: whether the claim is ours and not the paper's, and order: of a claim on a published order, its labels with
    the published numbers and ours; None elsewhere.
    Where an experiment has several sweeps, this is one of them, and claims of others are undecided. Raises ResultsError
    where the directory cannot be read, and ValueError for a paper that is none.
    """
    if paper is not None and paper not in PAPERS:
        raise ValueError(f"paper = {paper!r}: must be one of {', '.join(PAPERS)}")
    records = Records(checked(source)) if isinstance(source, pd.DataFrame) else records_in(Path(source))
    names = [paper] if paper else list(PAPERS)
    rows = holm_corrected([claim_row(name, claim, records) for name in names for claim in PAPERS[name].claims])
    shown = rows if paper else [row for row in rows if not math.isnan(row["estimate"])]
    if records.folder is not None and is_quick(records.folder):
        shown = [row | {"note": "; ".join(filter(None, [QUICK, row["note"]]))} for row in shown]
    return pd.DataFrame(shown, columns=list(COLUMNS))


def records_in(folder: Path) -> Records:
    """The records of a result directory. Raises ResultsError."""
    return Records(checked(load(folder)), folder)


def is_quick(folder: Path) -> bool:
    """Whether the claims of a folder were judged by the quick version of an experiment."""
    try:
        found = json.loads((folder / "claims.json").read_text(encoding="utf-8"))
        return any(entry["quick"] for entry in found)
    except (OSError, ValueError, KeyError, TypeError):
        return False  # no claims there, or not ours


def claim_row(paper: str, claim: Claim, records: Records) -> dict[str, Any]:
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
        "p": math.nan if found.p is None else found.p,
        "p_holm": math.nan,
        "needed": math.nan if found.needed is None else found.needed,
        "unit": claim.unit,
        "rule": claim.rule.text,
        "verdict": found.verdict,
        "note": found.note,
        "ours": claim.ours,
        "order": order_entry(claim, found),
    }


def order_entry(claim: Claim, found: Verdict) -> dict[str, Any] | None:
    """The published order that a claim asks for, and ours beside it, where there is one.

    labels, published and ours are lists of the same length; ours is null where it could not be told, and of a label
    that was not there. ranks: whether the published numbers are ranks.
    """
    if claim.order is None:
        return None
    labels, published = list(claim.order.published), list(claim.order.published.values())
    ours = None if found.ours is None else [found.ours.get(label) for label in labels]
    said = {"mapping": claim.order.mapping, "why": claim.order.why}
    return {"labels": labels, "published": published, "ranks": claim.order.ranks, "ours": ours} | said


def judge_claims(paper: str, part: str, folder: Path) -> list[dict[str, Any]]:
    """The rows of the claims of one part of an experiment. Raises ResultsError."""
    records = records_in(folder)
    return holm_corrected([claim_row(paper, claim, records) for claim in PAPERS[paper].claims if claim.part == part])


def judge_part(
    paper: str, part: str, folder: Path, *, quick: bool, how_made: Mapping[str, str]
) -> list[dict[str, Any]]:
    """Judge the claims of one part of an experiment by its result directory, and write them there as claims.json.

    how_made: the version and the hash of what judges. Raises ResultsError.
    """
    hashes = origin_hashes(folder) | {"verdicts_source": how_made["verdicts_source"]}
    today = f"{date.today():%Y-%m-%d}"
    entries = claim_entries(
        judge_claims(paper, part, folder), quick=quick, date=today, version=how_made["version"], made_by=hashes
    )
    write_claims(entries, folder)
    return entries


def write_all_claims(parts: Sequence[dict[str, Any]], folder: Path) -> str:
    """Write the entries of all parts of an experiment into its folder; the same as text. Raises ResultsError."""
    entries = holm_corrected(parts)
    return f"{text(entries)}\nclaims in {write_claims(entries, folder)}"


def claim_entries(
    rows: Iterable[dict[str, Any]], *, quick: bool, date: str, version: str, made_by: Mapping[str, str] | None = None
) -> list[dict[str, Any]]:
    """Rows as the entries of claims.json, which has null where there is no number.

    made_by: hashes of what the verdicts follow from, such as the code and the reference of the records.
    """
    entries = []
    for row in rows:
        kept = {name: value for name, value in row.items() if name not in ("low", "high")}
        unknown = not math.isfinite(row["low"])
        kept |= {name: None if math.isnan(row[name]) else int(row[name]) for name in ("seeds", "needed")}
        kept["estimate"] = row["estimate"] if math.isfinite(row["estimate"]) else None
        kept["interval"] = None if unknown else [row["low"], row["high"]]
        kept |= {name: None if math.isnan(row[name]) else row[name] for name in ("p", "p_holm")}
        if quick:
            kept["note"] = "; ".join(filter(None, [QUICK, row["note"]]))
        entries.append(kept | {"quick": quick, "date": date, "version": version} | dict(made_by or {}))
    return entries


def write_claims(entries: Sequence[dict[str, Any]], folder: Path) -> Path:
    """Write entries into `claims.json` of a folder, whole or not at all. Raises ResultsError where it cannot be."""
    content = json.dumps(entries, indent=2, allow_nan=False, ensure_ascii=False) + "\n"
    return write_atomically(folder / "claims.json", content.encode())


def text(entries: Sequence[dict[str, Any]], width: int = 100) -> str:
    """Entries of claims.json for a terminal, and how many hold."""
    lines = []
    entries = [
        {key: printable(value) if isinstance(value, str) else value for key, value in each.items()} for each in entries
    ]
    for entry in entries:
        verdict = entry["verdict"] + " (quick)" * entry["quick"]
        indent = " " * 19
        lines.append(
            textwrap.fill(entry["statement"], width, initial_indent=f"{verdict:<19}", subsequent_indent=indent)
        )
        lines.append(textwrap.fill(estimate_text(entry), width, initial_indent=indent, subsequent_indent=indent))
        if entry["note"]:
            lines.append(textwrap.fill(entry["note"], width, initial_indent=indent, subsequent_indent=indent))
        lines.append(textwrap.fill(entry["source"], width, initial_indent=indent, subsequent_indent=indent))
    quick = " (quick version)" if any(entry["quick"] for entry in entries) else ""
    return "\n".join([*lines, textwrap.fill(f"{tally(entries)}{quick}", width)])


def tally(entries: Sequence[Mapping[str, Any]]) -> str:
    """How many claims there are, how many hold and fail, and which of them would with Holm's correction.

    That goes over all claims of the paper; those of ours beside them are a family of their own, and so are those on
    published orders.
    """
    counts = [f"{sum(entry['verdict'] == verdict for entry in entries)} {verdict}" for verdict in VERDICTS]
    decided = [entry for entry in entries if entry["verdict"] != "undecided"]
    lost = [str(entry["name"]) for entry in decided if reopened(entry)]
    over = families_text(entries)
    if not decided or all(entry.get("p_holm") is None for entry in entries):
        after = ""  # nothing is decided, or an earlier version wrote no p-values
    elif not lost:
        after = f"; with Holm's correction over {over} at 5 % these stay as they are"
    else:
        after = f"; with Holm's correction over {over} at 5 % undecided, too: {', '.join(lost)}"
    return f"{len(entries)} claims: {', '.join(counts)}{after}"


def families_text(entries: Sequence[Mapping[str, Any]]) -> str:
    """Over how many claims of which kinds the correction goes."""
    orders = sum(bool(entry.get("order")) for entry in entries)
    ours = sum(bool(entry.get("ours")) for entry in entries) - orders
    if not ours and not orders:
        return f"all {len(entries)}"
    apart = [f"{count} {kind}" for count, kind in ((ours, "of ours"), (orders, "on orders")) if count]
    return f"the {len(entries) - ours - orders} of the paper, and apart over {' and over '.join(apart)},"


def estimate_text(entry: dict[str, Any]) -> str:
    """The estimate of an entry with its interval, its unit and its rule."""
    if entry["estimate"] is None:
        return f"no number ({entry['unit']}); {entry['rule']}"
    estimate = number(entry["estimate"])
    if entry["interval"] is None:
        return f"{estimate}, no interval ({entry['unit']}); {entry['rule']}"
    low, high = entry["interval"]
    between = "exact" if low == high else f"[{number(low)}, {number(high)}]"
    return f"{estimate} {between} ({entry['unit']}); {entry['rule']}"
