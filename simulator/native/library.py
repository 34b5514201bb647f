"""The compiled engine: where it is, which instructions it uses, and the types of its functions."""

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from ctypes import POINTER, c_char_p, c_double, c_int, c_int64, c_void_p
from dataclasses import dataclass
from functools import cache

from simulator.native.identity import FOLDER, source_hash

NAME = "_engine"
_ASIDE = ContextVar("aside", default=False)
WITHOUT = "SIMULATOR_WITHOUT_ENGINE"  # of the environment: everything is by torch where it is set
SUFFIX = {"win32": ".dll", "darwin": ".dylib"}.get(sys.platform, ".so")
REASONS = {  # what the functions give back where they do nothing
    1: "there is no memory left for it",
    2: "the engine does not take these sizes",
    3: "a token id is outside the vocabulary",
    4: "an index of a batch is outside the pairs, or a loss is not one of the six",
}
WIDTHS = 16  # of which a network's width is a multiple


class Sizes(ctypes.Structure):
    """What a pass needs to know: source/sizes.h."""

    _fields_ = tuple(
        (name, c_int64)
        for name in (
            *("vocabulary", "context", "layers", "width", "heads", "outputs"),
            *("prompt", "responses", "length", "whole"),
        )
    )


class Training(ctypes.Structure):
    """What a stack trains on: source/sizes.h."""

    _fields_ = (
        *((name, c_int64) for name in ("pairs", "batch", "steps")),
        *((name, c_void_p) for name in ("prompts", "responses", "reference", "order", "beta", "rate", "limit", "loss")),
        ("factor", c_void_p),
        ("begun", c_int64),
        ("weight_decay", c_double),
    )


class EngineError(RuntimeError):
    """The engine refused what it was asked."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """The library, or why there is none."""

    library: ctypes.CDLL | None
    why: str = ""


SIGNATURES = {
    "instructions": (c_char_p,),
    "source": (c_char_p,),
    "choose": (c_int, c_char_p),
    "kept_floats": (c_int64, POINTER(Sizes), c_int64, c_int64),
    "forward": (c_int, POINTER(Sizes), c_int64, c_int64, c_void_p, c_int64, *[c_void_p] * 5),
    "backward": (c_int, POINTER(Sizes), c_int64, c_int64, c_void_p, c_int64, *[c_void_p] * 6),
    "adam": (c_int, c_int64, c_int64, *[c_void_p] * 6, c_int64, c_double),
    "sample": (
        *(c_int, POINTER(Sizes), c_int64, c_int64, c_void_p, c_int64, c_void_p, c_int64),
        *(c_void_p, c_int64, c_int64, c_void_p, c_int64, *[c_void_p] * 5),
    ),
    "train": (c_int, POINTER(Sizes), c_int64, c_void_p, c_int64, c_void_p, c_void_p, POINTER(Training), c_void_p),
    "judge": (c_int, POINTER(Sizes), c_int64, c_void_p, c_int64, c_void_p, c_void_p),
    "placements": (c_int, c_int64, c_int64, c_void_p, c_int64, c_void_p, c_int64, c_void_p, c_void_p),
    "moments": (c_int, c_int64, c_int64, c_int64, *[c_void_p] * 4, c_int64, *[c_void_p] * 3),
    "tree": (c_int, POINTER(Sizes), c_int64, c_int64, c_void_p, c_int64, c_void_p, c_int, c_void_p),
}


@cache
def find() -> Found:
    """The library beside this file, if it is there and of the source that is there."""
    if os.environ.get(WITHOUT):
        return Found(library=None, why=f"{WITHOUT} is set in the environment")
    path = FOLDER / f"{NAME}{SUFFIX}"
    if not path.exists():
        why = "it was not compiled when the package was installed: no C++ compiler was found, or it failed"
        return Found(library=None, why=why)
    try:
        library = ctypes.CDLL(str(path))
        for name, (result, *arguments) in SIGNATURES.items():
            function = getattr(library, f"engine_{name}")
            function.restype, function.argtypes = result, arguments
    except (OSError, AttributeError) as error:
        return Found(library=None, why=f"{path.name} cannot be loaded ({error})")
    here = source_hash()
    if here and library.engine_source().decode() != here:
        return Found(library=None, why="its source has changed since it was compiled; install the package again")
    return Found(library=library)


def in_use() -> bool:
    """Whether the engine is there, and not put aside here."""
    return not _ASIDE.get() and find().library is not None


@contextmanager
def aside(put: bool) -> Iterator[None]:
    """Whether the engine is put aside while the block runs, so that torch computes."""
    token = _ASIDE.set(put)
    try:
        yield
    finally:
        _ASIDE.reset(token)


def library() -> ctypes.CDLL:
    """The library. Raises EngineError where there is none."""
    found = find()
    if found.library is None:
        raise EngineError(f"the compiled engine is not there: {found.why}")
    return found.library


def instructions() -> str:
    """The instruction set that is used: "avx512", "avx2", "neon" or "sse2"; empty without a library."""
    found = find().library
    return found.engine_instructions().decode() if found else ""


@contextmanager
def using(name: str) -> Iterator[bool]:
    """Use this instruction set while the block runs; gives whether this machine has it."""
    engine = library()
    before = engine.engine_instructions()
    try:
        yield bool(engine.engine_choose(name.encode()))
    finally:
        engine.engine_choose(before)


def check(code: int) -> None:
    """Raises EngineError for what a function gave back, MemoryError where memory is what was missing."""
    if code == 1:
        raise MemoryError(REASONS[1])
    if code:
        raise EngineError(REASONS.get(code, f"the engine gave back {code}"))
