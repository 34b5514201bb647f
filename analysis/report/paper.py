"""What a report writes for a paper: its figures for one column, and its numbers as tables of LaTeX.

What is heavy is imported when something is written, so that the command line answers at once.
"""

from __future__ import annotations

import difflib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from cyclopts import Parameter

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from analysis.headline.statement import Statement

FORMATS = ("pdf", "pgf", "svg", "png")


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class ForPaper:
    """What is written for a paper, into paper/ of the directory.

    Parameters
    ----------
    formats
        Draw the figures for one column of a paper, too, as pdf, pgf, svg or png; several with commas: pdf,pgf.
    table
        Write the best points, and the claims that were judged, as tables of LaTeX, too.

    """

    formats: str | None = None
    table: Literal["latex"] | None = None

    def kinds(self) -> list[str]:
        """The formats that are asked for, each once. Raises ResultsError where one is none of FORMATS."""
        from analysis.records.load import ResultsError

        found = [] if self.formats is None else [kind.strip().lower() for kind in self.formats.split(",")]
        for kind in found:
            if kind not in FORMATS:
                near = difflib.get_close_matches(kind, FORMATS, n=1, cutoff=0.5)
                hint = f"; did you mean {near[0]}?" if near else ""
                raise ResultsError(
                    f"--formats {self.formats}: must be one or several of {', '.join(FORMATS)}, not {kind!r}{hint}"
                )
        return list(dict.fromkeys(found))

    def require_one_folder(self) -> None:
        """Raises ResultsError where something is asked for, since several sweeps are compared on a page alone."""
        from analysis.records.load import ResultsError

        for option, value in (("--formats", self.formats), ("--table", self.table)):
            if value is not None:
                raise ResultsError(
                    f"{option} {value}: is for one directory, and without --out; report on each by itself"
                )

    def write(self, folder: Path, found: Sequence[Statement], say: Callable[..., None]) -> None:
        """Write what is asked for, and say where. found: the headline. Raises ResultsError."""
        kinds = self.kinds()
        if not kinds and self.table is None:
            return
        from analysis.records.load import ResultsError

        target = folder / "paper"
        try:
            target.mkdir(exist_ok=True)
        except OSError as error:
            raise ResultsError(f"{target}: cannot be written ({error.strerror or error})") from None
        if kinds:
            from analysis.figures.paper import CAPTIONS, draw_for_paper

            drawn = (len(draw_for_paper(folder, kinds, target)) - 1) // len(kinds)
            as_kinds = " and ".join(kind.upper() for kind in kinds)
            figures = f"{drawn} figure{'s' * (drawn > 1)}"
            say(f"paper    {target}{os.sep}  ({figures} for one column, {as_kinds}; captions in {CAPTIONS})")
        if self.table is not None:
            say(f"tables   {', '.join(map(str, write_tables(folder, found, target)))}")


def write_tables(folder: Path, found: Sequence[Statement], target: Path) -> list[Path]:
    """Write the best points of a result directory, and its claims if it has any, into `target`; the paths written.

    Raises ResultsError.
    """
    from analysis.records.atomic_files import write_atomically
    from analysis.report.latex_tables import claims_table, summary_tables
    from analysis.report.side_tables import load_claims

    texts = {"summary": summary_tables(folder, found)}
    if entries := load_claims(folder):
        texts["claims"] = claims_table(entries)
    return [write_atomically(target / f"{name}.tex", text.encode()) for name, text in texts.items()]
