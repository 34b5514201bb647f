"""Files of a result directory that analysis writes: whole, or not at all."""

import os
from pathlib import Path

from analysis.results import ResultsError


def write_whole(path: Path, content: bytes) -> Path:
    """Write `content` beside `path` and move it there; the path. Raises ResultsError where it cannot be written."""
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
        raise ResultsError(f"{path}: cannot be written ({error.strerror or error})") from None
    return path
