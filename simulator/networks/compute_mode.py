"""How passes through networks are computed for gradients: a choice of speed. What comes out agrees within rounding.

precision   "float32", or "bfloat16": the factors of matrix products are rounded to bfloat16 where the machine
            multiplies such numbers faster (CPUs with AMX; on a GPU, TF32), and products are summed in float32.
            Parameters, the optimizer, losses, what policies say and everything measured stay as they are. It was
            measured to gain a quarter at a width of 256, and nothing in small networks.
compile     "always": passes forward and backward are compiled by torch's inductor; "never"; or "auto", which compiles
            where that was measured to gain: on a CPU, a step takes a twentieth to a quarter less, and compiling takes
            half a minute or more for each shape of a stack, so runs must be LONG. On a GPU nothing was gained.

Both are of [train], so proxies and references know neither. Tolerance, from the same parameters and relative to the
Euclidean norm of the eager float32 gradient: 1e-4 compiled; 0.2 in bfloat16, where batches of ordinary size were off by
0.03 to 0.07. In bfloat16 the machine's kernels round differently in stacks of different sizes, so a run depends on its
stack, within the same tolerance. Rounding grows along training, as it does between two machines.
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

Precision = Literal["float32", "bfloat16"]
Compile = Literal["auto", "never", "always"]


@dataclass(frozen=True, kw_only=True)
class Computing:
    """The precision of products, and whether passes are compiled."""

    precision: Precision = "float32"
    compiled: bool = False


EAGER = Computing()
LONG = 50_000  # steps
_HOW = ContextVar("how", default=EAGER)


def computing_on(precision: Precision, compiling: Compile, steps: int, device: torch.device) -> Computing:
    """What `train.precision` and `train.compile` come to for runs of `steps` steps on a device. Raises ValueError.

    It does not ask how many runs there are, nor how they are stacked.
    """
    wanted = compiling == "always" or (compiling == "auto" and steps >= LONG and device.type == "cpu")
    possible = wanted and can_compile(device)
    if compiling == "always" and not possible:
        missing = "a C++ compiler (g++, clang++ or what CXX names)" if device.type == "cpu" else "triton"
        raise ValueError(f'train.compile (="always") needs {missing}, and none is found; use "auto" or "never"')
    return Computing(precision=precision, compiled=possible)


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
