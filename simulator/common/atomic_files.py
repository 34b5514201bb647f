"""Files that appear whole or not at all, and what is said of a disk that does not take them."""

import errno
import hashlib
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from simulator.common.errors import printable
from simulator.common.signals import interrupts_delayed

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
FORBIDDEN = (errno.EROFS, errno.EACCES, errno.EPERM)
GONE = (errno.ENOENT, errno.ENOTDIR, errno.ESTALE)
UNABLE = (errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)  # of file systems that cannot flush a folder
IN_USE = (32, 33)  # of Windows: a file that another program holds open, or a part of it
PAUSES = (0.01, 0.03, 0.1, 0.3, 1.0)  # seconds between tries to replace such a file


class StorageError(OSError):
    """A file cannot be written or read; the text says which, why, and what to do. Nothing that was there is lost."""

    def __init__(self, text: str) -> None:
        super().__init__(printable(text))


def remedy(error: OSError, verb: str = "writing") -> str:
    """What a user can do about an error of the file system, met in "reading" or "writing"."""
    if getattr(error, "winerror", None) in IN_USE:
        return "close the program that holds it open"
    if error.errno in FULL:
        return "make room there"
    if error.errno in FORBIDDEN:
        return f"allow {verb} there"
    if error.errno in GONE:
        return "its folder was moved or removed while it was in use: bring it back"
    return "see that the disk works"


def storage_error(path: Path, error: OSError) -> StorageError:
    """The error of a file at `path`, with what to do about it."""
    return StorageError(f"{path}: cannot be written ({error.strerror or error}); {remedy(error)}")


def unreadable(path: Path, error: OSError) -> StorageError:
    """The error of a file that is there and cannot be read, with what to do about it."""
    return StorageError(f"{path}: cannot be read ({error.strerror or error}); {remedy(error, 'reading')}")


def write_atomically(path: Path, content: bytes) -> str:
    """Replace the file at `path` by one of this content, once all of it is on disk; its SHA-256.

    An interrupt waits for it. Raises StorageError, and then leaves what was there.
    """
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")  # machines that share a disk share numbers
    with interrupts_delayed():
        try:
            try:
                with open(beside, "wb") as file:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
                replace(beside, path)
                sync_folder(path.parent)
            finally:
                with suppress(OSError):
                    beside.unlink(missing_ok=True)
        except OSError as error:
            raise storage_error(path, error) from error
    return hashlib.sha256(content).hexdigest()


def replace(path: Path, place: Path) -> None:
    """Move a file over another. Windows refuses that while a reader holds either open, so there it is tried again."""
    for pause in PAUSES if os.name == "nt" else ():
        try:
            os.replace(path, place)
            return
        except PermissionError:
            time.sleep(pause)
    os.replace(path, place)


def sync_folder(folder: Path) -> None:
    """Wait until the names in a folder are on disk, where the file system can tell."""
    if os.name != "posix":  # a folder cannot be opened there, and a rename needs no flush
        return
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    except OSError as error:
        if error.errno not in UNABLE:
            raise
    finally:
        os.close(opened)


def unwritable(folder: Path) -> str:
    """Why a folder cannot be written, or made where it is not there; nothing where it can."""
    there = folder
    try:
        while not there.exists() and there != there.parent:
            there = there.parent
    except OSError as error:
        return error.strerror or str(error)
    if not there.is_dir():
        return f"{there} is not a directory"
    return "" if os.access(there, os.W_OK | os.X_OK) else f"no permission in {there}"


def make_folder(path: Path, *, parents: bool = False) -> None:
    """Make a folder unless it is there. parents: those above it, too. Raises StorageError."""
    with storing(path):
        path.mkdir(parents=parents, exist_ok=True)


@contextmanager
def storing(place: Path) -> Iterator[None]:
    """An error of the file system within the block is a StorageError of the file that it names, or of `place`."""
    try:
        yield
    except (StorageError, BrokenPipeError):  # the latter is of whoever reads what we print
        raise
    except OSError as error:
        raise storage_error(Path(error.filename or place), error) from error


def keep_aside(path: Path, suffix: str = "damaged") -> Path:
    """Rename a file, so that it is kept and stands in nobody's way; its new place. Raises StorageError."""
    number, place = 1, path.with_name(f"{path.name}.{suffix}")
    while place.exists():
        number += 1
        place = path.with_name(f"{path.name}.{suffix}-{number}")
    with storing(path):
        replace(path, place)
    return place


def hash_of_file(path: Path) -> str | None:
    """The SHA-256 of a file; None where it is not there. Raises StorageError where it cannot be read."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise unreadable(path, error) from error
