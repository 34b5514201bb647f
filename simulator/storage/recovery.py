"""Records that somebody changed: found, set aside under another name, never deleted, and made again.

Every file that a list of checksums vouches for is read before it is relied on. One that is not as it was written is
told of, and what it recorded is run again.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path

import pandas as pd
from pyarrow import ArrowException

from simulator.common.atomic_files import keep_aside, make_folder
from simulator.common.identity import digest
from simulator.storage.checksums import Checksums, read_checksums, write_checksums
from simulator.storage.inventory import OF_RUNS, any_failed, column, successful_runs
from simulator.storage.layout import ResultFolder
from simulator.storage.merge import remove_parts, write_final_checksums
from simulator.storage.tables import write_table

AGAIN = "and made again"


Tell = Callable[[str], None]


def repair(folder: ResultFolder, runs: Collection[str], tell: Tell) -> None:
    """Leave only whole records of `runs`, by run_id, in the folder; `tell` is given a sentence on each file set aside.

    Tables of a sweep that is not finished after all, since runs of it failed, or proxies are damaged, or the code of a
    loss has changed, become parts again; where a seal of tables is left, all runs are in them. Raises StorageError.
    """
    seal = read_checksums(folder.seal, folder.path) if folder.seal.exists() else None
    if seal is None:
        quarantine_damaged([folder.seal], "and the tables are read instead", tell)
        trust_unsigned(folder, tell)
    else:
        mend_tables(folder, seal, runs, tell)
    if folder.start_seal.exists():
        mend_start(folder, tell)
    for path in sorted(folder.parts.glob("*.sha256")):
        mend_part(folder, path, tell)
        put_by_others(folder, path.name.removesuffix(".sha256"), runs, tell)


def mend_start(folder: ResultFolder, tell: Tell) -> None:
    """Set aside what is damaged of the files that a sweep began with, which are made again."""
    seal = read_checksums(folder.start_seal, folder.path)
    quarantine_damaged(
        [folder.start_seal] if seal is None else [folder.path / name for name in seal.altered], AGAIN, tell
    )
    for name in seal.gone if seal else ():
        tell(f"{folder.path / name}: is gone; it is made again")


def put_by_others(folder: ResultFolder, stack: str, runs: Collection[str], tell: Tell) -> None:
    """Set aside a stack of runs that are not among `runs`: the code of their loss has changed since."""
    part = folder.part(stack, "runs")
    others = changed_losses(part, runs) if part.exists() else ""
    if others:
        files = [path for kind in OF_RUNS if (path := folder.part(stack, kind)).exists()]
        kept = [keep_aside(path, "before").name for path in files]
        tell(f"{others}; they are run again, and what was recorded of them is kept as {', '.join(kept)}")
        folder.part_seal(stack).unlink(missing_ok=True)


def changed_losses(table: Path, runs: Collection[str]) -> str:
    """How many runs of a table are not among `runs`, and of which losses; nothing where all are."""
    losses = [loss for run, loss in zip(column(table, "run_id"), column(table, "loss"), strict=True) if run not in runs]
    named = ", ".join(dict.fromkeys(f"sweep.loss = {loss}" for loss in losses))
    return f"{named}: its code has changed since {len(losses)} runs were recorded" if losses else ""


def quarantine_damaged(paths: Iterable[Path], then: str, tell: Tell) -> None:
    """Set files aside that are not as they were written, those that are there, with a consequence that is told."""
    for path in paths:
        if path.exists():
            tell(f"{path}: is not as it was written; it is kept as {keep_aside(path).name}, {then}")


def quarantine_intact(paths: Iterable[Path], tell: Tell) -> None:
    """Set files aside that are whole, but go with others that are not."""
    for path in paths:
        if path.exists():
            tell(f"{path}: goes with what is damaged; it is kept as {keep_aside(path, 'before').name}, and made again")


def trust_unsigned(folder: ResultFolder, tell: Tell) -> None:
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
        write_final_checksums(folder, {})
        tell(f"{folder.seal}: is gone; all tables can be read and agree, and it is made again")
    else:
        quarantine_damaged(tables, "and the runs are run again", tell)


def mend_tables(folder: ResultFolder, seal: Checksums, runs: Collection[str], tell: Tell) -> None:
    """Set aside what is damaged of the tables of a sweep that had ended, and make the rest parts if need be."""
    wrong = (*seal.altered, *seal.gone)
    damaged, others = [folder.path / name for name in seal.altered], [folder.beside(kind) for kind in OF_RUNS]
    for name in seal.gone:
        tell(f"{folder.path / name}: is gone; it is made again")
    if any(name.removesuffix(".parquet") in OF_RUNS for name in wrong):
        quarantine_damaged(damaged, "and its runs are run again", tell)
        quarantine_intact(others, tell)
        restore_parts(folder, seal, runs)
        return
    remove_parts(folder)
    quarantine_damaged(damaged, AGAIN, tell)
    if changed := changed_losses(folder.runs, runs):
        tell(
            f"{changed}; they are run again, and the tables that hold them are kept as curves.parquet.before and so on"
        )
    if changed or any(name.startswith("prox") for name in wrong) or any_failed(folder):
        restore_parts(folder, seal, runs, keep=bool(changed))


def restore_parts(folder: ResultFolder, seal: Checksums, runs: Collection[str], *, keep: bool = False) -> None:
    """Make parts of what is whole of `runs` in the tables of a sweep that had ended, so that it goes on as any other.

    The parts are there, sealed, before anything that they came from goes. keep: set the tables aside, and remove none.
    """
    whole = {name for name in seal.sums if name not in (*seal.altered, *seal.gone)}
    make_folder(folder.parts)
    if "proxies.parquet" in whole:
        reopen_proxies(folder, {name: seal.sums[name] for name in whole})
    there = folder.curves.exists() and folder.runs.exists()
    ids = [run_id for run_id in successful_runs(folder, column) if run_id in runs] if there else []
    if ids:
        name, sums = digest(ids), {}
        for kind in OF_RUNS:
            if folder.beside(kind).exists():
                table = pd.read_parquet(folder.beside(kind))
                part = folder.part(name, kind)
                sums[part] = write_table(table[table["run_id"].isin(ids)], part)
        write_checksums(folder.part_seal(name), folder.path, sums)
    for path in [path for kind in OF_RUNS if (path := folder.beside(kind)).exists()] if keep else []:
        keep_aside(path, "before")
    for path in (folder.seal, *(folder.beside(kind) for kind in OF_RUNS)):
        path.unlink(missing_ok=True)


def reopen_proxies(folder: ResultFolder, sums: Mapping[str, str]) -> None:
    """Make a part of the proxies whose networks are whole. sums: the SHA-256 of each whole file, by its path."""
    table = pd.read_parquet(folder.proxies)
    networks = {name: folder.network(name) for name in table["proxy"]}
    places = {name: path.relative_to(folder.path).as_posix() for name, path in networks.items()}
    part = folder.part(digest(list(table["proxy"])), "proxies")
    sealed = {networks[name]: sums[place] for name, place in places.items() if place in sums}
    there = [places[name] in sums for name in table["proxy"]]
    write_checksums(
        folder.part_seal(part.name.split(".")[0]), folder.path, sealed | {part: write_table(table[there], part)}
    )


def mend_part(folder: ResultFolder, path: Path, tell: Tell) -> None:
    """Set aside what is damaged of a stack, which then is not finished."""
    seal = read_checksums(path, folder.path)
    if seal is not None and seal.whole:
        return
    altered = [path] if seal is None else [folder.path / name for name in seal.altered]
    quarantine_damaged(altered, "and what its stack had done is done again", tell)
    for name in seal.gone if seal else ():
        tell(f"{folder.path / name}: is gone; what its stack had done is done again")
    path.unlink(missing_ok=True)
