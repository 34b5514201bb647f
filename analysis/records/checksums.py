"""Checksums of a result directory: which of its files are not as they were written, and of what its page was made.

The sweep writes `SHA256SUMS`, or `parts/*.sha256` while it runs, and a report `report.sha256`, of the page, the figures
and the records that they show. All are in the format of `sha256sum`, and their last line says how many files they list.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from analysis.records.atomic_files import write_atomically
from analysis.records.load import ResultsError, is_finished

REMEDY = "the same sweep, run again, keeps it and makes it anew"
SHOWN = ("report.html", "summary.json", "claims.json", "SHA256SUMS")


def read_checksums(path: Path) -> dict[str, str] | None:
    """The SHA-256 of each file in a list of checksums, by its path in the result directory; None for a list cut off."""
    try:
        *lines, last = path.read_text(encoding="utf-8").splitlines() or [""]
    except (OSError, UnicodeDecodeError):
        return None
    found = [line.partition("  ") for line in lines]
    return {name: digest for digest, _, name in found} if last == f"# {len(lines)} files" else None


def find_damage(folder: str | Path) -> list[str]:
    """What is not as the sweep wrote it, a sentence for each file; nothing where all is well.

    `sha256sum -c SHA256SUMS` checks the same of a sweep that has ended.
    """
    root = Path(folder)
    ended = is_finished(root) or (root / "SHA256SUMS").exists()
    started = [path for path in [root / "parts" / "SHA256SUMS"] if path.exists()]
    seals = [root / "SHA256SUMS"] if ended else [*started, *sorted((root / "parts").glob("*.sha256"))]
    found = []
    for path in seals:
        sums = read_checksums(path)
        if sums is None:
            what = "is not whole" if path.exists() else "is gone"
            found.append(
                f"{path}: {what}, so that the records have no checksums; run the same sweep again to have them made"
            )
        for name, digest in (sums or {}).items():
            if not (root / name).is_file():
                found.append(f"{root / name}: is gone; the same sweep, run again, makes it anew")
            elif digest_of(root / name) != digest:
                found.append(f"{root / name}: is not as the sweep wrote it; {REMEDY}")
    return found


def digest_of(path: Path) -> str:
    """The SHA-256 of a file. Raises ResultsError where it cannot be read."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise ResultsError(f"{path}: cannot be read ({error.strerror or error})") from None


@contextmanager
def damage_reported(damaged: list[str]) -> Iterator[None]:
    """Whatever goes wrong in the block is raised as ResultsError, where `find_damage` says that records are damaged."""
    try:
        yield
    except ResultsError:
        raise
    except Exception as error:
        if not damaged:
            raise
        raise ResultsError(damaged[0], f"it cannot be shown as it is ({type(error).__name__})") from error


def write_report_checksums(folder: Path) -> None:
    """Write the checksums of the page and the figures of a result directory, and of the records they were made of.

    Raises UnwritableError.
    """
    figures = [path for kind in ("png", "svg", "pdf", "csv") for path in sorted((folder / "figures").glob(f"*.{kind}"))]
    there = [path for path in (*(folder / name for name in SHOWN), *figures) if path.exists()]
    lines = [f"{digest_of(path)}  {path.relative_to(folder).as_posix()}\n" for path in there]
    write_atomically(folder / "report.sha256", "".join([*lines, f"# {len(lines)} files\n"]).encode())
