"""One writer: a result directory is held by the process whose sweep it is.

The lock is one of the operating system's, so that it goes with the process that holds it, however that ends. Beside it
lies `running.json`, which says who holds it, for whoever comes second, and how many runs there will be, for whoever
looks at what there is so far.
"""

import errno
import json
import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from filelock import FileLock, Timeout

from simulator.common.atomic_files import storage_error, write_atomically
from simulator.common.errors import ConfigError
from simulator.storage.layout import ResultFolder

UNABLE = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP)  # of shared file systems that are mounted without locks
NO_LOCKS = "its file system has no locks, so two sweeps could write there at once; choose an --out on a local disk"
PATIENCE = 3.0  # seconds for one that is just ending


def locked_error(folder: ResultFolder) -> ConfigError:
    """What the second is told: who is first."""
    try:
        holder = json.loads(folder.running.read_bytes())
        who = f"process {holder['pid']} on {holder['host']}, since {holder['since']}"
    except (OSError, ValueError, KeyError, TypeError):
        who = "a process that has not said which"
    return ConfigError(
        f"--out {folder.path}: another sweep is writing there ({who}); wait for it, or choose another --out"
    )


def check_not_locked(folder: ResultFolder) -> None:
    """Raises ConfigError where somebody holds the folder now."""
    if folder.lock.exists():
        with locked(folder, PATIENCE):
            pass


@contextmanager
def locked(folder: ResultFolder, patience: float) -> Iterator[None]:
    """Hold the folder while the block runs. Raises ConfigError where somebody else does or nobody can; StorageError."""
    lock = FileLock(folder.lock)
    try:
        lock.acquire(timeout=patience)
    except Timeout:
        raise locked_error(folder) from None
    except OSError as error:
        if error.errno in UNABLE:
            raise ConfigError(f"--out {folder.path}: {NO_LOCKS} ({error.strerror or error})") from None
        raise storage_error(folder.lock, error) from error
    try:
        yield
    finally:
        with suppress(OSError):  # who waits for it looks whether it is still the one in the folder
            folder.lock.unlink()
        lock.release()


@contextmanager
def writing_to(folder: ResultFolder, runs: int) -> Iterator[None]:
    """Hold the folder while the block runs, and say so in it. Raises ConfigError and StorageError."""
    with locked(folder, PATIENCE):
        since = time.strftime("%Y-%m-%d %H:%M:%S %z")
        holder = {"host": platform.node(), "pid": os.getpid(), "since": since, "runs": runs}
        write_atomically(folder.running, (json.dumps(holder, indent=2) + "\n").encode())
        try:
            yield
        finally:
            with suppress(OSError):
                folder.running.unlink(missing_ok=True)
