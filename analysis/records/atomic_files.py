"""Files of a result directory that analysis writes: whole, or not at all."""

import os
from pathlib import Path

from analysis.records.load import UnwritableError


def write_atomically(path: Path, content: bytes) -> Path:
    """Write `content` beside `path` and move it there; the path. Raises UnwritableError."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        try:
            with open(beside, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(beside, path)
        finally:
            beside.unlink(missing_ok=True)
    except OSError as error:
        why = error.strerror or error
        raise UnwritableError(
            f"{path}: cannot be written ({why}); make room there or allow writing there, and call it again"
        ) from None
    return path
