"""The sweep whose folder is exported: its runs of one world, and those that have a policy. It is only read."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pyarrow import ArrowException
from pyarrow.parquet import read_table

from simulator.common.errors import ConfigError, nearest, short
from simulator.interchange.target import check_folder
from simulator.languages.text import read_text
from simulator.methods import METHODS
from simulator.settings.relevant_keys import world_name
from simulator.settings.run import Run
from simulator.settings.tables import Settings
from simulator.storage.checksums import read_checksums
from simulator.storage.inventory import finished_runs
from simulator.storage.layout import ResultFolder
from simulator.sweeps.grid import expand
from simulator.sweeps.hashes import hash_of_pairs, pair_files
from simulator.sweeps.own_code import hash_of_code, own_code
from simulator.sweeps.sweep import Sweep

ALL, NONE = "all", "none"
OK = "finished"  # the status of a run that ended and did not diverge


@dataclass(frozen=True, kw_only=True)
class Source:
    """A sweep's folder, and what of it is exported.

    runs: all of the world, in the order of the grid. trained: the run_id of those that are finished and have a sound
    policy. asked: those whose policies were asked for, None where nobody said.
    """

    folder: ResultFolder
    sweep: Sweep
    runs: tuple[Run, ...]
    trained: tuple[str, ...]
    asked: tuple[str, ...] | None

    @property
    def settings(self) -> Settings:
        """Of the first run; what makes the world is the same in all."""
        return self.runs[0].settings


def read_source(path: Path, policies: Sequence[str]) -> Source:
    """The sweep in a folder. policies: "all", "none", some run_ids, or nothing. Raises ConfigError and StorageError."""
    check_folder(path)
    folder = ResultFolder(path=path)
    check_records(folder)
    sweep = Sweep.from_toml(folder.config, beside=Path())
    check_texts(sweep)
    check_code(sweep)
    runs = {run.run_id: run for run in expand(sweep)}
    trained = sound_runs(folder, runs)
    named = [name for name in dict.fromkeys(policies) if name not in (ALL, NONE)]
    if named and len(named) < len(set(policies)):
        raise ConfigError(f"--policies: must be {ALL}, {NONE}, or names of runs, and not both")
    if {ALL, NONE} <= set(policies):
        raise ConfigError(f"--policies: must be {ALL} or {NONE}, and not both")
    for name in named:
        check_named(name, runs, trained, folder)
    there = of_one_world([runs[name] for name in named or runs], list(runs.values()))
    inside = {run.run_id for run in there}
    whole = tuple(name for name in trained if name in inside)
    return Source(
        folder=folder,
        sweep=sweep,
        runs=tuple(there),
        trained=whole,
        asked=tuple(named) if named else () if NONE in policies else whole if ALL in policies else None,
    )


def check_records(folder: ResultFolder) -> None:
    """Raises ConfigError where what is read here is not as the sweep wrote it; StorageError where it is not read."""
    if not folder.checksums.exists():
        return
    found = read_checksums(folder.checksums, folder.path)
    needed = [path.name for path in (folder.config, folder.runs, folder.curves, folder.world)]
    wrong = [folder.checksums.name] if found is None else [*found.changed, *found.missing]
    for name in wrong:
        if found is None or name in needed or name.startswith(("proxies/", "policies/")):
            raise ConfigError(
                f"{folder.path / name}: is not as the sweep wrote it; bring it back, or run the sweep "
                f"again with --out {folder.path}, which repairs it"
            )


def check_texts(sweep: Sweep) -> None:
    """Raises ConfigError where a text, or a file of pairs, is not the one that the sweep was about."""
    for name, digest in sweep.texts.items():
        if name in pair_files(sweep):
            hash_of_pairs(sweep, name)
            continue
        if hashlib.sha256(read_text(name)).hexdigest() != digest:
            raise ConfigError(
                f"world.language.text = {name}: has changed since the sweep; bring that file back, its SHA-256 was "
                f"{digest}"
            )


def check_code(sweep: Sweep) -> None:
    """Raises ConfigError where code of the user's own is not the one that the sweep was about."""
    for code in own_code(sweep):
        if sweep.code.get(code.name, there := hash_of_code(code, sweep)) != there:
            raise ConfigError(
                f"{code.key}{code.name}: has changed since the sweep; bring that code back, the SHA-256 of what it "
                f"uses was {sweep.code[code.name]}"
            )


def sound_runs(folder: ResultFolder, runs: dict[str, Run]) -> tuple[str, ...]:
    """The run_id of every run that is finished, trained and did not diverge. Raises ConfigError."""
    if not folder.runs.exists():
        status = dict.fromkeys(finished_runs(folder), OK)
    else:
        try:
            table = read_table(folder.runs, columns=["run_id", "status"])
            status = dict(zip(*(table.column(name).to_pylist() for name in ("run_id", "status")), strict=True))
        except (OSError, ArrowException, KeyError) as error:
            raise ConfigError(f"{folder.runs}: cannot be read ({short(str(error))})") from None
    return tuple(
        name for name, run in runs.items() if METHODS[run.method].learner is not None and status.get(name) == OK
    )


def check_named(name: str, runs: dict[str, Run], trained: Sequence[str], folder: ResultFolder) -> None:
    """Raises ConfigError where a run has no policy, or there is none of this name."""
    if name in trained:
        return
    name_shown = short(name)
    if name not in runs:
        hint = nearest(name, trained) or f"; see runs.parquet, or say {ALL} or {NONE}"
        raise ConfigError(f"--policies {name_shown}: is no run of {folder.path}{hint}")
    if METHODS[runs[name].method].learner is None:
        raise ConfigError(f"--policies {name_shown}: {runs[name].method} trains no policy, so there is none to export")
    raise ConfigError(
        f"--policies {name_shown}: diverged, failed or is not finished in {folder.path}, so there is none to export"
    )


def of_one_world(chosen: Sequence[Run], runs: Sequence[Run]) -> list[Run]:
    """All runs of the world of those that are chosen. Raises ConfigError where these are of several."""
    names = {id(run.settings): world_name(run.settings) for run in runs}
    worlds = {names[id(run.settings)] for run in chosen}
    if len(worlds) > 1:
        first = next(run.run_id for run in chosen)
        raise ConfigError(
            f"--policies: the runs are of {len(worlds)} worlds, and an export has one; name runs of one world, such as "
            f"--policies {first}"
        )
    return [run for run in runs if names[id(run.settings)] in worlds]


def recorded_reference(folder: ResultFolder, settings: Settings) -> str | None:
    """The SHA-256 of the reference that the records were made with; None where they do not say."""
    try:
        facts = json.loads(folder.world.read_bytes())
        worlds = {one.get("name"): one for one in facts.get("worlds", [facts])}
        only = next(iter(worlds.values())) if len(worlds) == 1 else {}
        found = worlds.get(world_name(settings), only).get("reference_sha256")
    except (OSError, ValueError, AttributeError, TypeError):
        return None
    return found if isinstance(found, str) else None
