"""The plan counts exactly what can be counted, and its estimates grow with the work."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from simulator.execution.planning.estimate import Plan
from simulator.sweeps.grid import expand
from simulator.sweeps.stacking import STACK_LIMIT, stacks
from tests.conftest import small_sweep
from tests.helpers.plans import plan_of


def test_counts() -> None:
    sweep = small_sweep(sweep={"data.pairs": [16, 32], "gold.seed": [0, 1, 2]})
    plan = plan_of(sweep, workers=64, memory="200GiB")
    runs = expand(sweep)
    assert (plan.runs, plan.run_steps, plan.worlds) == (324, 324 * 40, 3)
    assert plan.stacks == 6 * 11  # of the 54 runs of each kind, so that each of 64 processes has one
    assert plan.workers == 64
    few = plan_of(sweep, workers=1, memory="200GiB")
    assert few.stacks == len(stacks(runs, {run.stack_key: STACK_LIMIT for run in runs}))


@pytest.mark.slow(but="more0")
@pytest.mark.parametrize(
    "more", [{"train": {"steps": 4000}}, {"policy": {"width": 64}}, {"sweep": {"seeds": 40}}, {"train": {"batch": 48}}]
)
def test_more_work_takes_longer(more: dict[str, dict[str, object]]) -> None:
    def seconds(**tables: dict[str, object]) -> float:
        return min(plan_of(small_sweep(**tables), workers=1).seconds for _ in range(3))

    assert seconds(**more) > seconds()


def test_the_text_names_where_records_would_go() -> None:
    counts = {"runs": 1, "proxies": 0, "run_steps": 2, "stacks": 1, "worlds": 1, "workers": 1}
    plan = Plan(
        **counts,
        bytes=2**31,
        budget=2**32,
        seconds=200.0,
        engines="native (avx2)",
        policies="none",
        place="this machine",
    )
    lines = plan.lines(Path("results/x"))
    assert lines.pop(2) == "engine          native (avx2)"
    assert lines[2] == "memory          about 2.0 GiB, kept under 4.0 GiB"
    assert lines[3:5] == ["policies        none", "estimated time  about 3 min on this machine"]
    assert lines[5].endswith("would go into results/x")
    assert replace(plan, runs=2, done=1).lines(Path("results/x"))[6].endswith("of 1 runs are in results/x")


def test_planning_leaves_torch_threads_alone() -> None:
    torch.set_num_threads(2)
    try:
        plan_of(small_sweep(), workers=1)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)
