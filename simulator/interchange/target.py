"""The folders that an export reads and makes. What it makes is there whole or not at all, and over nobody else's files.

`SHA256SUMS` lists all of its files. A folder is an export of ours where that list is whole, `README.md` is on it and
begins with TITLE, and nothing lies there that the list does not have. Only such a folder is replaced.
"""

import hashlib
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from simulator.common.atomic_files import make_folder, storing
from simulator.common.errors import ConfigError, short
from simulator.common.signals import interrupts_delayed
from simulator.storage.checksums import read_checksums, write_checksums

TITLE = "# Exported from the alignment simulator"
SUMS, README = "SHA256SUMS", "README.md"


@dataclass(frozen=True, kw_only=True)
class Written:
    """A folder under way, and the SHA-256 of what was written there."""

    place: Path
    sums: dict[Path, str] = field(default_factory=dict)

    def write(self, name: str, content: bytes) -> None:
        """Write a file of this relative name, in folders that are made for it. Raises StorageError."""
        path = self.place / name
        make_folder(path.parent, parents=True)
        with storing(path):
            path.write_bytes(content)
        self.sums[path] = hashlib.sha256(content).hexdigest()

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(path.stat().st_size for path in self.sums)


def check_folder(path: Path) -> None:
    """Raises ConfigError where a sweep has left nothing."""
    if not path.is_dir():
        raise ConfigError(f"{path}: {'is a file' if path.exists() else 'is not there'}; name the folder of a sweep")
    if not (path / "config.toml").is_file():
        inner = sorted(place.parent.name for place in path.glob("*/config.toml"))
        several = f"; it holds those of several, such as {path / inner[0]}" if inner else ""
        raise ConfigError(f"{path}: is no folder of a sweep, since it has no config.toml{several}")


def check_target(out: Path, source: Path) -> Path:
    """Where an export of the sweep's folder `source` goes, resolved. Raises ConfigError where it may not go there."""
    option = f"--to {out}"
    place = out.resolve()
    if str(out) in ("", ".") or place == Path.cwd():
        raise ConfigError("--to: must name a folder of its own, such as exported")
    if source.resolve() in (place, *place.parents):
        raise ConfigError(f"{option}: lies in {source}, whose records stay as they are; name a folder elsewhere")
    try:
        if place.exists() and not place.is_dir():
            raise ConfigError(f"{option}: is a file; name a folder")
        above = next(folder for folder in place.parents if folder.exists())
        if not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
            raise ConfigError(f"{option}: cannot be written ({above} does not allow it)")
        if place.is_dir() and (wrong := not_ours(place)):
            raise ConfigError(f"{option}: {wrong}; name another folder, or remove what is there")
    except OSError as error:
        raise ConfigError(f"{option}: cannot be written ({error.strerror or error})") from None
    return place


def not_ours(folder: Path) -> str:
    """Why a folder is no export that may be replaced; nothing where it is empty or one."""
    there = {
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_symlink() or not path.is_dir()
    }
    if not there:
        return ""
    found = read_checksums(folder / SUMS, folder) if SUMS in there else None
    readme = folder / README
    titled = found is not None and README in found.sums and readme.is_file()
    if found is None or not titled or not readme.read_bytes().startswith(TITLE.encode()):
        return "holds what no export wrote"
    for name in found.changed:
        return f"holds {short(name)}, which was changed after it was exported"
    for name in sorted(there - {SUMS, *found.sums}):
        return f"holds {short(name)}, which no export wrote"
    return ""


@contextmanager
def new_folder(place: Path) -> Iterator[Written]:
    """A folder to write into, which takes its place when the block ends, and is gone where that fails.

    Raises StorageError.
    """
    make_folder(place.parent, parents=True)
    beside = place.with_name(f".{place.name}.{secrets.token_hex(4)}.partial")
    try:
        make_folder(beside)
        written = Written(place=beside)
        yield written
        write_checksums(beside / SUMS, beside, dict(sorted(written.sums.items())))
        put_in_place(beside, place)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def put_in_place(beside: Path, place: Path) -> None:
    """Let a folder take the place of an export, or of nothing. An interrupt waits for it. Raises StorageError."""
    before = place.with_name(f".{place.name}.{secrets.token_hex(4)}.before")
    with interrupts_delayed(), storing(place):
        replaced = place.exists()
        if replaced:
            os.rename(place, before)
        try:
            os.rename(beside, place)
        except OSError:
            if replaced:
                os.rename(before, place)
            raise
        if replaced:
            shutil.rmtree(before, ignore_errors=True)
