"""How the engine becomes WebAssembly: `python -m simulator.playground.wasm.build`, with a compiler for it.

The compiler is that of the package ziglang (the extra `wheels`), or what ZIG names. The built file says which source it
is of; a test compares that with the source that is there.
"""

import hashlib
import importlib.util
import os
import shlex
import sys
from importlib.resources import files
from pathlib import Path

from simulator.common.terminal import say
from simulator.native.build import run
from simulator.native.identity import SOURCES, source_hash

FOLDER = Path(__file__).resolve().parent
BUILT = "engine.wasm"
UNITS = (SOURCES / "engine.cpp", SOURCES / "plain.cpp", FOLDER / "playground.cpp")
FLAGS = (
    *("-target", "wasm32-wasi", "-mexec-model=reactor", "-msimd128", "-std=c++17", "-O3", "-s"),
    *("-fno-exceptions", "-fno-rtti", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast"),
    *("-fvisibility=hidden", "-Wno-c++11-narrowing", "-Wno-psabi"),
)


def wasm_source_hash() -> str:
    """Sixteen hexadecimal digits of the SHA-256 of the engine's source, the wrapper's, and how they are compiled."""
    parts = [source_hash(), source_hash(FOLDER), " ".join(FLAGS)]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def zig_command() -> list[str]:
    """The command of zig; empty where it is not installed."""
    if named := os.environ.get("ZIG"):
        return shlex.split(named)
    return [sys.executable, "-m", "ziglang"] if importlib.util.find_spec("ziglang") else []


def build(target: Path) -> None:
    """Compile the engine into the file `target`. Raises CCompilerError."""
    source = f'-DENGINE_SOURCE="{wasm_source_hash()}"'
    run([[*zig_command(), "c++", *FLAGS, source, f"-I{SOURCES}", *map(str, UNITS), "-o", str(target)]])


def built_file() -> bytes:
    """The engine as it was built."""
    return (files("simulator.playground.wasm") / BUILT).read_bytes()


def is_of_this_source(built: bytes) -> bool:
    """Whether a built file says that it is of the source that is there."""
    return wasm_source_hash().encode() in built


if __name__ == "__main__":
    if not zig_command():
        raise SystemExit("zig is not installed: pip install ziglang, or name its command in ZIG")
    build(FOLDER / BUILT)
    say(f"{FOLDER / BUILT}: {(FOLDER / BUILT).stat().st_size:,} bytes, of source {wasm_source_hash()}")
