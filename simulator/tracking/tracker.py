"""What a tracker is: three methods by which a sweep is logged.

Write your own as a class with these methods, and a function without arguments that returns one; then
`sweep --track mine.py:function` logs to it, and so does `run_sweep(…, tracker=…)`. It is called when the sweep has
ended, with what stands in the result folder, so it cannot change a number; and what it raises loses nothing.

R runs, C checkpoints of all of them together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    import pandas as pd

Ending = Literal["finished", "failed"]
METHODS = ("begin", "finished", "end")


class Tracker(Protocol):
    """Takes a sweep that has ended: its settings, its runs, and where its figures are."""

    def begin(self, folder: Path, settings: Mapping[str, Any]) -> Collection[str]:
        """The sweep in this result folder is logged, perhaps not for the first time.

        settings: all of its sweep file, by dotted keys such as `train.steps`. Returns the `run_id` of every run that it
        has already; these are not given again. A run that failed, and should be given if it succeeds next time, is not
        among them. An empty collection: all are given.
        """

    def finished(self, runs: pd.DataFrame, curves: pd.DataFrame) -> None:
        """Runs have ended, R of them, at most 500; each is given once.

        runs: [R rows], the rows of `runs.parquet`, with every setting, `status` and what made them. curves: [C rows],
        their rows of `curves.parquet`, by `run_id` in the order of `runs`, and by `step`.
        """

    def end(self, folder: Path, ending: Ending) -> str | None:
        """All runs were given; figures and page are in the folder where they were drawn.

        ending: "finished", or "failed" where some runs failed. Returns a line that is shown to the user, such as where
        to look, or None.
        """
