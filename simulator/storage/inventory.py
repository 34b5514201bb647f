"""What of a sweep is finished: found, repaired where somebody changed it, and joined into its tables at the end.

Every file in a list of checksums is read before it is relied on. One that is not as it was written is reported and set
aside under another name, never deleted, and what it recorded is run again.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from pyarrow import ArrowException
from pyarrow.parquet import read_table

from simulator.common.result_files import PARTS, SIDE_TABLES
from simulator.storage.checksums import read_checksums
from simulator.storage.layout import ResultFolder
from simulator.storage.tables import FAILED

RUN_TABLES = ("curves", "runs", *SIDE_TABLES)


Read = Callable[[Path, str], list[str]]


@dataclass(frozen=True, kw_only=True)
class Finished:
    """What is finished: stacks of runs, and of proxies, by their names, and what was in them by its own."""

    stacks: tuple[str, ...]
    runs: frozenset[str]
    proxy_stacks: tuple[str, ...]
    proxies: frozenset[str]


def is_complete(folder: ResultFolder, runs: Collection[str], wanted: Collection[str]) -> bool:
    """Whether the records of all wanted runs are there, by run_id, as they were written, and none but of `runs`.

    Raises StorageError.
    """
    others = any(path.exists() for path in (folder.running, folder.lock))
    if others or not folder.checksums.exists() or any(any(folder.path.glob(part)) for part in PARTS):
        return False
    checksums = read_checksums(folder.checksums, folder.path)
    if (
        checksums is None
        or not checksums.intact
        or folder.config.relative_to(folder.path).as_posix() not in checksums.sums
    ):
        return False
    there = set(column(folder.runs, "run_id"))
    return not any_failed(folder) and set(wanted) <= there <= set(runs)


def any_failed(folder: ResultFolder) -> bool:
    """Whether the tables say that runs failed."""
    return FAILED in column(folder.runs, "status")


def column(path: Path, name: str) -> list[str]:
    """One column of a table; of many small tables this is what takes least. Raises OSError and ArrowException."""
    values: list[str] = read_table(path, columns=[name]).column(0).to_pylist()
    return values


def try_read(path: Path, name: str) -> list[str]:
    """One column of a table, or nothing where it cannot be read."""
    try:
        return column(path, name)
    except (OSError, ArrowException):
        return []


def list_finished(folder: ResultFolder, read: Read = column) -> Finished:
    """What is finished in a repaired folder; read: `column`, or `try_read` where the folder was not repaired yet.

    Raises OSError and ArrowException, unless `try_read` reads.
    """
    names = [path.name.removesuffix(".sha256") for path in sorted(folder.parts.glob("*.sha256"))]
    runs = {name: read(path, "run_id") for name in names if (path := folder.part(name, "runs")).exists()}
    proxies = {name: read(path, "proxy") for name in names if (path := folder.part(name, "proxies")).exists()}
    return Finished(
        stacks=tuple(runs),
        runs=frozenset(run for found in runs.values() for run in found),
        proxy_stacks=tuple(proxies),
        proxies=frozenset(proxy for found in proxies.values() for proxy in found),
    )


def successful_runs(folder: ResultFolder, read: Read) -> list[str]:
    """The run_id of every run of the tables that did not fail."""
    told_of = zip(read(folder.runs, "run_id"), read(folder.runs, "status"), strict=True)
    return [run_id for run_id, status in told_of if status != FAILED]


def finished_runs(folder: ResultFolder) -> frozenset[str]:
    """The run_id of every run whose records are there, by what the folder says of itself; changes nothing."""
    return list_finished(folder, try_read).runs | frozenset(
        successful_runs(folder, try_read) if folder.checksums.exists() else ()
    )


def describe_unfinished(folder: ResultFolder) -> str:
    """What a folder keeps of a sweep that was stopped, for people."""
    count, under_way = len(finished_runs(folder)), len(list(folder.parts.glob("*.safetensors")))
    also = f", and the state of {under_way} stack{'s' * (under_way > 1)} under way" if under_way else ""
    return f"what is finished is kept in {folder.path}: {count} run{'s' * (count != 1)}{also}"


def describe_finished(folder: ResultFolder) -> str:
    """How many runs a folder holds and where its page is; nothing where the page was not made of these records."""
    checksums = read_checksums(folder.report_checksums, folder.path) if folder.report_checksums.exists() else None
    shows = [path for path in (folder.checksums, folder.path / "claims.json") if path.exists()]
    if checksums is None or not checksums.intact or not folder.checksums.exists():
        return ""
    if any(path.name not in checksums.sums for path in (*shows, folder.page)):
        return ""
    ends = column(folder.runs, "status")
    lost = f"{ends.count('diverged'):,}" if "diverged" in ends else "none"
    return f"all {len(ends):,} runs were there, {lost} of them diverged; the page is {folder.page}"
