"""Published experiments on the command line: one of them, or all in turn, and a page over all claims.

How a sweep is read and run is the affair of others: the command lends it.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analysis.figures.side_by_side import Helpers, helpers
from analysis.published.claim import VERDICTS

ALL = "all"  # the name that stands for every paper
WIDTHS = (6, 5, 5, 9)  # of the columns behind the names: claims and verdicts

Entry = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Lent:
    """What the command lends.

    read: a sweep, from the name of its file and KEY=VALUE. start: runs it into a folder; whether it ran. show: reports
    on a folder whose sweep ended. fail: says that a paper failed, and why. how_made: version and hash of what judges.
    draws: whether figures will be drawn.
    """

    read: Callable[[str, Sequence[str]], Any]
    start: Callable[[Any, Path], bool]
    show: Callable[[Path, Helpers], None]
    fail: Callable[[str, Exception], None]
    say: Callable[..., None]
    how_made: Mapping[str, str]
    draws: bool = True


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of a paper: the entries of its claims, or its error, and the seconds that it took."""

    entries: Sequence[Entry]
    seconds: float
    error: Exception | None = None


def reproduce_paper(name: str, target: Path, lent: Lent, *, quick: bool) -> list[Entry]:
    """Run the sweeps of a paper, or what is missing of them, and judge its claims; their entries, none of a plan.

    Raises what reading and running a sweep raises, and ResultsError.
    """
    from analysis.figures.drawing import draw_examples
    from analysis.published.holm import holm_corrected
    from analysis.published.papers import PAPERS
    from analysis.published.verdicts import judge_part
    from analysis.report.command import judge_paper

    paper, judged = PAPERS[name], []
    with helpers(1 if lent.draws else 0) as drawers:
        for part, asked in paper.parts.items():
            changed, folder = asked.quick if quick else (), target / part
            sweep = lent.read(asked.config, changed)
            lent.say(f"{' '.join(filter(None, [name, part]))}: {' '.join([f'{asked.config}.toml', *changed])}")
            if not lent.start(sweep, folder):
                continue
            judged += judge_part(name, part, folder, quick=quick, how_made=lent.how_made)
            draw_examples(folder, paper.examples)
            lent.show(folder, drawers)
    if judged:
        judge_paper(paper.title, list(paper.parts), judged, target, say=lent.say)
    return holm_corrected(judged)


def reproduce_all(target: Path, lent: Lent, *, quick: bool) -> dict[str, Exception]:
    """`reproduce_paper` of every paper into a folder of its name, and a page over all claims; the errors, by paper.

    A paper that fails does not stop the others. Raises the error of the first papers where they have the same one: it
    is then of what they were asked, and not of a paper; and ResultsError where the page cannot be written.
    """
    from analysis.published.papers import PAPERS

    outcomes: dict[str, Outcome] = {}
    for place, (name, paper) in enumerate(PAPERS.items(), start=1):
        lent.say(*[""] * (place > 1), f"{place} of {len(PAPERS)}: {paper.title}")
        found = outcomes[name] = attempt(name, target / name, lent, quick=quick)
        if found.error is None:
            continue
        if place > 1 and len({str(each.error) for each in outcomes.values()}) == 1:
            raise found.error
        lent.fail(name, found.error)
    failed = {name: found.error for name, found in outcomes.items() if found.error is not None}
    if any(found.entries for found in outcomes.values()):
        leave_all_claims(outcomes, target, lent.say)
    return failed


def attempt(name: str, target: Path, lent: Lent, *, quick: bool) -> Outcome:
    """What becomes of a paper."""
    began = time.monotonic()
    try:
        entries = reproduce_paper(name, target, lent, quick=quick)
    except BrokenPipeError:
        raise  # nobody reads what is said
    except Exception as error:
        return Outcome(entries=(), seconds=time.monotonic() - began, error=error)
    return Outcome(entries=entries, seconds=time.monotonic() - began)


def leave_all_claims(outcomes: Mapping[str, Outcome], target: Path, say: Callable[..., None]) -> None:
    """Write claims.json and claims.html of all papers, and say how many claims hold. Raises ResultsError."""
    from analysis.published.verdicts import write_claims
    from analysis.report.reproduction.claims_page import write_claims_page
    from analysis.report.side_tables import load_claims

    written = write_claims([entry for found in outcomes.values() for entry in found.entries], target)
    failed = {name: str(found.error) for name, found in outcomes.items() if found.error is not None}
    page = write_claims_page(load_claims(target), target, failed)
    say("", *table(outcomes), "", f"claims   {written}", f"page     {page}")


def table(outcomes: Mapping[str, Outcome]) -> list[str]:
    """How many claims of each paper there are, hold, fail and are undecided, and how long it took, as lines."""
    entries = [entry for found in outcomes.values() for entry in found.entries]
    seconds = sum(found.seconds for found in outcomes.values())
    rows = [
        ["paper", "claims", *VERDICTS, "time"],
        *([name, *counts(found.entries), took(found)] for name, found in outcomes.items()),
        [ALL, *counts(entries), shown_time(seconds)],
    ]
    width = max(len(row[0]) for row in rows)
    return [
        "  ".join([name.ljust(width), *(cell.rjust(most) for cell, most in zip(cells, WIDTHS, strict=True)), last])
        for name, *cells, last in rows
    ]


def counts(entries: Sequence[Entry]) -> list[str]:
    """How many claims there are, and how many have each verdict."""
    return [str(len(entries)), *(str(sum(entry["verdict"] == verdict for entry in entries)) for verdict in VERDICTS)]


def took(found: Outcome) -> str:
    """The time of a paper, and whether it failed."""
    return f"{shown_time(found.seconds)}{', failed' if found.error is not None else ''}"


def shown_time(seconds: float) -> str:
    """Seconds, or minutes from two on."""
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
