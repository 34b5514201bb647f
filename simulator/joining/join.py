"""Result folders of one sweep, made in several places, as one: `python run.py join DIR ... --out DIR`.

The joined folder is as if the sweep had run in one place: the same tables, byte for byte, with the runs in the order of
the grid. It is written beside its place and moved there when all of it is there.
"""

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

import pandas as pd

from simulator.common.atomic_files import hash_of_file, make_folder, storing, unwritable, write_atomically
from simulator.common.errors import ConfigError
from simulator.common.result_files import SIDE_TABLES
from simulator.joining.agreement import check_overlaps, check_programs, sweep_of_all, worlds_of_all
from simulator.joining.sources import Source, read_source, read_table
from simulator.own_rewards.source import CodeSource
from simulator.proxies.reward_model import members_needed
from simulator.settings.run import Run
from simulator.storage.layout import ResultFolder
from simulator.storage.merge import GridOrder, together, write_final_checksums
from simulator.storage.tables import FAILED, tidy, write_json, write_table
from simulator.sweeps.grid import expand
from simulator.sweeps.stacking import runs_with_proxies, world_names
from simulator.sweeps.sweep import Sweep

Say = Callable[..., None]
EVERY = 2.0  # seconds between two lines of progress
COPIED = ("proxies/", "policies/")


@dataclass(frozen=True, kw_only=True)
class Joined:
    """What came of joining: how many runs there are, in how many folders they were again, and how many are missing."""

    folders: int
    runs: int
    again: int
    failed: int
    missing: int


@dataclass(kw_only=True)
class Progress:
    """Lines now and then of what is being done, where it takes long."""

    say: Say
    last: float

    def at(self, text: str) -> None:
        """Say where it is, if it is time."""
        if monotonic() - self.last >= EVERY:
            self.last = monotonic()
            self.say(text)


def join_folders(paths: Sequence[Path], out: Path, say: Say) -> Joined:
    """Join result folders into a new one. Raises ConfigError where they do not go together, and StorageError."""
    check_target(paths, out)
    progress = Progress(say=say, last=monotonic())
    sources = []
    for number, path in enumerate(paths, start=1):
        progress.at(f"reading {path}, {number} of {len(paths)}")
        sources.append(read_source(path))
    check_programs(sources)
    sweep, worlds = sweep_of_all(sources), worlds_of_all(sources)
    sweep._source = CodeSource(base_folder=Path())  # never in a result folder
    runs = expand(sweep)
    check_ids(sources, {run.run_id for run in runs})
    with written_beside(out) as folder:
        joined = write_all(folder, sources, sweep, runs, worlds, progress)
    return joined


def check_target(paths: Sequence[Path], out: Path) -> None:
    """Raises ConfigError where nothing can be joined, or not there."""
    if len(paths) < 2:
        raise ConfigError("join: names fewer than two folders; name those whose records are to be one sweep")
    seen: dict[Path, Path] = {}
    for path in paths:
        if (real := path.resolve()) in seen:
            raise ConfigError(f"join {path}: comes twice")
        seen[real] = path
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ConfigError(f"--out {out}: is there and not empty; join writes a new folder")
    if why := unwritable(out):
        raise ConfigError(f"--out {out}: cannot be written ({why})")


@contextmanager
def written_beside(out: Path) -> Iterator[ResultFolder]:
    """A folder beside `out` that takes its place when the block ends, and goes where that fails."""
    beside = out.absolute().with_name(f".{out.absolute().name}.joining")
    shutil.rmtree(beside, ignore_errors=True)  # of one that was killed
    make_folder(beside, parents=True)
    try:
        yield ResultFolder(path=beside)
        with storing(out):
            if out.exists():
                out.rmdir()
            beside.replace(out)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def check_ids(sources: Sequence[Source], known: set[str]) -> None:
    """Raises ConfigError where a folder has runs that are none of the sweep."""
    for source in sources:
        if others := source.finished - known:
            raise ConfigError(
                f"join {source.path}: {min(others)} is no run of its config.toml, as this version reads it; join with "
                "the version that made it"
            )


def write_all(
    folder: ResultFolder,
    sources: Sequence[Source],
    sweep: Sweep,
    runs: Sequence[Run],
    worlds: Mapping[str, Mapping[str, Any]],
    progress: Progress,
) -> Joined:
    """Write everything of the joined sweep into an empty folder. Raises ConfigError and StorageError."""
    order, sums = GridOrder.of(runs), {}
    rows, again = joined_runs(sources, order)
    sums[folder.runs] = write_table(rows, folder.runs)
    for kind in SIDE_TABLES:
        progress.at(f"joining {kind}.parquet")
        if (table := joined_table(kind, sources, order)) is not None:
            sums[folder.side_table(kind)] = write_table(table, folder.side_table(kind))
    progress.at("joining curves.parquet")
    sums[folder.curves] = write_table(joined_curves(sources, order, world_order(runs, worlds)), folder.curves)
    join_networks(folder, sources, runs, progress)
    write_facts(folder, sources, sweep, runs, worlds)
    progress.at("writing checksums")
    write_final_checksums(folder, sums)
    failed = int((rows["status"] == FAILED).sum())
    return Joined(
        folders=len(sources), runs=len(rows) - failed, again=again, failed=failed, missing=len(runs) - len(rows)
    )


def world_order(runs: Sequence[Run], worlds: Mapping[str, Any]) -> list[str]:
    """The names of the worlds that there are, in the order of the grid."""
    return [name for name in dict.fromkeys(name for _, name in world_names(runs)) if name in worlds]


def joined_runs(sources: Sequence[Source], order: GridOrder) -> tuple[pd.DataFrame, int]:
    """A row for each run that any folder has, finished where any has it so, and how many were there again.

    Raises ConfigError where one is not the same in two.
    """
    tables = [(source, table) for source in sources for table in source.read("runs")]
    done = [(source, table[table["status"] != FAILED]) for source, table in tables]
    again = check_overlaps("runs", done)
    finished = {run for source in sources for run in source.finished}
    lost = [table[(table["status"] == FAILED) & ~table["run_id"].isin(finished)] for _, table in tables]
    rows = order.joined([*(table for _, table in done), *lost])
    if rows is None:
        raise ConfigError("join: no folder has a finished run")
    return rows, again


def joined_table(kind: str, sources: Sequence[Source], order: GridOrder) -> pd.DataFrame | None:
    """The rows of a kind of table. Raises ConfigError where those of one run are not the same in two folders."""
    tables = [(source, table) for source in sources for table in source.read(kind)]
    check_overlaps(kind, tables)
    return order.joined(taken(tables))


def joined_curves(sources: Sequence[Source], order: GridOrder, worlds: Sequence[str]) -> pd.DataFrame:
    """The curves of all runs, then those of the oracle of each world, then policies that were trained elsewhere."""
    tables = [(source, of_runs(table)) for source in sources for table in source.read("curves")]
    check_overlaps("curves", tables)
    found = [order.joined(taken(tables)), *oracles(sources, worlds)]
    external = [
        of_method(table, "external")
        for source in sources
        if source.folder.external.exists()
        for table in source.read("curves")
    ]
    curves = together([table for table in [*found, *external] if table is not None])
    del found
    return tidy(curves.drop_duplicates(["run_id", "step"]) if external else curves)


def taken(tables: list[tuple[Source, pd.DataFrame]]) -> list[pd.DataFrame]:
    """The tables, which nobody else holds any longer: those of many runs take much memory."""
    found = [table for _, table in tables]
    tables.clear()
    return found


def of_runs(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of runs of the sweep, without a copy where all others come after them."""
    others = table["method"].isin(("oracle", "external")).to_numpy()
    first = int(others.argmax()) if others.any() else len(table)
    return table.iloc[:first] if others[first:].all() else table[~others]


def of_method(table: pd.DataFrame, name: str) -> pd.DataFrame:
    """The rows of a method."""
    return table[table["method"] == name]


def oracles(sources: Sequence[Source], worlds: Sequence[str]) -> list[pd.DataFrame]:
    """The oracle's curves in each world. Raises ConfigError where two folders have others."""
    tables = [(source, read_table(source.oracle)) for source in sources]
    rows = [(source, of_method(table, "oracle")) for source, table in tables]
    check_overlaps("curves", rows)
    found: dict[str, pd.DataFrame] = {}
    for _, table in rows:
        found = dict(iter(table.groupby(table["run_id"].str.split("-").str[1], sort=False))) | found
    return [found[name] for name in worlds if name in found]


def join_networks(folder: ResultFolder, sources: Sequence[Source], runs: Sequence[Run], progress: Progress) -> None:
    """Copy proxies and policies, and join what is said of them. Raises ConfigError and StorageError."""
    owner: dict[str, Source] = {}
    for source in sources:
        for name in (name for name in source.sums if name.startswith(COPIED)):
            progress.at(f"copying {source.path / name}")
            if name in owner:
                if owner[name].sums[name] != source.sums[name]:
                    raise ConfigError(f"join {source.path}: {name} is not that of {owner[name].path}")
                continue
            owner[name] = source
            copy(source.path / name, folder.path / name)
    tables = [(source, table) for source in sources for table in source.read("proxies")]
    if tables:
        place = {member.name: i for i, member in enumerate(members_needed(runs_with_proxies(runs)))}
        table = together([table for _, table in tables]).drop_duplicates("proxy")
        write_table(table.sort_values("proxy", key=lambda names: names.map(place), ignore_index=True), folder.proxies)
    external = [read_table(source.folder.external) for source in sources if source.folder.external.exists()]
    if external:
        write_table(together(external).drop_duplicates("run_id", ignore_index=True), folder.external)


def copy(path: Path, place: Path) -> None:
    """Copy a file, with its folder. Raises StorageError."""
    make_folder(place.parent, parents=True)
    with storing(path):
        write_atomically(place, path.read_bytes())


def write_facts(
    folder: ResultFolder,
    sources: Sequence[Source],
    sweep: Sweep,
    runs: Sequence[Run],
    worlds: Mapping[str, Mapping[str, Any]],
) -> None:
    """Write what a sweep begins with: the sweep, its code, its worlds and its losses. Raises StorageError."""
    first = sources[0].folder
    write_atomically(folder.config, sweep.to_toml().encode())
    facts = [worlds[name] for name in world_order(runs, worlds)]
    write_json(facts[0] if len(facts) == 1 else {"worlds": facts}, folder.world)
    for path in (first.source, first.table_descriptions):
        copy(path, folder.path / path.name)
    losses = together([read_table(source.folder.losses) for source in sources])
    write_table(losses.drop_duplicates(ignore_index=True), folder.losses)
    for source in sources:
        for path in sorted(source.folder.code.rglob("*.py")):
            if hash_of_file(place := folder.code / path.relative_to(source.folder.code)) is None:
                copy(path, place)
