"""Workers that are copies of the command's process: the same records as by others, and none is left behind.

A process of tests has threads of its own, so each program here is another process.
"""

import json
import os
import shlex
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch

from simulator import Sweep, run_sweep
from simulator.common.signals import INTERRUPTED
from simulator.execution.devices import ONE_THREAD
from simulator.execution.jobs.stack_job import WorkerContext
from simulator.execution.local import copied_worker, local_workers, worker_pool
from simulator.execution.local.copied_worker import can_copy
from simulator.storage.layout import ResultFolder
from tests.conftest import ROOT, small_sweep

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are copied on Linux only")
TINY: dict[str, Any] = {
    "sweep": {"loss": ["logistic", "savage"], "beta": [0.1, 1.0], "seeds": 2, "data.pairs": [16, 32, 48]},
    "train": {"steps": 6, "checkpoints": 3},
}
PROGRAM = """
import json, os, signal, sys
from pathlib import Path
from simulator.execution.devices import ONE_THREAD
os.environ.update(ONE_THREAD)
from simulator import Sweep, run_sweep
from simulator.execution.local import copied_worker

copied, whole, config, out, does = [], copied_worker.copy_of_this, *sys.argv[1:]

def copy(*given):
    copied.append(whole(*given))
    Path(out + ".pids").write_text(json.dumps([one.process.pid for one in copied]))
    return copied[-1]

def watch(run_steps, runs, worked):
    if does and worked and copied:
        os.kill(os.getpid() if does == "die" else copied.pop(0).process.pid, signal.SIGKILL)
        globals()["does"] = ""

copied_worker.copy_of_this = copy
run_sweep(Sweep.from_toml(config), out, workers=2, copies=True, watch=watch)
print(json.dumps([one.wait(10) for one in copied]))
"""


def run_by_copies(folder: Path, sweep: Sweep, does: str = "") -> "subprocess.CompletedProcess[str]":
    config = folder / "sweep.toml"
    config.write_text(sweep.to_toml())
    command = [sys.executable, "-c", PROGRAM, str(config), str(folder / "copies"), does]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)


def curves(folder: Path) -> bytes:
    return (folder / "curves.parquet").read_bytes()


@pytest.mark.slow
def test_copies_leave_the_records_of_other_workers(tmp_path: Path) -> None:
    sweep = small_sweep(**TINY)
    done = run_by_copies(tmp_path, sweep)
    assert done.stderr == ""
    assert json.loads(done.stdout) == [INTERRUPTED, INTERRUPTED]  # they were asked to stop, and did
    run_sweep(sweep, tmp_path / "alone", workers=1)
    assert curves(tmp_path / "copies") == curves(tmp_path / "alone")


@pytest.mark.slow
def test_a_copy_that_is_killed_is_replaced(tmp_path: Path) -> None:
    sweep = small_sweep(**TINY)
    done = run_by_copies(tmp_path, sweep, "kill a copy")
    assert "exit code -9, perhaps for want of memory; it is run once more" in done.stderr
    assert json.loads(done.stdout) == [INTERRUPTED]
    run_sweep(sweep, tmp_path / "alone", workers=1)
    assert curves(tmp_path / "copies") == curves(tmp_path / "alone")


@pytest.mark.slow
def test_copies_end_with_the_process_that_hands_out_jobs(tmp_path: Path) -> None:
    sweep = small_sweep(**TINY)
    assert run_by_copies(tmp_path, sweep, "die").returncode == -9
    left = json.loads((tmp_path / "copies.pids").read_text())
    assert len(left) == 2
    until = time.monotonic() + 60
    while any(Path(f"/proc/{pid}").exists() for pid in left):
        assert time.monotonic() < until
        time.sleep(0.05)
    run_sweep(sweep, tmp_path / "copies", workers=1)  # nobody holds the folder, and the rest is run
    run_sweep(sweep, tmp_path / "alone", workers=1)
    assert curves(tmp_path / "copies") == curves(tmp_path / "alone")


def test_where_a_process_is_not_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threading, "active_count", lambda: 1)
    for name, value in ONE_THREAD.items():
        monkeypatch.setenv(name, value)
    assert can_copy()
    changes: dict[str, tuple[Any, str, Any]] = {
        "a library may have threads": (os, "environ", {**os.environ, "OMP_NUM_THREADS": "2"}),
        "another thread, as in a notebook": (threading, "active_count", lambda: 2),
        "a GPU": (torch.accelerator, "is_available", lambda: True),
        "another system": (copied_worker, "sys", SimpleNamespace(platform="darwin")),
    }
    for why, change in changes.items():
        with monkeypatch.context() as patch:
            patch.setattr(*change)
            assert not can_copy(), why
    assert can_copy()


def test_where_copies_cannot_be_made_workers_are_started(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second copy fails: the first is kept, and ends with the others."""
    made: list[str] = []
    ended: list[str] = []

    def make(kind: str) -> Any:
        if kind == "copy" and "copy" in made:
            raise BlockingIOError("no more processes")
        made.append(kind)
        return SimpleNamespace(stdin=None, stdout=None, kind=kind)

    monkeypatch.setattr(worker_pool, "can_copy", lambda: True)
    monkeypatch.setattr(copied_worker, "copy_of_this", lambda *_: make("copy"))
    monkeypatch.setattr(worker_pool, "start_worker", lambda *_: make("started"))
    monkeypatch.setattr(worker_pool, "close", lambda some: ended.extend(one.kind for one in some))
    folder, context = ResultFolder(path=Path()), cast(WorkerContext, SimpleNamespace())
    with worker_pool.workers_on(folder, 3, 1e9, None, context):
        assert made == ["copy", "started", "started"]
    assert ended == made


@pytest.mark.long_only
def test_closed_streams_are_no_channel_of_a_worker(tmp_path: Path) -> None:
    """With one core there is no other process whose pipes take the numbers of standard output and error."""
    (tmp_path / "sweep.toml").write_text(small_sweep(**TINY).to_toml())
    one_core = "os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})"
    program = f"import os, sys; {one_core}; os.execv(sys.executable, sys.argv[1:])"
    command = [sys.executable, str(ROOT / "run.py"), "sweep", str(tmp_path / "sweep.toml"), "--workers", "2"]
    asked = shlex.join([sys.executable, "-c", program, *command, "--out", str(tmp_path / "out")])
    done = subprocess.run(["bash", "-c", f"{asked} <&- >&- 2>&-"], check=False, timeout=300)
    assert done.returncode == 0
    assert (tmp_path / "out" / "report.html").exists()


@pytest.mark.parametrize(
    ("loss", "gold", "copies", "copied"),
    [
        ("logistic", "motif", True, True),
        ("logistic", "motif", False, False),
        ("mine.py:f", "motif", True, False),
        ("logistic", "mine.py:f", True, False),
    ],
)
def test_code_of_the_users_own_runs_in_workers_that_were_started(
    loss: str, gold: str, copies: bool, copied: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[object] = []

    @contextmanager
    def workers_on(*arguments: object) -> Any:
        given.append(arguments[-1])
        yield None

    monkeypatch.setattr(local_workers, "workers_on", workers_on)
    sweep = Sweep.model_validate({"sweep": {"loss": loss}, "gold": {"reward": gold}})
    context: Any = SimpleNamespace(sweep=sweep, folder=None, save_every=1.0, worlds={"a": "world"})
    workers = local_workers.LocalWorkers(device=torch.device("cpu"), processes=2, memory=None, copies=copies)
    arranged: Any = SimpleNamespace(processes=2)
    with workers.executor(context, arranged, 2):
        assert context.worlds == {}
    assert given == [context if copied else None]
