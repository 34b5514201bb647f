"""All that a command leaves of a result directory: what it says, the figures and the page."""

import gc
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from analysis.figures.side_by_side import Helpers, drawing, helpers
from analysis.records.checksums import damage_reported, find_damage, write_report_checksums
from analysis.records.load import ResultsError, has_finished_run, load
from analysis.report.paper import ForPaper

NOTHING = ForPaper()


def report_on(
    folder: Path,
    others: Sequence[Path],
    out: Path | None,
    paper: ForPaper,
    *,
    say: Callable[..., None],
    warn: Callable[[str], None],
) -> None:
    """`write_and_draw` of a directory; with others, or a place for the page, a comparison. Raises ResultsError."""
    if others or out:
        paper.require_one_folder()
        compare_sweeps([folder, *others], out, say=say)
        return
    with helpers() as drawers:
        write_and_draw(folder, drawers, paper=paper, say=say, warn=warn)


def write_and_draw(
    folder: Path,
    drawers: Helpers,
    *,
    paper: ForPaper = NOTHING,
    say: Callable[..., None],
    warn: Callable[[str], None],
) -> None:
    """Say what a result directory came to, draw its figures with some helpers, and write its page. Raises ResultsError.

    The helpers begin before this process has imported what it needs itself. paper: what is written for a paper, too.
    """
    paper.kinds()  # wrong input is answered before anything is drawn
    with drawing(folder, drawers) as figures:
        damaged = find_damage(folder)
        for sentence in damaged:
            warn(sentence)
        from analysis.headline.headline import headline
        from analysis.headline.summary import NAME as SUMMARY
        from analysis.headline.summary import write_summary
        from analysis.report.page import prepare_page
        from analysis.report.terminal_text import text

        gc.freeze()  # what was imported is no garbage
        gc.enable()
        with damage_reported(damaged):
            curves = load(folder)  # once, since it may be large
            said = headline(folder, curves)
            say(*text(folder, said, curves).split("\n"))
            write_summary(folder, said, curves)
            page = prepare_page(folder, said, curves)
            figures.draw(curves)
            page.scale_pictures()
            figures.wait()
    with damage_reported(damaged):
        say("", f"page     {page.write()}")
        say(f"figures  {folder / 'figures'}{os.sep}  (PNG, SVG, PDF, and what they show as CSV)")
        say(f"summary  {folder / SUMMARY}")
        write_report_checksums(folder)
        paper.write(folder, said, say)


def compare_sweeps(folders: Sequence[Path], out: Path | None, *, say: Callable[..., None]) -> None:
    """Write the page that compares several result directories, beside the first unless `out` says where.

    Raises ResultsError.
    """
    from analysis.report.several import names_of, write_comparison

    if out is not None and out.suffix != ".html":
        raise ResultsError(f"--out {out}: must end in .html, since a comparison is one page")
    if len({folder.resolve() for folder in folders}) < len(folders):
        raise ResultsError(
            f"report {' '.join(map(str, folders))}: names a folder twice; a sweep is not compared with itself"
        )
    name = "-and-".join(each.replace("/", "-") for each in names_of(folders))
    page = out or folders[0].resolve().parent / f"{name[:150]}.html"
    say(f"page     {write_comparison(folders, page)}")


def judge_paper(
    title: str, parts: Sequence[str], judged: Sequence[dict[str, Any]], target: Path, *, say: Callable[..., None]
) -> None:
    """Write and say the claims of a paper, and where it has several sweeps, a page over them. Raises ResultsError."""
    from analysis.published.verdicts import write_all_claims
    from analysis.report.side_tables import load_claims

    say(*write_all_claims(judged, target).split("\n"))
    if len(parts) > 1:
        from analysis.report.several import write_paper_page

        say(f"page     {write_paper_page(title, [target / part for part in parts], load_claims(target), target)}")
        if "" in parts:
            write_report_checksums(target)  # its page was made before the claims of all parts were there


def show_ended_sweep(folder: Path, drawers: Helpers, *, say: Callable[..., None], warn: Callable[[str], None]) -> None:
    """`write_and_draw` of a sweep that just ended; where every run diverged or failed, only the text.

    Raises ResultsError.
    """
    if has_finished_run(folder):
        write_and_draw(folder, drawers, say=say, warn=warn)
        return
    from analysis.report.terminal_text import text

    say(*text(folder).split("\n"))
