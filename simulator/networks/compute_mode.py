"""How passes through networks are computed: a choice of speed. What comes out agrees within rounding.

engine      "native": the compiled engine (`simulator/native`), which is there where the package found a C++ compiler
            when it was installed; "torch"; or "auto", the compiled engine where it is there and applies: on a CPU, in
            float32, for widths that are multiples of 16. What it gains is in
            benchmarks/RESULTS.md. Worlds with
            their references, gold and pairs, and proxies, know no [train]: they are made as by "auto".
precision   "float32", or "bfloat16": the factors of matrix products are rounded to bfloat16 where the machine
            multiplies such numbers faster (CPUs with AMX; on a GPU, TF32), and products are summed in float32.
            Parameters, the optimizer, losses, what policies say and everything measured stay as they are. It was
            measured to gain a quarter at a width of 256 over float32 by torch, and nothing in small networks.
compile     "always": passes forward and backward are compiled by torch's inductor; "never"; or "auto", which compiles
            where that was measured to gain: where torch computes on a CPU, a step takes a twentieth to a quarter less,
            and compiling takes half a minute or more for each shape of a stack, so runs must be LONG. On a GPU nothing
            was gained.

All are of [train]. bfloat16 and passes that torch compiles are torch's. Tolerance, from the same parameters and
relative to the Euclidean norm of torch's eager float32 gradient: 1e-4 by the compiled engine, and where torch compiles;
0.2 in bfloat16, where batches of ordinary size were off by 0.03 to 0.07. In bfloat16 the machine's kernels round
differently in stacks of different sizes, so a run depends on its stack, within the same tolerance. Rounding grows along
training, as it does between two machines.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Literal

from simulator.common.lazy import torch
from simulator.native import library

Precision = Literal["float32", "bfloat16"]
Compile = Literal["auto", "never", "always"]
Engine = Literal["auto", "native", "torch"]


@dataclass(frozen=True, kw_only=True)
class Computing:
    """The precision of products, whether passes are compiled by torch, and the engine that was asked for."""

    precision: Precision = "float32"
    compiled: bool = False
    engine: Engine = "auto"

    @property
    def eager(self) -> Computing:
        """The same engine in float32, without compiling: how everything is measured."""
        return Computing(engine=self.engine)


EAGER = Computing()
LONG = 50_000  # steps
_HOW = ContextVar("how", default=EAGER)


def computing_on(
    precision: Precision, compiling: Compile, engine: Engine, *, width: int, steps: int, device: torch.device
) -> Computing:
    """What `train.precision`, `compile` and `engine` come to for runs of `steps` steps on a device. Raises ValueError.

    width: of the policies. It does not ask how many runs there are, nor how they are stacked.
    """
    by_torch = engine_on(engine, precision, compiling, width=width, device=device) == "torch"
    wanted = compiling == "always" or (compiling == "auto" and by_torch and steps >= LONG and device.type == "cpu")
    possible = wanted and can_compile(device)
    if compiling == "always" and not possible:
        missing = "a C++ compiler (g++, clang++ or what CXX names)" if device.type == "cpu" else "triton"
        raise ValueError(f'train.compile (="always") needs {missing}, and none is found; use "auto" or "never"')
    return Computing(precision=precision, compiled=possible, engine=engine)


def engine_on(
    engine: Engine, precision: Precision, compiling: Compile, *, width: int, device: torch.device
) -> Literal["native", "torch"]:
    """What `train.engine` comes to for policies of this width. Raises ValueError where "native" cannot be."""
    found = library.find()
    multiple = library.WIDTHS
    reason = (
        (found.library is None and f"needs the compiled engine, and {found.why}")
        or (device.type != "cpu" and "computes on a CPU only")
        or (precision != "float32" and f'computes in float32 only, and train.precision is "{precision}"')
        or (compiling == "always" and 'cannot be combined with train.compile = "always", which is about torch')
        or (width % multiple and f"takes widths that are multiples of {multiple}, and policy.width is {width}")
    )
    if engine == "native" and reason:
        raise ValueError(f'train.engine (="native") {reason}; use "auto" or "torch"')
    return "torch" if reason or engine == "torch" else "native"


def engine_name(engine: Engine, precision: Precision, compiling: Compile, *, width: int, device: torch.device) -> str:
    """What `train.engine` comes to, as records have it: "native (avx512)", with the instruction set, or "torch"."""
    chosen = engine_on(engine, precision, compiling, width=width, device=device)
    return f"native ({library.instructions()})" if chosen == "native" else chosen


def can_compile(device: torch.device) -> bool:
    """Whether what torch compiles with is here."""
    if device.type == "cuda":
        return find_spec("triton") is not None
    return any(shutil.which(name) for name in (os.environ.get("CXX"), "g++", "clang++") if name)


def is_compiled() -> bool:
    """Whether passes are to be compiled here."""
    return _HOW.get().compiled


@contextmanager
def computing(how: Computing) -> Iterator[None]:
    """Passes are computed so while the block runs. Torch's own setting is touched for bfloat16 only.

    Raises RuntimeError where torch cannot be asked, since the caller has set the precision of single backends.
    """
    alike = _HOW.get().precision == how.precision
    before = "" if alike else torch.get_float32_matmul_precision()
    token = _HOW.set(how)
    if not alike:
        torch.set_float32_matmul_precision("medium" if how.precision == "bfloat16" else "highest")
    try:
        with library.aside(how.engine == "torch" or how != how.eager):
            yield
    finally:
        _HOW.reset(token)
        if not alike:
            torch.set_float32_matmul_precision(before)


@contextmanager
def one_thread() -> Iterator[None]:
    """Torch on one thread, so that sums round alike everywhere, and as it was afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
