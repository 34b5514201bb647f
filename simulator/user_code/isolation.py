"""Code of the user's own, shut off from everything else in its process.

What such code sets that outlives a call (torch's defaults and modes, global random numbers, the environment, the
working folder, …) is put back when the call ends, and a call that would end the process raises ExitError instead. So
nothing that one loss does reaches another run. It takes about 0.1 ms.
"""

import io
import os
import random
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

ENVIRONMENT: Any = getattr(os, "environb", os.environ)  # bytes, where the system's environment is of bytes


class ExitError(RuntimeError):
    """Code of the user's own wanted to end the process."""


@dataclass(frozen=True, kw_only=True)
class GlobalState:
    """Something global: how it is read, and how it is put back; `always` where reading does not tell all of it."""

    read: Callable[[], Any]
    restore: Callable[[Any], object]
    always: bool = False


def restore_environment(before: dict[Any, Any]) -> None:
    """Make the environment what it was."""
    for name in ENVIRONMENT.keys() - before.keys():
        del ENVIRONMENT[name]
    ENVIRONMENT.update(before)


def restore_device(before: torch.device) -> None:
    """Make the default device what it was; the CPU is the default where none is set, which costs every call less."""
    torch.set_default_device(None if before.type == "cpu" else before)


def restore_path(before: list[str]) -> None:
    """Make the import path what it was; the list itself stays."""
    sys.path[:] = before


def restore_filters(before: list[Any]) -> None:
    """Make the filters of warnings what they were."""
    warnings.filters = before


def restore_errors(before: dict[str, Any]) -> None:
    """Make what NumPy does about overflow and the like what it was."""
    np.seterr(**before)


def numpy_random() -> tuple[Any, ...]:
    """The state of NumPy's global generator, as values that can be compared."""
    name, keys, *rest = np.random.get_state()
    return name, np.asarray(keys).tobytes(), *rest


def restore_numpy_random(before: tuple[Any, ...]) -> None:
    """Make the state of NumPy's global generator what it was."""
    name, keys, *rest = before
    np.random.set_state((name, np.frombuffer(keys, dtype=np.uint32), *rest))


def seed_global_generators(number: int) -> None:
    """Put every global generator of random numbers at a place that `number` names."""
    torch.manual_seed(number)
    np.random.seed(number)
    random.seed(number)


def restore_folder(before: str) -> None:
    """Go back to a working folder, if there was one."""
    if before:
        os.chdir(before)


def working_folder() -> str:
    """The working folder; empty where it was removed."""
    try:
        return os.getcwd()
    except FileNotFoundError:
        return ""


def restore_torch_random(before: bytes) -> None:
    """Make the state of torch's global generator on the CPU what it was."""
    torch.random.set_rng_state(torch.frombuffer(bytearray(before), dtype=torch.uint8))


GLOBAL_STATES = (
    GlobalState(read=torch.get_default_dtype, restore=torch.set_default_dtype),
    GlobalState(read=torch.get_default_device, restore=restore_device, always=True),
    GlobalState(read=torch.is_grad_enabled, restore=torch.set_grad_enabled),
    GlobalState(read=torch.get_num_threads, restore=torch.set_num_threads),
    GlobalState(read=torch.get_float32_matmul_precision, restore=torch.set_float32_matmul_precision),
    GlobalState(read=torch.are_deterministic_algorithms_enabled, restore=torch.use_deterministic_algorithms),
    GlobalState(read=torch.is_anomaly_enabled, restore=torch.autograd.set_detect_anomaly),
    GlobalState(read=lambda: torch.random.get_rng_state().numpy().tobytes(), restore=restore_torch_random),
    GlobalState(read=numpy_random, restore=restore_numpy_random),
    GlobalState(read=random.getstate, restore=random.setstate),
    GlobalState(read=lambda: dict(ENVIRONMENT), restore=restore_environment),
    GlobalState(read=working_folder, restore=restore_folder),
    GlobalState(read=np.geterr, restore=restore_errors),
    GlobalState(read=lambda: list(sys.path), restore=restore_path),
    GlobalState(read=lambda: list(warnings.filters), restore=restore_filters),
)


def refuse_exit(code: int = 0) -> None:
    """What stands in for os._exit."""
    raise ExitError(f"it calls os._exit({code}), which would end the whole sweep")


def refuse_abort() -> None:
    """What stands in for os.abort."""
    raise ExitError("it calls os.abort(), which would end the whole sweep")


@contextmanager
def isolated() -> Iterator[None]:
    """Whatever the block sets globally is put back; it cannot end the process."""
    before = [part.read() for part in GLOBAL_STATES]
    exits = {"_exit": os._exit, "abort": os.abort}
    streams = {"stdin": sys.stdin, "stdout": sys.stdout, "stderr": sys.stderr}
    vars(os).update(_exit=refuse_exit, abort=refuse_abort)
    sys.stdin = io.StringIO()  # nobody types for a loss
    try:
        yield
    finally:
        vars(os).update(exits)
        vars(sys).update(streams)
        for part, value in zip(GLOBAL_STATES, before, strict=True):
            if part.always or part.read() != value:
                part.restore(value)
