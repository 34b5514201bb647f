"""The result directory of one sweep: what lies where, and whether it may be used.

While a sweep runs, every finished stack has tables in `parts/` and then a seal; its runs count as finished once the
seal is there and the tables are as it says (`simulator/seals.py`). When all are, they are joined into `curves.parquet`
and `runs.parquet`, in the order of the grid, `SHA256SUMS` vouches for them, and the parts go. A trained proxy lies in
`proxies/`, and stays there; what is said of all of them is joined into `proxies.parquet`.
"""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simulator.complaints import ConfigError, shown
from simulator.config import Sweep
from simulator.files import make_folder, write_whole
from simulator.proxies import Member
from simulator.runs import Run, digest
from simulator.settings import Settings
from simulator.toml_input import flatten

BESIDE = ("responses", "gold_law", "margins")  # tables of trained policies at the end, for people to look at
KINDS = ("curves", "runs", "proxies", *BESIDE)
PARTS = (
    *(f"parts/*.{kind}.parquet" for kind in KINDS),
    *("parts/*.sha256", "parts/*.safetensors", "parts/sizes.json"),
)
PARTIAL = ("", "parts/", "proxies/", "figures/")
RECORDS = (
    *("world.json", "losses.parquet", "report.html", "claims.json", "SHA256SUMS"),
    *(*(f"{kind}.parquet" for kind in KINDS), *PARTS, "proxies/*.npz", "figures/*.png", "figures/*.svg"),
)


@dataclass(frozen=True, kw_only=True)
class Folder:
    """The result directory of one sweep."""

    path: Path

    @property
    def config(self) -> Path:
        """The resolved sweep."""
        return self.path / "config.toml"

    @property
    def curves(self) -> Path:
        """One row per run and checkpoint."""
        return self.path / "curves.parquet"

    @property
    def runs(self) -> Path:
        """One row per run."""
        return self.path / "runs.parquet"

    @property
    def world(self) -> Path:
        """The facts of the world, or of all worlds."""
        return self.path / "world.json"

    @property
    def losses(self) -> Path:
        """The losses of the sweep as functions."""
        return self.path / "losses.parquet"

    @property
    def proxies(self) -> Path:
        """One row per proxy reward model, where there are any."""
        return self.path / "proxies.parquet"

    @property
    def seal(self) -> Path:
        """What vouches for all of these once the sweep has ended."""
        return self.path / "SHA256SUMS"

    @property
    def page(self) -> Path:
        """What a report makes of them."""
        return self.path / "report.html"

    @property
    def running(self) -> Path:
        """What says who writes here, while somebody does."""
        return self.path / "running.json"

    @property
    def lock(self) -> Path:
        """What whoever writes here has locked."""
        return self.path / ".lock"

    @property
    def parts(self) -> Path:
        """Where everything lies until then."""
        return self.path / "parts"

    @property
    def oracle(self) -> Path:
        """The oracle's curves until the sweep ends."""
        return self.parts / "oracle.curves.parquet"

    @property
    def sizes(self) -> Path:
        """How many runs are stacked, so that a sweep that goes on has the stacks that it began with."""
        return self.parts / "sizes.json"

    def beside(self, kind: str) -> Path:
        """One of the tables named in BESIDE."""
        return self.path / f"{kind}.parquet"

    def part(self, stack: str, kind: str) -> Path:
        """Where a stack's table of a `kind`, such as "curves" or "runs", lies until the sweep ends."""
        return self.parts / f"{stack}.{kind}.parquet"

    def part_seal(self, stack: str) -> Path:
        """What vouches for what a stack left."""
        return self.parts / f"{stack}.sha256"

    def in_flight(self, stack: str) -> Path:
        """The state of a stack in training."""
        return self.parts / f"{stack}.safetensors"

    def network(self, name: str) -> Path:
        """Where the proxy of this name lies."""
        return self.path / "proxies" / f"{name}.npz"

    @property
    def has_records(self) -> bool:
        """Whether anything was measured here."""
        tables = (self.curves, self.runs, self.proxies, self.seal)
        parts = ("parts/*.runs.parquet", "parts/*.proxies.parquet", "parts/*.safetensors", "proxies/*.npz")
        return any(path.exists() for path in tables) or any(any(self.path.glob(part)) for part in parts)


def stack_name(stack: Sequence[Run | Member]) -> str:
    """A name that follows from what is in a stack."""
    return digest([one.run_id if isinstance(one, Run) else one.name for one in stack])


def examine_folder(path: Path, sweep: Sweep, *, fresh: bool) -> Folder:
    """The folder at `path`, whether it is there or not; changes nothing.

    Raises ConfigError where it could not be written, or holds the records of another sweep.
    """
    if str(path) in ("", "."):
        raise ConfigError("--out: must name a folder of its own, such as results/mine")
    try:
        there = path
        while not there.exists() and there != there.parent:
            there = there.parent
    except OSError as error:
        raise ConfigError(f"--out {path}: cannot be written ({error.strerror or error})") from None
    if not there.is_dir():
        raise ConfigError(f"--out {path}: cannot be written ({there} is not a directory)")
    if not os.access(there, os.W_OK | os.X_OK):
        raise ConfigError(f"--out {path}: cannot be written (no permission in {there})")
    folder = Folder(path=path)
    if fresh:
        held_by(folder)
    else:
        check_same_sweep(folder, sweep)
    return folder


def open_folder(folder: Folder, sweep: Sweep, *, fresh: bool = False) -> None:
    """Make or tidy the folder for the records of `sweep`; `fresh` removes records that are there.

    Raises ConfigError where config.toml is not that of a sweep, and StorageError where the folder cannot be written.
    """
    if fresh:
        clear(folder)
    for place in PARTIAL:
        remove(folder, [f"{place}.*.partial"])
    content = sweep.to_toml().encode()  # the same settings, but perhaps in another order than those that are there
    if not folder.config.exists() or folder.config.read_bytes() != content:
        write_whole(folder.config, content)
    make_folder(folder.parts)


def clear(folder: Folder) -> None:
    """Remove the records of a sweep, and nothing that a sweep did not write.

    Raises ConfigError where config.toml is not that of a sweep, so that the rest may be anybody's. It goes last, so
    that what a kill leaves can still be told for what it is.
    """
    if held_by(folder) is None:
        if folder.has_records:
            raise ConfigError(
                f"--out {folder.path}: holds records but no config.toml that says of what; remove them by hand, or "
                "choose another --out"
            )
        return
    remove(folder, RECORDS)
    folder.config.unlink(missing_ok=True)


def remove(folder: Folder, patterns: Iterable[str]) -> None:
    """Remove the files of these patterns, and the inner folders that are empty without them."""
    for pattern in patterns:
        for path in folder.path.glob(pattern):
            path.unlink(missing_ok=True)
    for name in ("parts", "proxies", "figures"):
        inner = folder.path / name
        if inner.is_dir() and not any(inner.iterdir()):
            inner.rmdir()


def held_by(folder: Folder) -> Sweep | None:
    """The sweep whose folder this is. Raises ConfigError where its config.toml is none that we wrote."""
    if not folder.config.exists():
        return None
    try:
        return Sweep.from_toml(folder.config)
    except ConfigError as error:
        raise ConfigError(
            f"--out {folder.path}: holds a config.toml that is not of this version, or not whole; bring it back, or "
            f"choose another --out\n{error}"
        ) from None


def check_same_sweep(folder: Folder, sweep: Sweep) -> None:
    """Raises ConfigError if the folder holds records, and they are not those of `sweep`."""
    held = held_by(folder)
    if not folder.has_records:
        return
    remedy = "choose another --out, or start over with --fresh"
    if held is None:
        raise ConfigError(f"--out {folder.path}: holds records but no config.toml that says of what; {remedy}")
    for before, now, what in ((held.texts, sweep.texts, "text"), (held.code, sweep.code, "code")):
        for name in before.keys() & now.keys():
            if before[name] != now[name]:
                raise ConfigError(
                    f"--out {folder.path}: holds the records of another sweep, whose {what} {name} has changed since; "
                    f"bring that file back (its SHA-256 was {before[name]}), {remedy}"
                )
    there, here = (flat_settings(each) for each in (held, sweep))
    for name in sorted(there.keys() | here.keys()):
        if there.get(name) != here.get(name):
            raise ConfigError(
                f"--out {folder.path}: holds the records of another sweep, where {name} = "
                f"{shown(there.get(name))} and not {shown(here.get(name))}; {remedy}"
            )


def flat_settings(settings: Settings) -> dict[str, Any]:
    """Every setting by its dotted key, as a user writes it."""
    return {
        name.removeprefix(".").replace("sweep.axes.", "sweep."): value
        for name, value in flatten("", settings.model_dump())
    }
