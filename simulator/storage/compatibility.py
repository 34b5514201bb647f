"""Whether a result directory may be used for a sweep: it is empty, or holds records of that very sweep.

`config.toml` says of which sweep the records are. Where it is gone or damaged the records themselves do: the name of a
run follows from every setting that it reads, so records of which each is one of the sweep's are the sweep's.
"""

from collections.abc import Collection
from pathlib import Path

from simulator.common.atomic_files import unwritable
from simulator.common.errors import ConfigError, shown
from simulator.common.result_files import RECORDS
from simulator.settings.tables import flat_settings
from simulator.storage.checksums import Checksums, read_checksums
from simulator.storage.layout import ResultFolder, remove
from simulator.storage.origins import origins_in
from simulator.sweeps.sweep import Sweep

OF_NO_RUN = ("code", "keep.")  # runs of other code have other names, and what is kept of them changes none
REMEDY = "choose another --out, or start over with --fresh"
UNKNOWN_ORIGIN = (
    "holds files with the names of records, and neither a whole config.toml nor checksums nor readable tables say that "
    "a sweep wrote them; choose another --out"
)


def examine_folder(
    path: Path, sweep: Sweep, names: Collection[str], *, fresh: bool, grown_from: Sweep | None = None
) -> ResultFolder:
    """The folder at `path`, whether it is there or not; changes nothing.

    names: of all runs and proxies of the sweep. grown_from: the sweep that it was before values were added. Raises
    ConfigError where it could not be written, or holds the records of another sweep, or where `fresh` would remove what
    no sweep wrote.
    """
    if str(path) in ("", "."):
        raise ConfigError("--out: must name a folder of its own, such as results/mine")
    if why := unwritable(path):
        raise ConfigError(f"--out {path}: cannot be written ({why})")
    folder = ResultFolder(path=path)
    if fresh:
        may_be_cleared(folder)
    else:
        check_same_sweep(folder, sweep, names, grown_from)
    return folder


def readable_checksums(folder: ResultFolder) -> list[Checksums]:
    """The lists of checksums in a folder that can be read: of its tables, its start files and its stacks.

    Raises StorageError.
    """
    paths = [folder.checksums, folder.start_checksums, *sorted(folder.parts.glob("*.sha256"))]
    return [checksums for path in paths if path.exists() and (checksums := read_checksums(path, folder.path))]


def sweep_in(folder: ResultFolder) -> Sweep | None:
    """The sweep whose folder this is. Raises ConfigError where its config.toml is none that we wrote."""
    if not folder.config.exists():
        return None
    try:
        return Sweep.from_toml(folder.config)
    except ConfigError as error:
        raise ConfigError(
            f"--out {folder.path}: holds a config.toml that is not of this version, or not whole; bring it back, or "
            "choose another --out",
            *str(error).split("\n"),
        ) from None


def check_same_sweep(
    folder: ResultFolder, sweep: Sweep, names: Collection[str], grown_from: Sweep | None = None
) -> None:
    """Raises ConfigError if the folder holds records, and they are not those of `sweep`.

    names: of its runs and proxies.
    """
    if not folder.has_records:
        sweep_in(folder)
        return
    try:
        held = sweep_in(folder)
    except ConfigError:
        held = None
    if held and grown_from and not difference(held, grown_from):
        return
    differs = difference(held, sweep) if held else "whose config.toml is gone, or not whole"
    if not differs:
        return
    records, trusted = (
        origins_in(folder),
        held and not any("config.toml" in checksums.changed for checksums in readable_checksums(folder)),
    )
    if not held and not is_of_a_sweep(folder):
        raise ConfigError(f"--out {folder.path}: {UNKNOWN_ORIGIN}")
    if trusted or any(one.name not in names for one in records):
        raise ConfigError(f"--out {folder.path}: holds the records of another sweep, {differs}; {remedy_of(differs)}")


def remedy_of(differs: str) -> str:
    """What to do about a sweep that differs; one of a list of [sweep] may be grown."""
    return f"{REMEDY}, or add to them with --grow" if differs.startswith("where sweep.") else REMEDY


def is_of_a_sweep(folder: ResultFolder) -> bool:
    """Whether checksums, or a table of runs or proxies, say that a sweep wrote what is there. Raises StorageError."""
    return bool(origins_in(folder)) or any(
        checksums.sums.keys() - {*checksums.changed, *checksums.missing} for checksums in readable_checksums(folder)
    )


def difference(held: Sweep, sweep: Sweep) -> str:
    """The first setting or text in which the sweep of the records, `held`, differs from `sweep`; empty if none does."""
    for name in held.texts.keys() & sweep.texts.keys():
        if held.texts[name] != sweep.texts[name]:
            return f"whose text {name} has changed since: bring that file back, its SHA-256 was {held.texts[name]}"
    there, here = (flat_settings(each) for each in (held, sweep))
    for name in sorted(there.keys() | here.keys()):
        if there.get(name) != here.get(name) and not name.startswith(OF_NO_RUN):
            return f"where {name} = {shown(there.get(name))} and not {shown(here.get(name))}"
    return ""


def may_be_cleared(folder: ResultFolder) -> bool:
    """Whether the folder holds what a sweep wrote, and may be emptied of it.

    Raises ConfigError where it holds files of these names that may be anybody's.
    """
    if is_of_a_sweep(folder) or sweep_in(folder):
        return True
    if folder.has_records:
        raise ConfigError(f"--out {folder.path}: {UNKNOWN_ORIGIN}")
    return False


def remove_records(folder: ResultFolder) -> None:
    """Remove the records of a sweep, and nothing that a sweep did not write. Raises ConfigError and StorageError.

    `config.toml` goes last, so that a folder that a kill leaves half emptied still says whose it is.
    """
    if may_be_cleared(folder):
        remove(folder, (*RECORDS, folder.tracked.name))
        folder.config.unlink(missing_ok=True)
