"""Stacks that fail: what is tried next, which runs are to blame, and what is said of them."""

import errno
import json
import os
import signal
from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd
import pytest
import torch

import simulator.execution.stack_job
from analysis.report.terminal_text import text
from simulator import ConfigError, Sweep, SweepError, run_sweep
from simulator.common.atomic_files import StorageError
from simulator.execution.prepare import examine_worlds, write_start_files
from simulator.execution.retry import Failure, Job, failure_of, failure_of_dead_process, next_try, retry_message
from simulator.execution.worker_pool import OutsideError, in_process, workers_on
from simulator.settings.run import Run
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


@pytest.mark.parametrize(
    ("error", "cause", "said"),
    [
        (MemoryError(), "memory", "memory ran out"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), "memory", "memory ran out"),
        (torch.OutOfMemoryError("CUDA out of memory"), "memory", "memory ran out"),
        (StorageError("x: cannot be written (full); make room there"), "outside", "x: cannot be written"),
        (FileNotFoundError(errno.ENOENT, "No such file", "proxies/a.npz"), "outside", "proxies/a.npz"),
        (ConfigError("sweep.loss = a.py:f: raises"), "inside", "sweep.loss = a.py:f: raises"),
        (ZeroDivisionError("by zero\nsecond line"), "inside", "ZeroDivisionError: by zero"),
        (RuntimeError("shapes"), "inside", "RuntimeError: shapes"),
        (SystemExit(3), "inside", "SystemExit: 3"),
    ],
)
def test_what_an_error_means(error: Exception, cause: str, said: str) -> None:
    found = failure_of(error)
    assert found.cause == cause
    assert said in found.text
    assert "\n" not in found.text


@pytest.mark.parametrize("cause", ["memory", "inside"])
def test_a_stack_goes_on_in_halves_down_to_single_runs(cause: str) -> None:
    failure, jobs, singles = Failure(cause=cause, text="it"), [STACK], []
    while jobs:
        then = next_try(jobs[0], failure)
        singles += [] if then else [jobs[0].indices]
        assert sorted(place for job in then for place in job.indices) == (list(jobs[0].indices) if then else [])
        jobs = [*jobs[1:], *then]
    assert sorted(singles) == [(3,), (4,), (5,), (6,), (7,)]


def test_a_process_that_died_is_given_its_stack_once_more() -> None:
    (again,) = next_try(STACK, failure_of_dead_process(-9))
    assert again.indices == STACK.indices
    assert [job.indices for job in next_try(again, failure_of_dead_process(-9))] == [(3, 4), (5, 6, 7)]
    assert next_try(Job(kind="runs", indices=(1,), retried=True), failure_of_dead_process(-9)) == []
    assert "for want of memory" in retry_message(STACK, failure_of_dead_process(-9), [again])
    assert failure_of_dead_process(1).cause == "outside"


def blamed_on(guilty: Callable[[Run], bool], error: BaseException) -> Callable[..., None]:
    """`finish_stack` that raises where a guilty run is in the stack."""
    whole = simulator.execution.stack_job.finish_stack

    def finish(stack: Sequence[Run], *more: object) -> None:
        if any(map(guilty, stack)):
            raise error
        whole(stack, *more)

    return finish


def test_one_run_is_to_blame_and_the_others_finish(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sweep = tiny(**{"data.pairs": [16, 32]})
    whole = run_sweep(sweep, tmp_path / "whole", workers=1)
    guilty = expand(sweep)[5].run_id
    seen: list[tuple[int, int]] = []
    with monkeypatch.context() as patch, heard() as warned:
        finish = blamed_on(lambda run: run.run_id == guilty, ZeroDivisionError("nobody foresaw"))
        patch.setattr("simulator.execution.stack_job.finish_stack", finish)
        with pytest.raises(SweepError, match=r"1 of 16 runs failed(.|\n)*1 run: ZeroDivisionError: nobody foresaw"):
            run_sweep(sweep, tmp_path / "out", workers=1, watch=lambda steps, runs, _: seen.append((steps, runs)))
    assert sum(runs for _, runs in seen) == 15
    assert sum(steps for steps, _ in seen) == 15 * 6
    assert any("Traceback" in said for said in warned)
    runs = pd.read_parquet(tmp_path / "out" / "runs.parquet").set_index("run_id")
    assert runs.index.tolist() == [run.run_id for run in expand(sweep)]
    assert runs["status"].value_counts().to_dict() == {"finished": 15, "failed": 1}
    assert runs.loc[guilty, "reason"].startswith("ZeroDivisionError: nobody foresaw (test_worker_failures.py, line")
    assert runs.loc[runs.index != guilty, "reason"].isna().all()
    assert guilty not in set(pd.read_parquet(tmp_path / "out" / "curves.parquet")["run_id"])
    assert "15 runs, 0 of them diverged; 1 more failed" in text(tmp_path / "out")
    again: list[int] = []
    run_sweep(sweep, tmp_path / "out", workers=1, watch=lambda steps, runs, worked: again.append(runs * worked))
    assert sum(again) == 1
    for name in ("curves", "responses", "gold_law", "margins"):
        now, before = (folder / f"{name}.parquet" for folder in (tmp_path / "out", whole))
        assert now.read_bytes() == before.read_bytes()


def test_memory_that_runs_out_splits_the_stack_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, sizes = simulator.execution.stack_job.finish_stack, []

    def finish(stack: Sequence[Run], *more: object) -> None:
        sizes.append(len(stack))
        if len(stack) > 3:
            raise MemoryError
        whole(stack, *more)

    expected = run_sweep(tiny(), tmp_path / "whole", workers=1)
    monkeypatch.setattr("simulator.execution.stack_job.finish_stack", finish)
    with heard() as warned:
        out = run_sweep(tiny(), tmp_path / "out", workers=1)
    assert sizes == [8, 4, 2, 2, 4, 2, 2]
    assert "a stack of 8 runs: memory ran out; it goes on in two halves" in warned
    assert (out / "curves.parquet").read_bytes() == (expected / "curves.parquet").read_bytes()


def test_a_proxy_that_fails_takes_only_its_runs_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sweep = small_sweep(sweep={"method": ["best_of_n"], "seeds": 3}, proxy={"steps": 10}, best_of_n={"largest": 4})
    whole = simulator.execution.stack_job.finish_proxies

    def finish(stack, *more: object) -> None:
        if any(member.seed == 1 for member in stack):
            raise ArithmeticError("no")
        whole(stack, *more)

    monkeypatch.setattr("simulator.execution.stack_job.finish_proxies", finish)
    with heard(), pytest.raises(SweepError, match="1 run: a proxy that it needs could not be trained: ArithmeticError"):
        run_sweep(sweep, tmp_path / "out", workers=1)
    runs = pd.read_parquet(tmp_path / "out" / "runs.parquet").set_index("seed")["status"]
    assert runs.to_dict() == {0: "finished", 1: "failed", 2: "finished"}


@pytest.mark.slow
def test_a_loss_of_ones_own_that_raises_midway_fails_alone(tmp_path: Path) -> None:
    source = "def f(z):\n    if z.abs().max() > 30:\n        raise ValueError('too far')\n    return (z - 1) ** 2\n"
    (tmp_path / "mine.py").write_text(source)
    config = tmp_path / "mine.toml"
    lines = "loss = ['mine.py:f', 'hinge']\nbeta = [0.01, 1e4]\nseeds = 2\n"
    world = "[world]\nvocabulary = 4\nresponse_length = 3\nprompts = 3\n[reference]\nsteps = 300\n"
    config.write_text(f"[sweep]\n{lines}{world}[train]\nsteps = 20\ncheckpoints = 3\n")
    for workers in (1, 2):
        out = tmp_path / f"out{workers}"
        with heard(), pytest.raises(SweepError, match=r"2 of 8 runs failed(.|\n)*2 runs: .*too far"):
            run_sweep(Sweep.from_toml(config), out, workers=workers)
        runs = pd.read_parquet(out / "runs.parquet").set_index(["loss", "beta"])["status"]
        assert set(runs.loc["mine.py:f", 1e4]) == {"failed"}
        assert (runs.drop(("mine.py:f", 1e4)) == "finished").all()


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
    folder, runs = ResultFolder(path=path), expand(sweep)
    _, facts, _ = examine_worlds(sweep, runs, torch.device("cpu"))
    write_start_files(folder, sweep, runs, facts)
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
    from simulator.execution.worker_pool import start_worker

    worker = start_worker(folder_of(tiny(), tmp_path), 1e9, None)
    assert worker.stdin is not None
    assert worker.stdout is not None
    print(json.dumps({"kind": "runs", "places": [0]}), file=worker.stdin, flush=True)
    worker.stdin.close()
    worker.wait(timeout=60)
    worker.stdout.close()
    assert not list((tmp_path / "parts").glob("*.partial"))
