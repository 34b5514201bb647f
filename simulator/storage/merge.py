"""The parts of a sweep, joined into its tables at the end."""

import warnings
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd

from simulator.common.atomic_files import hash_of_file, remedy
from simulator.common.result_files import PARTS, POLICIES, SIDE_TABLES
from simulator.proxies.reward_model import Member
from simulator.settings.run import Run, axis_column
from simulator.storage.checksums import read_checksums, write_checksums
from simulator.storage.inventory import RUN_TABLES, list_finished
from simulator.storage.layout import ResultFolder, remove
from simulator.storage.tables import COLUMNS, LABEL, failed_rows, tidy, write_table

NO_RECORD = "it left no record"
NUMBERS = ("beta", "kappa", "label_noise")  # settings of runs


def merge_proxies(folder: ResultFolder, members: Sequence[Member]) -> None:
    """Write `proxies.parquet` from the parts, in the order of `members`, and add it to the checksums."""
    order = {member.name: i for i, member in enumerate(members)}
    parts = [folder.part(name, "proxies") for name in list_finished(folder).proxy_stacks]
    tables = [table for part in parts if len(table := pd.read_parquet(part))]
    if tables:
        table = pd.concat(tables, ignore_index=True)
        table = table[table["proxy"].isin(order)].drop_duplicates("proxy", keep="last")
        digest = write_table(table.sort_values("proxy", key=lambda names: names.map(order)), folder.proxies)
        if begun := read_checksums(folder.start_checksums, folder.path) if folder.start_checksums.exists() else None:
            before = {folder.path / name: known for name, known in begun.sums.items()}
            write_checksums(folder.start_checksums, folder.path, before | {folder.proxies: digest})


@dataclass(frozen=True, kw_only=True)
class GridOrder:
    """The order of the rows of tables: by run, as the runs are in the grid. axes: columns of the further axes."""

    runs: pd.Index
    axes: Mapping[str, Mapping[str, Any]]  # of each column, what it is in each run that has it

    @classmethod
    def of(cls, runs: Sequence[Run]) -> Self:
        """The order of some runs."""
        axes: dict[str, dict[str, Any]] = {}
        for run in runs:
            for key, value in run.cell.axes.items():
                axes.setdefault(axis_column(key), {})[run.run_id] = value
        return cls(runs=pd.Index([run.run_id for run in runs], dtype="str"), axes=axes)

    def joined(self, tables: list[pd.DataFrame]) -> pd.DataFrame | None:
        """The rows of some tables as one in this order, without those of other runs; None where there are none.

        Of a run that is in several tables the rows of the first are taken. What became an axis after a run was
        recorded is written into its rows. The list is emptied, so that nothing is held twice for long.
        """
        some = [table for table in tables if len(table)]
        tables.clear()
        if not some:
            return None
        source, count = np.repeat(np.arange(len(some)), [len(table) for table in some]), len(some)
        table = together(some)
        some.clear()
        place = self.runs.get_indexer(pd.Index(table["run_id"]))
        first = np.full(len(self.runs), count)
        known = place >= 0
        np.minimum.at(first, place[known], source[known])
        rows = np.flatnonzero(known & (first[place] == source))
        rows = rows[np.argsort(place[rows], kind="stable")]
        if not np.array_equal(rows, np.arange(len(table))):
            table = table.iloc[rows].reset_index(drop=True)
        return self.with_axes(table)

    def with_axes(self, table: pd.DataFrame) -> pd.DataFrame:
        """The table with the columns of the further axes at its end, where it has settings at all."""
        for name, values in self.axes.items() if "method" in table else ():
            missing = table[name].isna() if name in table else pd.Series(data=True, index=table.index)
            if missing.any() and table.loc[missing, "run_id"].isin(values).any():
                table = table.assign(**{name: table["run_id"].map(values)})
        last = [name for name in self.axes if name in table]
        return table[[name for name in table if name not in last] + last]


def together(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """The rows of some tables, one after the other."""
    some = [with_numbers(table) for table in tables]
    return pd.concat(some, ignore_index=True) if len(some) > 1 else some[0]


def with_numbers(table: pd.DataFrame) -> pd.DataFrame:
    """The table with numbers in columns of numbers: one where all are missing may have been written as names."""
    wrong = [name for name in NUMBERS if name in table and table[name].dtype != "float64"]
    return table.astype(dict.fromkeys(wrong, "float64")) if wrong else table


def merge_runs(
    folder: ResultFolder, runs: Sequence[Run], wanted: Collection[str], failed: Mapping[str, str]
) -> dict[str, str]:
    """Write the tables from the parts, runs in the order of the grid, and their checksums, and remove the parts.

    wanted: the run_id of each that was to be run; others are there where they are finished. failed: why, of runs that
    could not be finished, by their run_id. It comes back, with every wanted run that left no record.
    """
    done, sums = list_finished(folder), {}
    failed = {name: failed.get(name, NO_RECORD) for name in wanted if name not in done.runs}
    order = GridOrder.of(runs)

    def parts(kind: str) -> list[pd.DataFrame]:
        return [pd.read_parquet(path) for name in done.stacks if (path := folder.part(name, kind)).exists()]

    for kind in SIDE_TABLES:
        if (table := order.joined(parts(kind))) is not None:
            sums[folder.side_table(kind)] = write_table(table, folder.side_table(kind))
    curves = [table for table in (order.joined(parts("curves")), pd.read_parquet(folder.oracle)) if table is not None]
    sums[folder.curves] = write_table(with_external(tidy(together(curves)), folder), folder.curves)
    rows = order.joined([*parts("runs"), failed_rows([run for run in runs if run.run_id in failed], failed)])
    assert rows is not None
    sums[folder.runs] = write_table(rows, folder.runs)
    remove_stray_policies(folder)
    write_final_checksums(folder, sums)
    remove_parts(folder)
    return failed


def with_external(curves: pd.DataFrame, folder: ResultFolder) -> pd.DataFrame:
    """The curves with the rows of policies that were trained elsewhere, if there are any."""
    if not folder.external.exists():
        return curves
    external = pd.read_parquet(folder.external)
    shared = [name for name in external if name in curves or name in (LABEL.name, *COLUMNS)]
    return tidy(pd.concat([curves, external[shared]], ignore_index=True))


def remove_stray_policies(folder: ResultFolder) -> None:
    """Remove policies that belong to no finished stack: one that was stopped, and whose runs were stacked otherwise."""
    lists = [read_checksums(path, folder.path) for path in sorted(folder.parts.glob("*.sha256"))]
    sealed = {name for checksums in lists if checksums for name in checksums.sums}
    for path in folder.path.glob(POLICIES):
        if path.relative_to(folder.path).as_posix() not in sealed:
            path.unlink(missing_ok=True)


def remove_parts(folder: ResultFolder) -> None:
    """Remove the parts, of which all is in the tables by now; one that stays does no harm, and is warned of."""
    for pattern in PARTS:
        try:
            remove(folder, [pattern])
        except OSError as error:
            text = f"{error.filename or folder.parts}: cannot be removed ({error.strerror or error}); {remedy(error)}"
            warnings.warn(f"{text}, or remove it later", UserWarning, stacklevel=2)


def write_final_checksums(folder: ResultFolder, sums: Mapping[Path, str]) -> None:
    """Write the checksums of all records of a sweep that has ended. sums: those that are known."""
    records = [folder.side_table(kind) for kind in RUN_TABLES] + [*start_files(folder), folder.proxies, folder.external]
    records += [*sorted((folder.path / "proxies").glob("*.npz")), *sorted(folder.path.glob(POLICIES))]
    found = {path: sums.get(path) or hash_of_file(path) for path in records}
    write_checksums(folder.checksums, folder.path, {path: digest for path, digest in found.items() if digest})


def start_files(folder: ResultFolder) -> list[Path]:
    """The records that are there before any run is trained."""
    return [
        folder.config,
        folder.source,
        folder.world,
        folder.table_descriptions,
        folder.losses,
        *sorted(folder.code.rglob("*.py")),
    ]


def write_start_checksums(folder: ResultFolder) -> None:
    """Write the checksums of the files that a sweep began with, until it ends. Raises StorageError."""
    found = {path: hash_of_file(path) for path in (*start_files(folder), folder.oracle, folder.sizes)}
    write_checksums(folder.start_checksums, folder.path, {path: digest for path, digest in found.items() if digest})
