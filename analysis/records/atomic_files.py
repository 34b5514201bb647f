"""Files of a result directory that analysis writes: whole, or not at all."""

import os
import time
from pathlib import Path

from analysis.records.load import UnwritableError

PAUSES = (0.01, 0.03, 0.1, 0.3, 1.0)  # seconds between tries to replace a file that another program holds open


def replace(path: Path, place: Path) -> None:
    """Move a file over another. Windows refuses that while a reader holds either open, so there it is tried again."""
    for pause in PAUSES if os.name == "nt" else ():
        try:
            os.replace(path, place)
            return
        except PermissionError:
            time.sleep(pause)
    os.replace(path, place)


def write_atomically(path: Path, content: bytes) -> Path:
    """Write `content` beside `path` and move it there; the path. Raises UnwritableError."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        try:
            with open(beside, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            replace(beside, path)
        finally:
            beside.unlink(missing_ok=True)
    except OSError as error:
        why = error.strerror or error
        raise UnwritableError(
            f"{path}: cannot be written ({why}); make room there or allow writing there, and call it again"
        ) from None
    return path
