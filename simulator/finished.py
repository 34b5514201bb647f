"""What of a sweep is finished: found, mended where somebody changed it, and joined into its tables at the end.

Every file that a seal vouches for is read before it is relied on. One that is not as it was written is told of and set
aside under another name, never deleted, and what it recorded is run again.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from pyarrow import ArrowException
from pyarrow.parquet import read_table

from simulator.files import hash_of_file, set_aside
from simulator.folder import BESIDE, PARTS, Folder, remove
from simulator.proxies import Member
from simulator.records import FAILED, failed_rows, tidy, write_table
from simulator.runs import Run, axis_column, digest
from simulator.seals import Seal, read_seal, write_seal

OF_RUNS = ("curves", "runs", *BESIDE)
Tell = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Finished:
    """What is finished: stacks of runs, and of proxies, by their names, and what was in them by its own."""

    stacks: tuple[str, ...]
    runs: frozenset[str]
    proxy_stacks: tuple[str, ...]
    proxies: frozenset[str]


def is_complete(folder: Folder) -> bool:
    """Whether all records of the sweep are there, as they were written. Raises StorageError."""
    if not folder.seal.exists() or any(folder.parts.glob("*.sha256")):
        return False
    seal = read_seal(folder.seal, folder.path)
    if seal is None or not seal.whole:
        return False
    return not (pd.read_parquet(folder.runs, columns=["status"])["status"] == FAILED).any()


def mend(folder: Folder, tell: Tell) -> None:
    """Leave only whole records in the folder; `tell` is given a sentence on each that is set aside.

    Tables of a sweep that is not finished after all, since runs of it failed or proxies are damaged, become parts
    again. Raises StorageError.
    """
    seal = None
    if folder.seal.exists():
        seal = read_seal(folder.seal, folder.path)
        if seal is None:
            put_away([folder.seal], "and the tables are read instead", tell)
    if seal is None:
        adopt(folder, tell)
    else:
        mend_tables(folder, seal, tell)
    for path in sorted(folder.parts.glob("*.sha256")):
        mend_part(folder, path, tell)


def put_away(paths: Iterable[Path], then: str, tell: Tell, why: str = "is not as it was written") -> None:
    """Set files aside, those that are there, for a reason and with a consequence that are told."""
    for path in paths:
        if path.exists():
            tell(f"{path}: {why}; it is kept as {set_aside(path).name}, {then}")


def adopt(folder: Folder, tell: Tell) -> None:
    """Vouch for tables that no seal vouches for, if they can be read: an earlier version wrote none."""
    if any(folder.parts.glob("*.sha256")) or not (folder.curves.exists() and folder.runs.exists()):
        return
    tables = [path for kind in OF_RUNS if (path := folder.beside(kind)).exists()]
    for path in tables:
        try:
            pd.read_parquet(path)
        except (OSError, ArrowException):
            put_away(tables, "and the runs are run again", tell, "cannot be read, or belongs to what cannot")
            return
    seal_tables(folder, {})


def mend_tables(folder: Folder, seal: Seal, tell: Tell) -> None:
    """Set aside what is damaged of the tables of a sweep that had ended, and make the rest parts if need be."""
    damaged = [folder.path / name for name in seal.altered]
    hurt = [name for name in (*seal.altered, *seal.gone) if name.removesuffix(".parquet") in OF_RUNS]
    for name in seal.gone:
        tell(f"{folder.path / name}: is gone; it is made again")
    if hurt:
        others = [folder.beside(kind) for kind in OF_RUNS]
        put_away(damaged, "and its runs are run again", tell)
        put_away(others, "and the same runs are run again", tell, "belongs to what is damaged")
        reopen(folder, seal)
        return
    put_away(damaged, "and made again", tell)
    broken = any(name.startswith("prox") for name in (*seal.altered, *seal.gone))
    if broken or (pd.read_parquet(folder.runs, columns=["status"])["status"] == FAILED).any():
        reopen(folder, seal)


def reopen(folder: Folder, seal: Seal) -> None:
    """Make parts of what is whole in the tables of a sweep that had ended, so that it goes on as any other.

    The parts are there, sealed, before anything that they came from goes.
    """
    whole = {name for name in seal.sums if name not in (*seal.altered, *seal.gone)}
    folder.parts.mkdir(exist_ok=True)
    if "proxies.parquet" in whole:
        table = pd.read_parquet(folder.proxies)
        networks = [folder.network(name) for name in table["proxy"]]
        there = [path.relative_to(folder.path).as_posix() in whole for path in networks]
        part = folder.part(digest(list(table["proxy"])), "proxies")
        sums = {path: seal.sums[path.relative_to(folder.path).as_posix()] for path in networks if path.exists()}
        sums = {path: digest for path, digest in sums.items() if path.relative_to(folder.path).as_posix() in whole}
        sums[part] = write_table(table[there], part)
        write_seal(folder.part_seal(part.name.split(".")[0]), folder.path, sums)
    if all(folder.beside(kind).exists() for kind in ("curves", "runs")):
        runs = pd.read_parquet(folder.runs)
        ids = list(runs.loc[runs["status"] != FAILED, "run_id"])
        name, sums = digest(ids), {}
        for kind in OF_RUNS:
            if folder.beside(kind).exists():
                table = pd.read_parquet(folder.beside(kind))
                part = folder.part(name, kind)
                sums[part] = write_table(table[table["run_id"].isin(ids)], part)
        write_seal(folder.part_seal(name), folder.path, sums)
    for path in (folder.seal, *(folder.beside(kind) for kind in OF_RUNS)):
        path.unlink(missing_ok=True)


def mend_part(folder: Folder, path: Path, tell: Tell) -> None:
    """Set aside what is damaged of a stack, which then is not finished."""
    seal = read_seal(path, folder.path)
    if seal is not None and seal.whole:
        return
    altered = [path] if seal is None else [folder.path / name for name in seal.altered]
    put_away(altered, "and what its stack had done is done again", tell)
    for name in seal.gone if seal else ():
        tell(f"{folder.path / name}: is gone; what its stack had done is done again")
    path.unlink(missing_ok=True)


def survey(folder: Folder) -> Finished:
    """What is finished in a mended folder."""
    names = [path.name.removesuffix(".sha256") for path in sorted(folder.parts.glob("*.sha256"))]
    stacks = [name for name in names if folder.part(name, "runs").exists()]
    proxies = [name for name in names if folder.part(name, "proxies").exists()]
    return Finished(
        stacks=tuple(stacks),
        runs=frozenset(run for name in stacks for run in column(folder.part(name, "runs"), "run_id")),
        proxy_stacks=tuple(proxies),
        proxies=frozenset(proxy for name in proxies for proxy in column(folder.part(name, "proxies"), "proxy")),
    )


def column(path: Path, name: str) -> list[str]:
    """One column of a table; of many small ones this is what takes least."""
    values: list[str] = read_table(path, columns=[name]).column(0).to_pylist()
    return values


def join_proxies(folder: Folder, members: Sequence[Member]) -> None:
    """Write `proxies.parquet` from the parts, in the order of `members`."""
    order = {member.name: i for i, member in enumerate(members)}
    parts = [folder.part(name, "proxies") for name in survey(folder).proxy_stacks]
    tables = [table for part in parts if len(table := pd.read_parquet(part))]
    if tables:
        table = pd.concat(tables, ignore_index=True)
        table = table[table["proxy"].isin(order)].drop_duplicates("proxy", keep="last")
        write_table(table.sort_values("proxy", key=lambda names: names.map(order)), folder.proxies)


def join(folder: Folder, runs: Sequence[Run], failed: Mapping[str, str]) -> None:
    """Write the tables from the parts, runs in the order of the grid, vouch for them, and remove the parts.

    failed: why, of runs that could not be finished, by their run_id. Without any finished run nothing is written.
    """
    order = {run.run_id: i for i, run in enumerate(runs)}
    axes = list(dict.fromkeys(axis_column(name) for run in runs for name in run.axes))
    stacks, sums = survey(folder).stacks, {}
    if not stacks:
        return

    def joined(kind: str, keys: list[str] | None) -> pd.DataFrame | None:
        paths = [path for name in stacks if (path := folder.part(name, kind)).exists()]
        tables = [table for path in paths if len(table := pd.read_parquet(path))]
        if not tables:
            return None
        table = pd.concat(tables, ignore_index=True)
        table = table[table["run_id"].isin(order)].drop_duplicates(keys)
        return table.sort_values("run_id", key=lambda ids: ids.map(order), kind="stable", ignore_index=True)

    for kind in BESIDE:
        if (table := joined(kind, None)) is not None:
            sums[folder.beside(kind)] = write_table(table, folder.beside(kind))
    curves, rows = joined("curves", ["run_id", "step"]), joined("runs", ["run_id"])
    assert curves is not None
    assert rows is not None
    if failed:
        more = failed_rows([run for run in runs if run.run_id in failed], failed)
        rows = pd.concat([rows, more.reindex(columns=rows.columns).astype(rows.dtypes)], ignore_index=True)
        rows = rows.sort_values("run_id", key=lambda ids: ids.map(order), kind="stable", ignore_index=True)
    curves, rows = (table[[name for name in table if name not in axes] + axes] for table in (curves, rows))
    curves = tidy(pd.concat([curves, pd.read_parquet(folder.oracle)], ignore_index=True))
    sums[folder.curves] = write_table(curves, folder.curves)
    sums[folder.runs] = write_table(rows, folder.runs)
    seal_tables(folder, sums)
    remove(folder, PARTS)


def seal_tables(folder: Folder, sums: Mapping[Path, str]) -> None:
    """Vouch for all records of a sweep that has ended. sums: those that are known."""
    known = dict(sums)
    others = [folder.beside(kind) for kind in OF_RUNS] + [folder.world, folder.losses, folder.proxies]
    for path in [*others, *sorted((folder.path / "proxies").glob("*.npz"))]:
        if path not in known and (digest := hash_of_file(path)):
            known[path] = digest
    write_seal(folder.seal, folder.path, known)


def finished_runs(folder: Folder) -> frozenset[str]:
    """The run_id of every run whose records are there, by what the folder says of itself; changes nothing."""
    found = survey(folder).runs
    if not folder.seal.exists():
        return found
    runs = pd.read_parquet(folder.runs, columns=["run_id", "status"])
    return found | frozenset(runs.loc[runs["status"] != FAILED, "run_id"])


def kept_in(folder: Folder) -> str:
    """What a folder keeps of a sweep that was stopped, for people."""
    if folder.seal.exists():
        return f"all records are in {folder.path}"
    count, under_way = len(survey(folder).runs), len(list(folder.parts.glob("*.safetensors")))
    also = f", and the state of {under_way} stack{'s' * (under_way > 1)} under way" if under_way else ""
    return f"what is finished is kept in {folder.path}: {count} run{'s' * (count != 1)}{also}"


def reported(folder: Folder) -> str:
    """What a folder holds whose page is younger than all that it shows, for people; nothing where it is not."""
    shows = [path for path in (folder.seal, folder.path / "claims.json") if path.exists()]
    if not (folder.seal.exists() and folder.page.exists()):
        return ""
    if any(path.stat().st_mtime_ns > folder.page.stat().st_mtime_ns for path in shows):
        return ""
    diverged = pd.read_parquet(folder.runs, columns=["status"])["status"].eq("diverged")
    return f"all {len(diverged):,} runs were there, {diverged.sum():,} of them diverged; the page is {folder.page}"
