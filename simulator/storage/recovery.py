"""Records that somebody changed: found, set aside under another name, never deleted, and made again.

Every file in a list of checksums is read before it is relied on. One that is not as it was written is reported, and
what it recorded is run again.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path

import pandas as pd
from pyarrow import ArrowException

from simulator.common.atomic_files import keep_aside, make_folder
from simulator.common.identity import digest
from simulator.own_rewards.source import is_own_reward
from simulator.storage.checksums import Checksums, read_checksums, write_checksums
from simulator.storage.inventory import RUN_TABLES, any_failed, column, successful_runs
from simulator.storage.layout import ResultFolder
from simulator.storage.merge import remove_parts, write_final_checksums
from simulator.storage.tables import write_table
from simulator.user_code.loading import is_own

MADE_AGAIN = "and made again"
POLICIES = "policies/"
TRAINED_AGAIN = "load_policies trains its runs again"


Report = Callable[[str], None]


def repair(folder: ResultFolder, runs: Collection[str], wanted: Collection[str], report: Report) -> None:
    """Leave only whole records of `runs`, by run_id, in the folder; `report` gets a sentence on each file set aside.

    wanted: those that are to be there in the end.

    Tables of a sweep that is not finished after all, since runs of it failed, or more are wanted, or proxies are
    damaged, or the code of a loss has changed, become parts again; where the checksums of tables are left, all wanted
    runs are in them. Raises StorageError.
    """
    checksums = read_checksums(folder.checksums, folder.path) if folder.checksums.exists() else None
    if checksums is None:
        quarantine_damaged([folder.checksums], "and the tables are read instead", report)
        trust_unsigned(folder, report)
    else:
        repair_tables(folder, checksums, runs, wanted, report)
    if folder.start_checksums.exists():
        repair_start_files(folder, report)
    for path in sorted(folder.parts.glob("*.sha256")):
        repair_part(folder, path, report)
        set_aside_other_code(folder, path.name.removesuffix(".sha256"), runs, report)


def repair_start_files(folder: ResultFolder, report: Report) -> None:
    """Set aside what is damaged of the files that a sweep began with, which are made again."""
    checksums = read_checksums(folder.start_checksums, folder.path)
    quarantine_damaged(
        [folder.start_checksums] if checksums is None else [folder.path / name for name in checksums.changed],
        MADE_AGAIN,
        report,
    )
    for name in checksums.missing if checksums else ():
        report(f"{folder.path / name}: is gone; it is made again")


def set_aside_other_code(folder: ResultFolder, stack: str, runs: Collection[str], report: Report) -> None:
    """Set aside a stack of runs that are not among `runs`: the code of their loss has changed since."""
    part = folder.part(stack, "runs")
    others = changed_losses(part, runs) if part.exists() else ""
    if others:
        files = [path for kind in RUN_TABLES if (path := folder.part(stack, kind)).exists()]
        kept = [keep_aside(path, "before").name for path in files]
        report(f"{others}; they are run again, and what was recorded of them is kept as {', '.join(kept)}")
        folder.part_checksums(stack).unlink(missing_ok=True)


def changed_losses(table: Path, runs: Collection[str]) -> str:
    """How many runs of a table are not among `runs`, and of which code; nothing where all are."""
    places = [place for place, run in enumerate(column(table, "run_id")) if run not in runs]
    names = ("loss", "gold.reward", "policy.kind", "policy.features")
    settings = [recorded(table, name) for name in names] if places else []
    changed = [named_code(*(values[place] for values in settings)) for place in places]
    named = ", ".join(dict.fromkeys(changed))
    return f"{named}: its code has changed since {len(changed)} runs were recorded" if changed else ""


def named_code(loss: str | None, reward: str, kind: str, features: str) -> str:
    """Which code of the user's own a run has, by its key; of several, which one changed is not recorded."""
    own = [
        *([f"sweep.loss = {loss}"] if is_own(loss or "") else []),
        *([f"gold.reward = {reward}"] if is_own_reward(reward) else []),
        *([f"policy.features = {features}"] if kind == "linear" and is_own(features) else []),
    ]
    return " or ".join(own) or f"sweep.loss = {loss}"


def recorded(table: Path, name: str) -> list[str]:
    """A setting of each run of a table; empty in tables of earlier versions that do not say."""
    try:
        return column(table, name)
    except (ArrowException, KeyError):
        return [""] * len(column(table, "run_id"))


def quarantine_damaged(paths: Iterable[Path], then: str, report: Report) -> None:
    """Set files aside that are not as they were written, those that are there, with a consequence that is told."""
    for path in paths:
        if path.exists():
            report(f"{path}: is not as it was written; it is kept as {keep_aside(path).name}, {then}")


def quarantine_intact(paths: Iterable[Path], report: Report) -> None:
    """Set files aside that are whole, but go with others that are not."""
    for path in paths:
        if path.exists():
            report(
                f"{path}: goes with what is damaged; it is kept as {keep_aside(path, 'before').name}, and made again"
            )


def trust_unsigned(folder: ResultFolder, report: Report) -> None:
    """Write checksums of tables that have none, if they can be read and agree: an earlier version wrote none."""
    if any(folder.parts.glob("*.sha256")) or not (folder.curves.exists() and folder.runs.exists()):
        return
    tables = [path for kind in RUN_TABLES if (path := folder.side_table(kind)).exists()]
    try:
        read = {path: pd.read_parquet(path, page_checksum_verification=True) for path in tables}
        measured, told_of = (set(read[path]["run_id"]) for path in (folder.curves, folder.runs))
        agree = told_of <= measured
    except (OSError, ArrowException, KeyError):
        agree = False
    if agree:
        write_final_checksums(folder, {})
        report(f"{folder.checksums}: is gone; all tables can be read and agree, and it is made again")
    else:
        quarantine_damaged(tables, "and the runs are run again", report)


def repair_tables(
    folder: ResultFolder, checksums: Checksums, runs: Collection[str], wanted: Collection[str], report: Report
) -> None:
    """Set aside what is damaged of the tables of a sweep that had ended, and make the rest parts if need be."""
    wrong = (*checksums.changed, *checksums.missing)
    policies = [folder.path / name for name in checksums.changed if name.startswith(POLICIES)]
    damaged, others = (
        [
            folder.path / name
            for name in checksums.changed
            if not name.startswith(POLICIES) and name != folder.external.name
        ],
        [folder.side_table(kind) for kind in RUN_TABLES],
    )
    for name in checksums.missing:
        report(f"{folder.path / name}: is gone; {TRAINED_AGAIN if name.startswith(POLICIES) else 'it is made again'}")
    external = [folder.path / name for name in checksums.changed if name == folder.external.name]
    quarantine_damaged(external, "and its policies can be scored again", report)
    quarantine_damaged(policies, f"and {TRAINED_AGAIN}", report)
    if any(name.removesuffix(".parquet") in RUN_TABLES for name in wrong):
        quarantine_damaged(damaged, "and its runs are run again", report)
        quarantine_intact(others, report)
        restore_parts(folder, checksums, runs)
        return
    remove_parts(folder)
    quarantine_damaged(damaged, MADE_AGAIN, report)
    if changed := changed_losses(folder.runs, runs):
        report(
            f"{changed}; they are run again, and the tables that hold them are kept as curves.parquet.before and so on"
        )
    more = not set(wanted) <= set(column(folder.runs, "run_id"))
    if changed or more or any(name.startswith("prox") for name in wrong) or any_failed(folder):
        restore_parts(folder, checksums, runs, keep=bool(changed))


def restore_parts(folder: ResultFolder, checksums: Checksums, runs: Collection[str], *, keep: bool = False) -> None:
    """Make parts of what is whole of `runs` in the tables of a sweep that had ended, so that it goes on as any other.

    The parts are there, sealed, before anything that they came from goes. keep: set the tables aside, and remove none.
    """
    whole = {name for name in checksums.sums if name not in (*checksums.changed, *checksums.missing)}
    make_folder(folder.parts)
    if "proxies.parquet" in whole:
        restore_proxies(folder, {name: checksums.sums[name] for name in whole})
    there = folder.curves.exists() and folder.runs.exists()
    ids = [run_id for run_id in successful_runs(folder, column) if run_id in runs] if there else []
    if ids:
        name, sums = digest(ids), {}
        for kind in RUN_TABLES:
            if folder.side_table(kind).exists():
                table = pd.read_parquet(folder.side_table(kind))
                part = folder.part(name, kind)
                sums[part] = write_table(table[table["run_id"].isin(ids)], part)
        sums |= {folder.path / place: checksums.sums[place] for place in whole if place.startswith(POLICIES)}
        write_checksums(folder.part_checksums(name), folder.path, sums)
    for path in [path for kind in RUN_TABLES if (path := folder.side_table(kind)).exists()] if keep else []:
        keep_aside(path, "before")
    for path in (folder.checksums, *(folder.side_table(kind) for kind in RUN_TABLES)):
        path.unlink(missing_ok=True)


def restore_proxies(folder: ResultFolder, sums: Mapping[str, str]) -> None:
    """Make a part of the proxies whose networks are whole. sums: the SHA-256 of each whole file, by its path."""
    table = pd.read_parquet(folder.proxies)
    networks = {name: folder.network(name) for name in table["proxy"]}
    places = {name: path.relative_to(folder.path).as_posix() for name, path in networks.items()}
    part = folder.part(digest(list(table["proxy"])), "proxies")
    sealed = {networks[name]: sums[place] for name, place in places.items() if place in sums}
    planted = table["kind"].eq("planted") if "kind" in table else [False] * len(table)  # these have no network
    there = [no_network or places[name] in sums for name, no_network in zip(table["proxy"], planted, strict=True)]
    write_checksums(
        folder.part_checksums(part.name.split(".")[0]), folder.path, sealed | {part: write_table(table[there], part)}
    )


def repair_part(folder: ResultFolder, path: Path, report: Report) -> None:
    """Set aside what is damaged of a stack, which then is not finished."""
    checksums = read_checksums(path, folder.path)
    if checksums is not None and checksums.intact:
        return
    altered = [path] if checksums is None else [folder.path / name for name in checksums.changed]
    quarantine_damaged(altered, "and what its stack had done is done again", report)
    for name in checksums.missing if checksums else ():
        report(f"{folder.path / name}: is gone; what its stack had done is done again")
    path.unlink(missing_ok=True)
