"""Lists of checksums, written after the files that they name, so that these are there and complete.

A list has the format of `sha256sum`: `sha256sum -c SHA256SUMS` in a result directory checks it without us. A stack of
runs, or of proxies, counts as finished once its list is there and every file is as the list says.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from simulator.common.atomic_files import hash_of_file, write_atomically

LINE = re.compile(r"([0-9a-f]{64}) [ *](.+)")


@dataclass(frozen=True, kw_only=True)
class Checksums:
    """A list of checksums: the SHA-256 of each file, by its path inside the result directory.

    changed: those of its files that are there and are not as it says, and missing: those that are not there.
    """

    sums: Mapping[str, str]
    changed: tuple[str, ...]
    missing: tuple[str, ...]

    @property
    def intact(self) -> bool:
        """Whether every file is as it says."""
        return not (self.changed or self.missing)


def write_checksums(path: Path, root: Path, sums: Mapping[Path, str]) -> None:
    """Write a list at `path` of files in the result directory `root`, whose SHA-256 are known. Raises StorageError."""
    lines = [f"{digest}  {file.relative_to(root).as_posix()}\n" for file, digest in sums.items()]
    write_atomically(path, "".join([*lines, last_line(len(lines))]).encode())


def last_line(count: int) -> str:
    """The last line of a list of so many files, a comment, without which it was cut off."""
    return f"# {count} files\n"


def read_checksums(path: Path, root: Path) -> Checksums | None:
    """The list at `path` of files in `root`, checked now; None where it is itself damaged, or names a file elsewhere.

    Raises StorageError.
    """
    try:
        *lines, last = path.read_bytes().decode().splitlines(keepends=True) or [""]
    except UnicodeDecodeError:
        return None
    found = [LINE.fullmatch(line.rstrip("\n")) for line in lines]
    if last != last_line(len(found)) or not all(found):
        return None
    sums = {match[2]: match[1] for match in found if match}
    if any(PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts for name in sums):
        return None
    now = {name: hash_of_file(root / name) for name in sums}
    return Checksums(
        sums=sums,
        changed=tuple(name for name, digest in now.items() if digest not in (None, sums[name])),
        missing=tuple(name for name, digest in now.items() if digest is None),
    )
