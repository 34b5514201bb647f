"""Log a sweep that has ended to a tracker: what the tables of its result folder hold, each run once."""

import tomllib
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pyarrow import ArrowException

from simulator.common.errors import ConfigError, SweepError
from simulator.settings.toml import flatten
from simulator.storage.layout import ResultFolder
from simulator.tracking.choose import LATER, Chosen, choose
from simulator.tracking.tracker import Tracker

MOST = 500  # runs that are logged at a time
FAILURES = (ConfigError, OSError, ArrowException)  # of a tracker, and of the folder


def log_runs(chosen: Chosen, path: Path) -> None:
    """Log the runs in a folder, but for those that the tracker has. Raises one of FAILURES."""
    folder = ResultFolder(path=path)
    with chosen.errors_named("its method begin failed"):
        known = set(chosen.tracker.begin(path, settings_in(folder)) or ())
    runs = pd.read_parquet(folder.runs)
    if known.issuperset(runs["run_id"]):
        return
    for some, of_them in by_run(runs[~runs["run_id"].isin(known)], pd.read_parquet(folder.curves), MOST):
        with chosen.errors_named("its method finished failed"):
            chosen.tracker.finished(some, of_them)


def log_end(chosen: Chosen, path: Path) -> str:
    """Log that this is all, and return the line that the tracker has for the user. Raises one of FAILURES."""
    ends = pd.read_parquet(ResultFolder(path=path).runs, columns=["status"])["status"]
    with chosen.errors_named("its method end failed"):
        return str(chosen.tracker.end(path, "failed" if "failed" in set(ends) else "finished") or "")


@contextmanager
def logged_when_ended(tracker: Tracker | str | None, path: Path) -> Iterator[None]:
    """Log the sweep that the block runs into a folder, if there is a tracker; also where some runs failed.

    An error of the tracker becomes a warning. Raises ConfigError, before the block, where it is no tracker.
    """
    chosen = choose(tracker) if tracker is not None else None
    try:
        yield
    except SweepError:
        if chosen and ResultFolder(path=path).checksums.exists():
            log_all(chosen, path)
        raise
    if chosen:
        log_all(chosen, path)


def log_all(chosen: Chosen, path: Path) -> None:
    """Log all of a sweep that has ended; where that fails, a warning says so."""
    try:
        log_runs(chosen, path)
        log_end(chosen, path)
    except FAILURES as error:
        warnings.warn(f"{error}; {LATER}", UserWarning, stacklevel=2)


def settings_in(folder: ResultFolder) -> dict[str, Any]:
    """Every setting of the sweep in a folder, by its dotted key. Raises OSError."""
    tables = tomllib.loads(folder.config.read_text(encoding="utf-8"))
    return {name.removeprefix("."): value for name, value in flatten("", tables)}


def by_run(runs: pd.DataFrame, curves: pd.DataFrame, most: int) -> Iterator[tuple[pd.DataFrame, pd.DataFrame]]:
    """Runs, so many at a time, with their rows of `curves` in the order of runs and steps."""
    place = pd.Index(runs["run_id"]).get_indexer(curves["run_id"])
    order = np.lexsort((curves["step"], place))
    place, curves = place[order], curves.iloc[order]
    for start in range(0, len(runs), most):
        begin, end = np.searchsorted(place, (start, start + most))
        yield rows(runs, start, start + most), rows(curves, begin, end)


def rows(table: pd.DataFrame, begin: int, end: int) -> pd.DataFrame:
    """Some rows of a table, numbered anew."""
    return table.iloc[begin:end].reset_index(drop=True)
