"""claims.html: all claims of all papers as one table, sorted and filtered in the browser; plain without JavaScript.

The keys that columns are sorted by stand in the cells as numbers; what has none is sorted by its words, and what has
no value comes last.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from analysis.published.claim import VERDICTS
from analysis.published.papers import PAPERS
from analysis.published.what_would_change import reopened, what_would_change
from analysis.records.atomic_files import write_atomically
from analysis.records.number_format import number
from analysis.report.page import SIGNS, environment, own_file, script_hashes

NAME = "claims.html"
LEAST_P = 1e-4  # a smaller p-value is told as smaller than this


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column of the table.

    numeric: whether it is sorted by numbers. right: whether it shows numbers alone. about: its order in words.
    """

    name: str
    numeric: bool = False
    right: bool = False
    about: str = ""


COLUMNS = (
    Column(name="Verdict", numeric=True),
    Column(name="Paper", numeric=True),
    Column(name="Claim"),
    Column(name="Estimate [interval]", numeric=True),
    Column(name="Rule"),
    Column(name="Seeds", numeric=True, right=True),
    Column(name="p", numeric=True, right=True),
    Column(name="Holm's p", numeric=True, right=True),
    Column(name="What would change it", numeric=True, about="undecided first, by seeds; then by distance"),
)


def write_claims_page(entries: Sequence[Mapping[str, Any]], target: Path, failed: Mapping[str, str]) -> Path:
    """Write claims.html into the folder that holds those of the papers; its path. Raises ResultsError.

    entries: of claims.json, as `load_claims` gives them. failed: why a paper has no verdicts, by its name.
    """
    scripts = [own_file("all_claims.js")]
    names = list(dict.fromkeys(str(entry["paper"]) for entry in entries))
    context = {
        "title": "Claims of all papers",
        "style": Markup(own_file("page.css") + own_file("all_claims.css")),
        "scripts": [Markup(script) for script in scripts],
        "hashes": script_hashes(scripts),
        "columns": COLUMNS,
        "rows": [row(entry, names.index(str(entry["paper"])), target) for entry in entries],
        "papers": [paper_row(name, entries, target) for name in names],
        "failed": failed,
        "verdicts": VERDICTS,
        "signs": SIGNS,
        "quick": [bool(entry["quick"]) for entry in entries],
    }
    text = environment().get_template("all_claims.html").render(context)
    return write_atomically(target / NAME, text.encode(errors="backslashreplace"))


def row(entry: Mapping[str, Any], place: int, target: Path) -> dict[str, Any]:
    """An entry with what its row needs besides: keys to sort by, a link, p-values as words. place: of its paper."""
    change = what_would_change(entry)
    return {
        **entry,
        "link": page_of(str(entry["paper"]), target),
        "change": change.text,
        "reopened": reopened(entry) and entry["p_holm"] is not None,
        "shown_p": p_text(entry["p"]),
        "shown_p_holm": p_text(entry["p_holm"]),
        "sorted_by": {
            "verdict": VERDICTS.index(entry["verdict"]),
            "paper": place,
            "estimate": key(entry["estimate"]),
            "seeds": key(entry["seeds"]),
            "p": key(entry["p"]),
            "p_holm": key(entry["p_holm"]),
            "change": key(change.order),
        },
    }


def paper_row(name: str, entries: Sequence[Mapping[str, Any]], target: Path) -> dict[str, Any]:
    """What a paper came to: its title, the link to its page, and how many claims have which verdict."""
    own = [entry for entry in entries if entry["paper"] == name]
    counts = [sum(entry["verdict"] == verdict for entry in own) for verdict in VERDICTS]
    title = PAPERS[name].title if name in PAPERS else name
    lost = sum(reopened(entry) and entry["p_holm"] is not None for entry in own)
    return {
        "name": name,
        "title": title,
        "link": page_of(name, target),
        "claims": len(own),
        "counts": counts,
        "reopened": lost,
    }


def page_of(paper: str, target: Path) -> str:
    """The link from claims.html to the page of a paper; nothing where there is none."""
    pages = [f"{paper}/{name}" for name in ("paper.html", "report.html")]
    return next((page for page in pages if (target / page).exists()), "")


def key(value: float | None) -> str:
    """A number as a key to sort by; nothing where there is none."""
    return "" if value is None or not math.isfinite(value) else repr(value)


def p_text(value: float | None) -> str:
    """A p-value as people read it."""
    if value is None:
        return "—"
    return f"< {LEAST_P:.4f}" if value < LEAST_P else number(value, 2)
