"""The result folders that are joined: what each has finished, checked against its checksums before it is relied on."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from pyarrow import ArrowException
from pyarrow.parquet import ParquetFile

from simulator.common.atomic_files import StorageError
from simulator.common.errors import ConfigError, short
from simulator.storage.checksums import read_checksums
from simulator.storage.compatibility import sweep_in
from simulator.storage.inventory import RUN_TABLES
from simulator.storage.layout import ResultFolder
from simulator.storage.lock import check_not_locked
from simulator.storage.merge import with_numbers
from simulator.storage.tables import FAILED
from simulator.sweeps.sweep import Sweep

COLUMNS = ["run_id", "status", "results_source"]


@dataclass(frozen=True, kw_only=True)
class Source:
    """A result folder: its sweep, the tables of what is finished there, and what else it has.

    tables: the files of each kind of table. oracle: the file whose rows have the oracle's curves. sums: the SHA-256 of
    every file, by its path in the folder. worlds: the facts of each world, by its name. finished: the run_id of each
    run that ended, and failed: of each that could not be finished.
    """

    folder: ResultFolder
    sweep: Sweep
    tables: Mapping[str, Sequence[Path]]
    oracle: Path
    sums: Mapping[str, str]
    worlds: Mapping[str, Mapping[str, Any]]
    finished: frozenset[str]
    failed: frozenset[str]
    made_by: str  # the hash of the code that determined the numbers

    @property
    def path(self) -> Path:
        """Where it lies."""
        return self.folder.path

    def read(self, kind: str) -> list[pd.DataFrame]:
        """The tables of a kind. Raises StorageError."""
        return [with_numbers(read_table(path)) for path in self.tables.get(kind, ())]


def read_table(path: Path) -> pd.DataFrame:
    """A table, with its pages checked. Raises StorageError."""
    try:
        return pd.read_parquet(path, page_checksum_verification=True)
    except (OSError, ArrowException) as error:
        raise StorageError(f"{path}: cannot be read ({short(str(error))})") from error


def read_columns(path: Path) -> pd.DataFrame:
    """How each run of a table ended, and what made it; empty where an earlier version did not write that down.

    Raises StorageError.
    """
    try:
        with ParquetFile(path) as file:
            there = [name for name in COLUMNS if name in file.schema_arrow.names]
            return file.read(columns=there).to_pandas().reindex(columns=COLUMNS).fillna("")
    except (OSError, ArrowException) as error:
        raise StorageError(f"{path}: cannot be read ({short(str(error))})") from error


def read_source(path: Path) -> Source:
    """What a folder has finished. Raises ConfigError where it has no records or somebody writes there, StorageError."""
    folder = ResultFolder(path=path)
    if not path.is_dir():
        raise ConfigError(f"join {path}: {'is no folder' if path.exists() else 'there is no such folder'}")
    check_not_locked(folder)
    sweep = sweep_in(folder) if folder.has_records else None
    if sweep is None:
        raise ConfigError(f"join {path}: holds no records of a sweep")
    tables, oracle, sums = ended_tables(folder) if folder.checksums.exists() else stopped_tables(folder)
    rows = pd.concat([pd.DataFrame(columns=COLUMNS), *map(read_columns, tables["runs"])], ignore_index=True)
    lost = rows["status"] == FAILED
    return Source(
        folder=folder,
        sweep=sweep,
        tables=tables,
        oracle=oracle,
        sums=sums,
        worlds=worlds_in(folder),
        finished=frozenset(rows.loc[~lost, "run_id"]),
        failed=frozenset(rows.loc[lost, "run_id"]),
        made_by=made_by(folder, set(rows.loc[~lost, "results_source"])),
    )


def ended_tables(folder: ResultFolder) -> tuple[dict[str, list[Path]], Path, dict[str, str]]:
    """The tables of a sweep that has ended, where its oracle's rows are, and all checksums. Raises ConfigError."""
    sums = checked(folder, folder.checksums)
    names = (*RUN_TABLES, "proxies")
    tables = {kind: [path] for kind in names if (path := folder.side_table(kind)).name in sums}
    return {"runs": [], "curves": []} | tables, folder.curves, sums


def stopped_tables(folder: ResultFolder) -> tuple[dict[str, list[Path]], Path, dict[str, str]]:
    """As `ended_tables`, of a sweep that was stopped: those of its finished stacks. Raises ConfigError."""
    tables: dict[str, list[Path]] = {kind: [] for kind in (*RUN_TABLES, "proxies")}
    sums = checked(folder, folder.start_checksums) if folder.start_checksums.exists() else {}
    for path in sorted(folder.parts.glob("*.sha256")):
        stack = checked(folder, path)
        sums |= stack
        for kind, some in tables.items():
            part = folder.part(path.name.removesuffix(".sha256"), kind)
            some += [part] if part.relative_to(folder.path).as_posix() in stack else []
    return tables, folder.oracle, sums


def checked(folder: ResultFolder, path: Path) -> dict[str, str]:
    """The checksums of a list, all of whose files are as it says. Raises ConfigError."""
    checksums = read_checksums(path, folder.path)
    wrong = [path.name] if checksums is None else [*checksums.changed, *checksums.missing]
    if checksums is None or wrong:
        raise ConfigError(
            f"join {folder.path}: {wrong[0]} is not as it was written; run the sweep there again, which makes it anew, "
            "or leave the folder out"
        )
    return dict(checksums.sums)


def worlds_in(folder: ResultFolder) -> dict[str, Mapping[str, Any]]:
    """The facts of each world, by its name. Raises ConfigError."""
    try:
        facts = json.loads(folder.world.read_bytes())
        return {one["name"]: one for one in facts.get("worlds", [facts])}
    except (OSError, ValueError, KeyError, TypeError):
        raise ConfigError(f"join {folder.path}: its world.json cannot be read") from None


def made_by(folder: ResultFolder, sources: set[str]) -> str:
    """The hash of the code that made a folder's runs, or is to make them. Raises ConfigError where they are several."""
    if len(sources) > 1:
        raise ConfigError(f"join {folder.path}: results_source: its runs were made by {' and '.join(sorted(sources))}")
    try:
        written = str(json.loads(folder.source.read_bytes())["results_source"])
    except (OSError, ValueError, KeyError, TypeError):
        written = ""
    return next(iter(sources), written)
