"""Sweeps in processes of their own that die, or meet a disk that fails, at a chosen moment.

The processes are forked from a server that has imported everything, so that each starts at once.
"""

import builtins
import errno
import io
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
SERVER.set_forkserver_preload(["tests.helpers.fault_injection", "simulator.execution.run_sweep"])
FULL = "ENOSPC"
CALLS = ("fsync", "replace", "mkdir", "unlink")
SUFFIXES = (".toml", ".json", ".parquet", ".npz", ".sha256", ".safetensors", ".partial", "")  # of records
DEEP = {
    "train": {"steps": 8, "checkpoints": 3, "learning_rate": 0.01},
    "proxy": {"steps": 4, "width": 8, "members": 2},
    "best_of_n": {"largest": 16},
    "sweep": {"method": ["gpo", "rl", "best_of_n"], "loss": ["logistic", "savage"], "beta": [0.5], "seeds": 2},
}


def deep_sweep() -> Sweep:
    """Proxies, two kinds of training, and best-of-n, in stacks of their own; online, so that pairs are saved, too."""
    return small_sweep(**DEEP, online={"refresh": 5, "pairs": 8})


def steady() -> Any:
    """Stretches of training that do not depend on the clock, so that every run makes the same calls."""
    return mock.patch("simulator.engine.snapshots.time.perf_counter", return_value=0.0)


def run_it(out: Path, cache: str, fault: tuple[str, int] | None = None) -> None:
    """Run the deep sweep, saving states as often as can be; with `fault`, as `failing` has it."""
    os.environ["SIMULATOR_CACHE"] = cache
    torch.set_num_threads(1)
    with steady(), failing(*(fault or ("EIO", 0))):
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
    the middle of writing ("torn"), or the call fails with the error that `how` names; a full disk stays full. With
    "read EIO" and the like, calls that open a record to read it are counted instead. What it yields lists the calls.
    """
    calls: list[str] = []
    error, reads = how.removeprefix("read "), how.startswith("read ")

    def fails(name: str, path: str) -> bool:
        """Count a call; whether it is the one that fails."""
        calls.append(f"{name} {path}")
        full = error == FULL and len(calls) > number > 0 and name not in ("unlink", "replace")
        return len(calls) == number or full

    def fail(name: str, path: str) -> None:
        if error == "torn" and name == "open":
            Path(path).write_bytes(b"half of someth")
        if error in ("kill", "torn"):
            die()
        raise OSError(getattr(errno, error), os.strerror(getattr(errno, error)), path)

    def counted(name: str, whole: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **more: Any) -> Any:
            if not reads and fails(name, str(arguments[0])):
                fail(name, str(arguments[0]))
            return whole(*arguments, **more)

        return call

    opens = io.open

    def opening(file: Any, mode: str = "r", *more: Any, **also: Any) -> Any:
        record = isinstance(file, str | Path) and Path(file).suffix in SUFFIXES and not str(file).startswith("/proc/")
        if record and (mode[0] == "r") == reads and fails("open", str(file)):
            fail("open", str(file))
        return opens(file, mode, *more, **also)

    of_os = {name: counted(name, getattr(os, name)) for name in CALLS}
    with (
        mock.patch.multiple(os, **of_os),
        mock.patch.object(builtins, "open", opening),
        mock.patch.object(io, "open", opening),
    ):
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
    names = [path.name for path in out.rglob("*") if path.name != "report.sha256" and path.parent.name != "policies"]
    names += [path.name for path in (out / "policies").glob("*.partial")]
    sealed = (out / "SHA256SUMS").read_text()
    names += [path.name for path in (out / "policies").glob("*.safetensors") if path.name not in sealed]
    return [name for name in names if name.endswith((".partial", ".safetensors", ".lock", ".sha256"))]
