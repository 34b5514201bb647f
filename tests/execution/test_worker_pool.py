"""Processes that work on stacks: what ends them, and what replaces them."""

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from simulator import StorageError, Sweep, run_sweep
from simulator.execution.jobs.job_queue import OutsideError, in_process
from simulator.execution.jobs.retry import Job
from simulator.execution.local.worker_pool import start_worker, workers_on
from simulator.storage.layout import ResultFolder
from simulator.sweeps.grid import expand
from tests.conftest import heard, small_sweep

TINY = {"loss": ["logistic", "hinge"], "beta": [0.1, 1.0], "seeds": 2}
SHORT = {"steps": 6, "checkpoints": 3}
STACK = Job(kind="runs", indices=(3, 4, 5, 6, 7))


def tiny(**grid: object) -> Sweep:
    return small_sweep(sweep=TINY | grid, train=SHORT)


def no_watch(run_steps: int, runs: int, worked: bool) -> None:
    pass


def test_what_comes_from_outside_ends_the_sweep_and_says_where(tmp_path: Path) -> None:
    done: list[Job] = []

    def do(job: Job, tick: Callable[[int], None], found: Callable[[int], None]) -> None:
        done.append(job)
        raise StorageError(f"{tmp_path}: cannot be written (full); make room there")

    with pytest.raises(OutsideError, match="make room there"):
        in_process(do)([STACK, STACK], no_watch)
    assert done == [STACK]


def folder_of(sweep: Sweep, path: Path) -> ResultFolder:
    """A folder for the sweep, in which nothing is trained yet."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch, heard():
        patch.setattr("simulator.execution.jobs.stack_job.finish_stack", interrupt)
        with pytest.raises(KeyboardInterrupt):
            run_sweep(sweep, path, workers=1)
    folder = ResultFolder(path=path)
    for part in folder.parts.iterdir():  # what is known of all stacks, and no stack
        part.unlink()
    return folder


def jobs_of(sweep: Sweep) -> list[Job]:
    """The runs of each number of pairs."""
    runs = expand(sweep)
    pairs = dict.fromkeys(run.settings.data.pairs for run in runs)
    alike = [tuple(i for i, run in enumerate(runs) if run.settings.data.pairs == count) for count in pairs]
    return [Job(kind="runs", indices=places) for places in alike]


@pytest.mark.slow
def test_a_place_in_the_way_is_named_by_the_workers(tmp_path: Path) -> None:
    sweep = tiny(**{"data.pairs": [16, 32]})
    folder = folder_of(sweep, tmp_path)
    folder.parts.rmdir()
    folder.parts.write_text("in the way")
    with (
        workers_on(folder, 2, 1e9) as execute,
        pytest.raises(OutsideError, match=r"parts.*cannot be written \(Not a dir"),
    ):
        execute(jobs_of(sweep), no_watch)


def children() -> list[int]:
    """Processes of this one."""
    path = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children")
    if not path.exists():
        pytest.skip("needs /proc")
    return [int(pid) for pid in path.read_text().split()]


def test_a_worker_that_dies_is_replaced_and_its_stack_run_once_more(tmp_path: Path) -> None:
    sweep = tiny(**{"data.pairs": [16, 32, 48]})
    folder, killed = folder_of(sweep, tmp_path), []
    before = set(children())

    def kill_one(run_steps: int, runs: int, worked: bool) -> None:
        if not killed:
            killed.append(next(pid for pid in children() if pid not in before))
            os.kill(killed[0], signal.SIGKILL)

    with heard() as warned, workers_on(folder, 2, 1e9) as execute:
        failed = execute(jobs_of(sweep), kill_one)
    assert failed == {}
    assert len(list(folder.parts.glob("*.sha256"))) == 3
    assert any("exit code -9, perhaps for want of memory; it is run once more" in said for said in warned)


@pytest.mark.slow
def test_a_worker_that_dies_while_idle_is_replaced(tmp_path: Path) -> None:
    sweep = tiny(**{"data.pairs": [16, 32]})
    folder, before = folder_of(sweep, tmp_path), set(children())
    with heard(), workers_on(folder, 2, 1e9) as execute:
        assert execute(jobs_of(sweep)[:1], no_watch) == {}
        for pid in set(children()) - before:
            os.kill(pid, signal.SIGKILL)
        assert execute(jobs_of(sweep)[1:], no_watch) == {}
    assert len(list(folder.parts.glob("*.sha256"))) == 2


def test_workers_end_when_nobody_hands_out_jobs(tmp_path: Path) -> None:
    worker = start_worker(folder_of(tiny(), tmp_path), 1e9, None)
    assert worker.stdin is not None
    assert worker.stdout is not None
    print(json.dumps({"kind": "runs", "places": [0]}), file=worker.stdin, flush=True)
    worker.stdin.close()
    worker.wait(timeout=60)
    worker.stdout.close()
    assert not list((tmp_path / "parts").glob("*.partial"))
