"""Which source the compiled engine is of. It is read by the build, and by whoever loads what the build made."""

import hashlib
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
SOURCES = FOLDER / "source"
UNITS = ("engine.cpp", "plain.cpp", "avx2.cpp", "avx512.cpp")  # what is compiled; the rest is included


def source_hash(folder: Path = SOURCES) -> str:
    """Sixteen hexadecimal digits of the SHA-256 of the engine's source; empty where the source is not there."""
    files = sorted(path for path in folder.glob("*") if path.suffix in {".cpp", ".hpp", ".h"})
    together = hashlib.sha256()
    for path in files:
        together.update(path.name.encode() + b"\0" + path.read_bytes().replace(b"\r\n", b"\n") + b"\0")
    return together.hexdigest()[:16] if files else ""
