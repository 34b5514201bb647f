"""What records say of how they were made: by which code, and in a world with which reference.

A sweep goes on only where both are as before, since its tables would hold two experiments otherwise. Each run's row in
`runs.parquet` says so, and each proxy's; `source.json` lists the modules that determine numbers, so that those that
changed can be named.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyarrow import ArrowException
from pyarrow.parquet import ParquetFile

from simulator.common.atomic_files import StorageError, unreadable
from simulator.common.errors import SHOWN, ConfigError
from simulator.proxies.reward_model import Member
from simulator.settings.relevant_keys import world_name
from simulator.settings.run import Run
from simulator.storage.layout import ResultFolder
from simulator.storage.provenance import changed_modules, results_modules, results_source
from simulator.storage.tables import write_json
from simulator.sweeps.stacking import world_names

COLUMNS = ("results_source", "reference_sha256")


@dataclass(frozen=True, kw_only=True)
class Origin:
    """How a run or a proxy was made: `source`, as `results_source` has it, and the SHA-256 of the reference.

    Both are empty where an earlier version wrote the record.
    """

    name: str
    source: str
    reference: str


def origins_in(folder: ResultFolder) -> list[Origin]:
    """How every run and proxy was made whose records can be read."""
    names = [path.name.removesuffix(".sha256") for path in sorted(folder.parts.glob("*.sha256"))]
    runs = [folder.runs, *(folder.part(name, "runs") for name in names)]
    proxies = [folder.proxies, *(folder.part(name, "proxies") for name in names)]
    tables = [(path, "run_id") for path in runs] + [(path, "proxy") for path in proxies]
    return [one for path, key in tables if path.exists() for one in read_origins(path, key)]


def read_origins(path: Path, key: str) -> list[Origin]:
    """How the runs, or proxies, of a table were made, but those that failed; none where it cannot be read."""
    try:
        with ParquetFile(path, page_checksum_verification=True) as file:
            there = [name for name in (key, "status", *COLUMNS) if name in file.schema_arrow.names]
            rows = file.read(columns=there).to_pylist()
    except (OSError, ArrowException, ValueError):
        return []
    return [
        Origin(name=row[key], source=row.get(COLUMNS[0]) or "", reference=row.get(COLUMNS[1]) or "")
        for row in rows
        if row.get("status") != "failed"
    ]


def check_source(folder: ResultFolder, records: Sequence[Origin]) -> None:
    """Raises ConfigError where records were made by code that may give other numbers; it names the modules."""
    others = {one.source for one in records} - {results_source()}
    if others:
        raise ConfigError(
            f"--out {folder.path}: its records were made by other code, which may give other numbers"
            f"{changed_modules_clause(folder, others)}; go on with the code that made them, choose another --out, "
            "start over with --fresh, or let the tables hold both with --accept-source"
        )


def changed_modules_clause(folder: ResultFolder, sources: Iterable[str]) -> str:
    """A clause that names the modules that changed since records of `sources` were made, as far as that is known."""
    if set(sources) == {""}:
        return " (an earlier version made them, which did not write down its code)"
    try:
        before = json.loads(folder.source.read_bytes())
        modules = changed_modules(dict(before["modules"])) if before["results_source"] in sources else []
    except (OSError, ValueError, KeyError, TypeError):
        modules = []
    if not modules:
        return " (source.json does not say which modules changed)"
    more = f" and {len(modules) - SHOWN} more" if len(modules) > SHOWN else ""
    return f" (changed: {', '.join(modules[:SHOWN])}{more})"


def write_source(folder: ResultFolder) -> None:
    """Write which code determines the numbers of the records from now on. Raises StorageError."""
    write_json({"results_source": results_source(), "modules": dict(results_modules())}, folder.source)


def check_references(
    folder: ResultFolder,
    records: Sequence[Origin],
    some: Sequence[Run | Member],
    worlds: Mapping[str, Mapping[str, Any]],
) -> None:
    """Raises ConfigError where records were made with another reference than the world of today has.

    some: every run and proxy of the sweep. worlds: the facts of each world, by its name. Records of other code, which
    was accepted, are not compared.
    """
    of_run = {id(settings): name for settings, name in world_names([one for one in some if isinstance(one, Run)])}
    place = {
        one.run_id if isinstance(one, Run) else one.name: of_run.get(id(one.settings)) or world_name(one.settings)
        for one in some
    }
    for one in records:
        if one.name in place and one.source == results_source():
            here = worlds[place[one.name]]["reference_sha256"]
            if one.reference != here:
                raise ConfigError(
                    f"--out {folder.path}: its records were made with another reference (SHA-256 {one.reference}, and "
                    f"{here} here), since training it on another machine may give another; go on where the sweep "
                    "began, choose another --out, or start over with --fresh"
                )


def check_unchanged_since_start(folder: ResultFolder, name: str, reference: str) -> None:
    """Raises StorageError where the code, or the reference of the world `name`, is not what the sweep began with."""
    try:
        source = json.loads(folder.source.read_bytes())["results_source"]
        facts = json.loads(folder.world.read_bytes())
        expected = {one["name"]: one["reference_sha256"] for one in facts.get("worlds", [facts])}[name]
    except OSError as error:
        raise unreadable(Path(error.filename or folder.path), error) from error
    except (ValueError, KeyError, TypeError) as error:
        raise StorageError(f"{folder.source} and {folder.world}: cannot be read; run the same command again") from error
    if source != results_source():
        raise StorageError(f"the code of the simulator has changed since the sweep in {folder.path} began")
    if reference != expected:
        raise StorageError(
            f"{folder.path}: the reference that this process has (SHA-256 {reference}) is not the one that the sweep "
            f"began with ({expected})"
        )
