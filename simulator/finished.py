"""What of a sweep is finished: found, mended where somebody changed it, and joined into its tables at the end.

Every file that a seal vouches for is read before it is relied on. One that is not as it was written is told of and set
aside under another name, never deleted, and what it recorded is run again.
"""

import warnings
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from pyarrow import ArrowException
from pyarrow.parquet import read_table

from simulator.files import hash_of_file, make_folder, remedy, set_aside
from simulator.folder import BESIDE, PARTS, Folder, remove
from simulator.proxies import Member
from simulator.records import FAILED, failed_rows, tidy, write_table
from simulator.runs import Run, axis_column, digest
from simulator.seals import Seal, read_seal, write_seal

OF_RUNS = ("curves", "runs", *BESIDE)
NO_RECORD = "it left no record"
AGAIN = "and made again"
Tell = Callable[[str], None]
Read = Callable[[Path, str], list[str]]


@dataclass(frozen=True, kw_only=True)
class Finished:
    """What is finished: stacks of runs, and of proxies, by their names, and what was in them by its own."""

    stacks: tuple[str, ...]
    runs: frozenset[str]
    proxy_stacks: tuple[str, ...]
    proxies: frozenset[str]


def is_complete(folder: Folder, runs: Collection[str]) -> bool:
    """Whether the records of all `runs` are there, by run_id, as they were written, and nothing else.

    Raises StorageError.
    """
    others = any(path.exists() for path in (folder.running, folder.lock))
    if others or not folder.seal.exists() or any(any(folder.path.glob(part)) for part in PARTS):
        return False
    seal = read_seal(folder.seal, folder.path)
    if seal is None or not seal.whole or folder.config.relative_to(folder.path).as_posix() not in seal.sums:
        return False
    return not any_failed(folder) and set(column(folder.runs, "run_id")) == set(runs)


def any_failed(folder: Folder) -> bool:
    """Whether the tables say that runs failed."""
    return FAILED in column(folder.runs, "status")


def mend(folder: Folder, runs: Collection[str], tell: Tell) -> None:
    """Leave only whole records of `runs`, by run_id, in the folder; `tell` is given a sentence on each file set aside.

    Tables of a sweep that is not finished after all, since runs of it failed, or proxies are damaged, or the code of a
    loss has changed, become parts again; where a seal of tables is left, all runs are in them. Raises StorageError.
    """
    seal = read_seal(folder.seal, folder.path) if folder.seal.exists() else None
    if seal is None:
        put_away([folder.seal], "and the tables are read instead", tell)
        adopt(folder, tell)
    else:
        mend_tables(folder, seal, runs, tell)
    if folder.start_seal.exists():
        mend_start(folder, tell)
    for path in sorted(folder.parts.glob("*.sha256")):
        mend_part(folder, path, tell)
        put_by_others(folder, path.name.removesuffix(".sha256"), runs, tell)


def mend_start(folder: Folder, tell: Tell) -> None:
    """Set aside what is damaged of the files that a sweep began with, which are made again."""
    seal = read_seal(folder.start_seal, folder.path)
    put_away([folder.start_seal] if seal is None else [folder.path / name for name in seal.altered], AGAIN, tell)
    for name in seal.gone if seal else ():
        tell(f"{folder.path / name}: is gone; it is made again")


def put_by_others(folder: Folder, stack: str, runs: Collection[str], tell: Tell) -> None:
    """Set aside a stack of runs that are not among `runs`: the code of their loss has changed since."""
    part = folder.part(stack, "runs")
    others = changed_losses(part, runs) if part.exists() else ""
    if others:
        files = [path for kind in OF_RUNS if (path := folder.part(stack, kind)).exists()]
        kept = [set_aside(path, "before").name for path in files]
        tell(f"{others}; they are run again, and what was recorded of them is kept as {', '.join(kept)}")
        folder.part_seal(stack).unlink(missing_ok=True)


def changed_losses(table: Path, runs: Collection[str]) -> str:
    """How many runs of a table are not among `runs`, and of which losses; nothing where all are."""
    losses = [loss for run, loss in zip(column(table, "run_id"), column(table, "loss"), strict=True) if run not in runs]
    named = ", ".join(dict.fromkeys(f"sweep.loss = {loss}" for loss in losses))
    return f"{named}: its code has changed since {len(losses)} runs were recorded" if losses else ""


def put_away(paths: Iterable[Path], then: str, tell: Tell) -> None:
    """Set files aside that are not as they were written, those that are there, with a consequence that is told."""
    for path in paths:
        if path.exists():
            tell(f"{path}: is not as it was written; it is kept as {set_aside(path).name}, {then}")


def put_by(paths: Iterable[Path], tell: Tell) -> None:
    """Set files aside that are whole, but go with others that are not."""
    for path in paths:
        if path.exists():
            tell(f"{path}: goes with what is damaged; it is kept as {set_aside(path, 'before').name}, and made again")


def adopt(folder: Folder, tell: Tell) -> None:
    """Vouch for tables that no seal vouches for, if they can be read and agree: an earlier version wrote none."""
    if any(folder.parts.glob("*.sha256")) or not (folder.curves.exists() and folder.runs.exists()):
        return
    tables = [path for kind in OF_RUNS if (path := folder.beside(kind)).exists()]
    try:
        read = {path: pd.read_parquet(path, page_checksum_verification=True) for path in tables}
        measured, told_of = (set(read[path]["run_id"]) for path in (folder.curves, folder.runs))
        agree = told_of <= measured
    except (OSError, ArrowException, KeyError):
        agree = False
    if agree:
        seal_tables(folder, {})
        tell(f"{folder.seal}: is gone; all tables can be read and agree, and it is made again")
    else:
        put_away(tables, "and the runs are run again", tell)


def mend_tables(folder: Folder, seal: Seal, runs: Collection[str], tell: Tell) -> None:
    """Set aside what is damaged of the tables of a sweep that had ended, and make the rest parts if need be."""
    wrong = (*seal.altered, *seal.gone)
    damaged, others = [folder.path / name for name in seal.altered], [folder.beside(kind) for kind in OF_RUNS]
    for name in seal.gone:
        tell(f"{folder.path / name}: is gone; it is made again")
    if any(name.removesuffix(".parquet") in OF_RUNS for name in wrong):
        put_away(damaged, "and its runs are run again", tell)
        put_by(others, tell)
        reopen(folder, seal, runs)
        return
    remove_parts(folder)
    put_away(damaged, AGAIN, tell)
    if changed := changed_losses(folder.runs, runs):
        tell(
            f"{changed}; they are run again, and the tables that hold them are kept as curves.parquet.before and so on"
        )
    if changed or any(name.startswith("prox") for name in wrong) or any_failed(folder):
        reopen(folder, seal, runs, keep=bool(changed))


def reopen(folder: Folder, seal: Seal, runs: Collection[str], *, keep: bool = False) -> None:
    """Make parts of what is whole of `runs` in the tables of a sweep that had ended, so that it goes on as any other.

    The parts are there, sealed, before anything that they came from goes. keep: set the tables aside, and remove none.
    """
    whole = {name for name in seal.sums if name not in (*seal.altered, *seal.gone)}
    make_folder(folder.parts)
    if "proxies.parquet" in whole:
        reopen_proxies(folder, {name: seal.sums[name] for name in whole})
    there = folder.curves.exists() and folder.runs.exists()
    ids = [run_id for run_id in unfailed(folder, column) if run_id in runs] if there else []
    if ids:
        name, sums = digest(ids), {}
        for kind in OF_RUNS:
            if folder.beside(kind).exists():
                table = pd.read_parquet(folder.beside(kind))
                part = folder.part(name, kind)
                sums[part] = write_table(table[table["run_id"].isin(ids)], part)
        write_seal(folder.part_seal(name), folder.path, sums)
    for path in [path for kind in OF_RUNS if (path := folder.beside(kind)).exists()] if keep else []:
        set_aside(path, "before")
    for path in (folder.seal, *(folder.beside(kind) for kind in OF_RUNS)):
        path.unlink(missing_ok=True)


def reopen_proxies(folder: Folder, sums: Mapping[str, str]) -> None:
    """Make a part of the proxies whose networks are whole. sums: the SHA-256 of each whole file, by its path."""
    table = pd.read_parquet(folder.proxies)
    networks = {name: folder.network(name) for name in table["proxy"]}
    places = {name: path.relative_to(folder.path).as_posix() for name, path in networks.items()}
    part = folder.part(digest(list(table["proxy"])), "proxies")
    sealed = {networks[name]: sums[place] for name, place in places.items() if place in sums}
    there = [places[name] in sums for name in table["proxy"]]
    write_seal(folder.part_seal(part.name.split(".")[0]), folder.path, sealed | {part: write_table(table[there], part)})


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


def column(path: Path, name: str) -> list[str]:
    """One column of a table; of many small tables this is what takes least. Raises OSError and ArrowException."""
    values: list[str] = read_table(path, columns=[name]).column(0).to_pylist()
    return values


def legible(path: Path, name: str) -> list[str]:
    """One column of a table, or nothing where it cannot be read."""
    try:
        return column(path, name)
    except (OSError, ArrowException):
        return []


def survey(folder: Folder, read: Read = column) -> Finished:
    """What is finished in a mended folder; read: `column`, or `legible` where the folder was not mended yet.

    Raises OSError and ArrowException, unless `legible` reads.
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


def unfailed(folder: Folder, read: Read) -> list[str]:
    """The run_id of every run of the tables that did not fail."""
    told_of = zip(read(folder.runs, "run_id"), read(folder.runs, "status"), strict=True)
    return [run_id for run_id, status in told_of if status != FAILED]


def join_proxies(folder: Folder, members: Sequence[Member]) -> None:
    """Write `proxies.parquet` from the parts, in the order of `members`, and vouch for it beside what was there."""
    order = {member.name: i for i, member in enumerate(members)}
    parts = [folder.part(name, "proxies") for name in survey(folder).proxy_stacks]
    tables = [table for part in parts if len(table := pd.read_parquet(part))]
    if tables:
        table = pd.concat(tables, ignore_index=True)
        table = table[table["proxy"].isin(order)].drop_duplicates("proxy", keep="last")
        digest = write_table(table.sort_values("proxy", key=lambda names: names.map(order)), folder.proxies)
        if begun := read_seal(folder.start_seal, folder.path) if folder.start_seal.exists() else None:
            before = {folder.path / name: known for name, known in begun.sums.items()}
            write_seal(folder.start_seal, folder.path, before | {folder.proxies: digest})


def join(folder: Folder, runs: Sequence[Run], failed: Mapping[str, str]) -> dict[str, str]:
    """Write the tables from the parts, runs in the order of the grid, vouch for them, and remove the parts.

    failed: why, of runs that could not be finished, by their run_id. It comes back, with every run that left no record.
    """
    order = {run.run_id: i for i, run in enumerate(runs)}
    axes = list(dict.fromkeys(axis_column(name) for run in runs for name in run.axes))
    done, sums = survey(folder), {}
    failed = {name: failed.get(name, NO_RECORD) for name in order if name not in done.runs}

    def joined(kind: str, keys: list[str] | None, *more: pd.DataFrame) -> pd.DataFrame | None:
        paths = [path for name in done.stacks if (path := folder.part(name, kind)).exists()]
        tables = [table for path in paths if len(table := pd.read_parquet(path))] + [
            table for table in more if len(table)
        ]
        if not tables:
            return None
        table = pd.concat(tables, ignore_index=True)
        table = table[table["run_id"].isin(order)].drop_duplicates(keys)
        table = table.sort_values("run_id", key=lambda ids: ids.map(order), kind="stable", ignore_index=True)
        last = [name for name in axes if name in table]
        return table[[name for name in table if name not in last] + last]

    for kind in BESIDE:
        if (table := joined(kind, None)) is not None:
            sums[folder.beside(kind)] = write_table(table, folder.beside(kind))
    curves = [
        table for table in (joined("curves", ["run_id", "step"]), pd.read_parquet(folder.oracle)) if table is not None
    ]
    sums[folder.curves] = write_table(tidy(pd.concat(curves, ignore_index=True)), folder.curves)
    rows = joined("runs", ["run_id"], failed_rows([run for run in runs if run.run_id in failed], failed))
    assert rows is not None
    sums[folder.runs] = write_table(rows, folder.runs)
    seal_tables(folder, sums)
    remove_parts(folder)
    return failed


def remove_parts(folder: Folder) -> None:
    """Remove the parts, of which all is in the tables by now; one that stays does no harm, and is warned of."""
    for pattern in PARTS:
        try:
            remove(folder, [pattern])
        except OSError as error:
            told = f"{error.filename or folder.parts}: cannot be removed ({error.strerror or error}); {remedy(error)}"
            warnings.warn(f"{told}, or remove it later", UserWarning, stacklevel=2)


def seal_tables(folder: Folder, sums: Mapping[Path, str]) -> None:
    """Vouch for all records of a sweep that has ended. sums: those that are known."""
    records = [folder.beside(kind) for kind in OF_RUNS] + [*begun_with(folder), folder.proxies]
    records += sorted((folder.path / "proxies").glob("*.npz"))
    found = {path: sums.get(path) or hash_of_file(path) for path in records}
    write_seal(folder.seal, folder.path, {path: digest for path, digest in found.items() if digest})


def begun_with(folder: Folder) -> list[Path]:
    """The records that are there before any run is trained."""
    return [folder.config, folder.source, folder.world, folder.losses, *sorted(folder.code.rglob("*.py"))]


def seal_start(folder: Folder) -> None:
    """Vouch for the files that a sweep began with, until it ends. Raises StorageError."""
    found = {path: hash_of_file(path) for path in (*begun_with(folder), folder.oracle, folder.sizes)}
    write_seal(folder.start_seal, folder.path, {path: digest for path, digest in found.items() if digest})


def finished_runs(folder: Folder) -> frozenset[str]:
    """The run_id of every run whose records are there, by what the folder says of itself; changes nothing."""
    return survey(folder, legible).runs | frozenset(unfailed(folder, legible) if folder.seal.exists() else ())


def kept_in(folder: Folder) -> str:
    """What a folder keeps of a sweep that was stopped, for people."""
    count, under_way = len(finished_runs(folder)), len(list(folder.parts.glob("*.safetensors")))
    also = f", and the state of {under_way} stack{'s' * (under_way > 1)} under way" if under_way else ""
    return f"what is finished is kept in {folder.path}: {count} run{'s' * (count != 1)}{also}"


def reported(folder: Folder) -> str:
    """How many runs a folder holds and where its page is; nothing where the page was not made of these records."""
    seal = read_seal(folder.report_seal, folder.path) if folder.report_seal.exists() else None
    shows = [path for path in (folder.seal, folder.path / "claims.json") if path.exists()]
    if seal is None or not seal.whole or not folder.seal.exists():
        return ""
    if any(path.name not in seal.sums for path in (*shows, folder.page)):
        return ""
    ends = column(folder.runs, "status")
    return f"all {len(ends):,} runs were there, {ends.count('diverged'):,} of them diverged; the page is {folder.page}"
