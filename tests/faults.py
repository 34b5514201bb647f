"""Sweeps in processes of their own that die, or meet a disk that fails, at a chosen moment.

The processes are forked from a server that has imported everything, so that each starts at once.
"""

import builtins
import errno
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any
from unittest import mock

import pandas as pd
import torch

from simulator import Sweep, run_sweep
from tests.conftest import small_sweep

SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(["tests.faults", "simulator.sweep"])
FULL = "ENOSPC"
CALLS = ("fsync", "replace", "mkdir", "unlink")
DEEP = {
    "train": {"steps": 24, "checkpoints": 4, "learning_rate": 0.01},
    "proxy": {"steps": 12, "width": 8, "members": 2},
    "best_of_n": {"largest": 16},
    "sweep": {"method": ["gpo", "rl", "best_of_n"], "loss": ["logistic", "savage"], "beta": [0.5], "seeds": 2},
}


def deep_sweep() -> Sweep:
    """Proxies, two kinds of training, and best-of-n, in stacks of their own; online, so that pairs are saved, too."""
    return small_sweep(**DEEP, online={"refresh": 9, "pairs": 8})


def run_it(out: Path, cache: str, fault: tuple[str, int] | None = None) -> None:
    """Run the deep sweep, saving states as often as can be; with `fault`, as `failing` has it."""
    os.environ["SIMULATOR_CACHE"] = cache
    torch.set_num_threads(1)
    if fault is None:
        run_sweep(deep_sweep(), out, workers=1, save_every=0.0)
    else:
        with failing(*fault):
            run_sweep(deep_sweep(), out, workers=1, save_every=0.0)


def started(out: Path, fault: tuple[str, int] | None = None) -> BaseProcess:
    """`run_it` in a process of its own."""
    process = SERVER.Process(target=run_it, args=(out, os.environ["SIMULATOR_CACHE"], fault))
    process.start()
    return process


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@contextmanager
def failing(how: str, number: int) -> Iterator[list[str]]:
    """At the call of that number to the file system that could change something: the process is killed before it, or in
    the middle of writing ("torn"), or the call fails with the error that `how` names; a full disk stays full. What it
    yields lists the calls.
    """
    calls: list[str] = []

    def counted(name: str, whole: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **more: Any) -> Any:
            path = str(arguments[0])
            if name == "open" and not (len(arguments) > 1 and "w" in str(arguments[1])):
                return whole(*arguments, **more)
            calls.append(f"{name} {path}")
            full = how == FULL and len(calls) > number > 0 and name not in ("unlink", "replace")
            if len(calls) != number and not full:
                return whole(*arguments, **more)
            if how == "torn" and name == "open":
                Path(path).write_bytes(b"half of someth")
            if how in ("kill", "torn"):
                die()
            raise OSError(getattr(errno, how), os.strerror(getattr(errno, how)), path)

        return call

    of_os = {name: counted(name, getattr(os, name)) for name in CALLS}
    with mock.patch.multiple(os, **of_os), mock.patch.object(builtins, "open", counted("open", open)):
        yield calls


def unreadable(out: Path) -> list[Path]:
    """The tables in a folder, or in its parts, that are none."""
    found = []
    for path in out.rglob("*.parquet"):
        try:
            pd.read_parquet(path)
        except Exception:
            found.append(path)
    return found


def leftovers(out: Path) -> list[str]:
    """What has no place in the folder of a sweep that ended."""
    return [
        path.name for path in out.rglob("*") if path.name.endswith((".partial", ".safetensors", ".lock", ".sha256"))
    ]
