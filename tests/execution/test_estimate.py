"""The plan counts exactly what can be counted, and its estimates grow with the work."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from simulator.engine.speed import layer_cost
from simulator.execution.estimate import Plan, make_plan
from simulator.methods import METHODS
from simulator.networks.architecture import Architecture
from simulator.objectives import OBJECTIVES
from simulator.sweeps.grid import Point, expand
from simulator.sweeps.stacking import STACK_LIMIT, stacks
from simulator.worlds.footprint import measured_places
from tests.conftest import small_sweep


def test_counts() -> None:
    sweep = small_sweep(sweep={"data.pairs": [16, 32], "gold.seed": [0, 1, 2]})
    plan = make_plan(sweep, workers=64, memory="200GiB")
    runs = expand(sweep)
    assert (plan.runs, plan.run_steps, plan.worlds) == (324, 324 * 40, 3)
    assert plan.stacks == 6 * 11  # of the 54 runs of each kind, so that each of 64 processes has one
    assert plan.workers == 64
    few = make_plan(sweep, workers=1, memory="200GiB")
    assert few.stacks == len(stacks(runs, {run.stack_key: STACK_LIMIT for run in runs}))


@pytest.mark.slow(but="more0")
@pytest.mark.parametrize(
    "more", [{"train": {"steps": 4000}}, {"policy": {"width": 64}}, {"sweep": {"seeds": 40}}, {"train": {"batch": 48}}]
)
def test_more_work_takes_longer(more: dict[str, dict[str, object]]) -> None:
    def seconds(**tables: dict[str, object]) -> float:
        return min(make_plan(small_sweep(**tables), workers=1).seconds for _ in range(3))

    assert seconds(**more) > seconds()


def test_places_by_hand() -> None:
    assert measured_places(small_sweep(), 48) == 3 * (2 + 4 + 16)

    def network(method: str, name: str | None, **tables: dict[str, object]) -> tuple[int, int]:
        taken = METHODS[method].footprint(cell(name, **tables))
        return taken.sequences, taken.tokens

    assert network("gpo", "logistic") == (16, 16 * (2 + 2 * 2))
    assert network("gpo", "logistic", train={"batch": 1000}) == (48, 48 * 6)
    assert network("gpo", "rpo_loo", objective={"rpo": {"responses": 5}}) == (16, 16 * (2 + 5 * 2))
    assert network("rl", None, rl={"algorithm": "exact"}) == (3, 3 * (2 + 4 + 16))
    assert network("rl", None, rl={"algorithm": "ppo", "reuse": 4}) == (3 * 8, 3 * 8 * 4)
    assert METHODS["rl"].footprint(cell(None, rl={"algorithm": "ppo", "reuse": 4})).gradients == 4.5


def cell(name: str | None, **tables: dict[str, object]) -> Point:
    return Point(settings=small_sweep(**tables), objective=OBJECTIVES[name] if name else None)


def test_cost_is_that_of_the_matrices() -> None:
    architecture = Architecture(vocabulary=5, context=4, layers=3, width=8, heads=2)
    matrices = sum(
        rows * columns for name, (rows, columns) in architecture.shapes.items() if name not in ("token", "position")
    )
    assert layer_cost(architecture)[0] == matrices


def test_the_text_names_where_records_would_go() -> None:
    plan = Plan(runs=1, proxies=0, run_steps=2, stacks=1, worlds=1, workers=1, bytes=2**31, budget=2**32, seconds=200.0)
    lines = plan.lines(Path("results/x"))
    assert lines[2] == "memory          about 2.0 GiB, kept under 4.0 GiB"
    assert lines[3] == "estimated time  about 3 min on this machine"
    assert lines[4].endswith("would go into results/x")
    assert replace(plan, runs=2, done=1).lines(Path("results/x"))[4].endswith("of 1 runs are in results/x")


def test_planning_leaves_torch_threads_alone() -> None:
    torch.set_num_threads(2)
    try:
        make_plan(small_sweep(), workers=1)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)
