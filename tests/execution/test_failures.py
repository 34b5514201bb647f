"""Stacks that fail: which runs are to blame, and what is said of them."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from analysis.report.terminal_text import text
from simulator import Sweep, SweepError, run_sweep
from simulator.execution.jobs.stack_job import finish_proxies, finish_stack
from simulator.sweeps.grid import expand
from tests.conftest import heard, small_sweep

TINY = {"loss": ["logistic", "hinge"], "beta": [0.1, 1.0], "seeds": 2}
SHORT = {"steps": 6, "checkpoints": 3}


def tiny(**grid: object) -> Sweep:
    return small_sweep(sweep=TINY | grid, train=SHORT)


def blamed_on(guilty: Callable[[Any], bool], error: BaseException) -> Callable[..., None]:
    """`finish_stack` that raises where a guilty run is in the stack."""

    def finish(stack: Sequence[Any], *more: object) -> None:
        if any(map(guilty, stack)):
            raise error
        finish_stack(stack, *more)

    return finish


def test_one_run_is_to_blame_and_the_others_finish(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sweep = tiny(**{"data.pairs": [16, 32]})
    whole = run_sweep(sweep, tmp_path / "whole", workers=1)
    order = [run.run_id for run in expand(sweep)]
    guilty = order[5]
    seen: list[tuple[int, int]] = []
    with monkeypatch.context() as patch, heard() as warned:
        finish = blamed_on(lambda run: run.run_id == guilty, ZeroDivisionError("nobody foresaw"))
        patch.setattr("simulator.execution.jobs.stack_job.finish_stack", finish)
        with pytest.raises(SweepError, match=r"1 of 16 runs failed(.|\n)*1 run: ZeroDivisionError: nobody foresaw"):
            run_sweep(sweep, tmp_path / "out", workers=1, watch=lambda steps, runs, _: seen.append((steps, runs)))
    assert sum(runs for _, runs in seen) == 15
    assert sum(steps for steps, _ in seen) == 15 * 6
    assert any("Traceback" in said for said in warned)
    runs = pd.read_parquet(tmp_path / "out" / "runs.parquet").set_index("run_id")
    assert runs.index.tolist() == order
    assert runs["status"].value_counts().to_dict() == {"finished": 15, "failed": 1}
    assert runs.loc[guilty, "reason"].startswith("ZeroDivisionError: nobody foresaw (test_failures.py, line")
    assert runs.loc[runs.index != guilty, "reason"].isna().all()
    assert guilty not in set(pd.read_parquet(tmp_path / "out" / "curves.parquet")["run_id"])
    assert "15 runs, none of them diverged; 1 more failed" in text(tmp_path / "out")
    again: list[int] = []
    run_sweep(sweep, tmp_path / "out", workers=1, watch=lambda steps, runs, worked: again.append(runs * worked))
    assert sum(again) == 1
    for name in ("curves", "responses", "gold_law", "margins", "ledger"):
        now, before = (folder / f"{name}.parquet" for folder in (tmp_path / "out", whole))
        assert now.read_bytes() == before.read_bytes()


def test_memory_that_runs_out_splits_the_stack_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []

    def finish(stack: Sequence[Any], *more: object) -> None:
        sizes.append(len(stack))
        if len(stack) > 3:
            raise MemoryError
        finish_stack(stack, *more)

    expected = run_sweep(tiny(), tmp_path / "whole", workers=1)
    monkeypatch.setattr("simulator.execution.jobs.stack_job.finish_stack", finish)
    with heard() as warned:
        out = run_sweep(tiny(), tmp_path / "out", workers=1)
    assert sizes == [8, 4, 2, 2, 4, 2, 2]
    assert "a stack of 8 runs: memory ran out; it goes on in two halves" in warned
    assert (out / "curves.parquet").read_bytes() == (expected / "curves.parquet").read_bytes()


def test_a_proxy_that_fails_takes_only_its_runs_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sweep = small_sweep(sweep={"method": ["best_of_n"], "seeds": 3}, proxy={"steps": 10}, best_of_n={"largest": 4})

    def finish(stack, *more: object) -> None:
        if any(member.seed == 1 for member in stack):
            raise ArithmeticError("no")
        finish_proxies(stack, *more)

    monkeypatch.setattr("simulator.execution.jobs.stack_job.finish_proxies", finish)
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
