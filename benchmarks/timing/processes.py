"""Other processes, on one thread each: their time, and their memory."""

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

import psutil

ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
ROOT = Path(__file__).resolve().parents[2]
STATUS = Path("/proc/self/status")


def run_python(arguments: Sequence[str], more: Mapping[str, str] | None = None) -> str:
    """What Python prints, run with these arguments and with `more` in its environment.

    Raises RuntimeError with what it complained of where it fails.
    """
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    done = subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, "PYTHONPATH": path, **(more or {})},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"python {' '.join(arguments)} failed: {done.stderr[-2000:]}")
    return done.stdout


def seconds_of(commands: Sequence[Sequence[str]], at_once: int) -> float:
    """How long it takes Python to run all of these, so many at a time, on one thread each."""
    began = time.perf_counter()
    with ThreadPoolExecutor(at_once) as threads:
        for work in [threads.submit(run_python, command, ONE_THREAD) for command in commands]:
            work.result()
    return time.perf_counter() - began


def peak_bytes() -> int:
    """The most memory that this process has had.

    Where Linux tells the peak of the program itself it is preferred: ru_maxrss begins with that of whoever started it.
    """
    try:
        lines = STATUS.read_text(encoding="utf-8").splitlines()
        [line] = [line for line in lines if line.startswith("VmHWM:")]
        return int(line.split()[1]) * 1024
    except (OSError, ValueError):
        return peak_by_the_system()


def peak_by_the_system() -> int:
    """The same, as the system tells it where there is no STATUS."""
    if find_spec("resource") is None:  # on Windows
        return int(psutil.Process().memory_info().peak_wset)
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
