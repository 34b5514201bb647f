"""The grid, the names of runs, and the cut into stacks."""

import pytest

from simulator.common.identity import digest
from simulator.settings.run import axis_column
from simulator.sweeps.grid import expand
from simulator.sweeps.stacking import STACK_LIMIT, best_size, stack_size, stacks
from tests.conftest import small_sweep


def test_the_grid_is_the_product_of_its_axes() -> None:
    sweep = small_sweep(sweep={"loss": ["hinge", "squared"], "data.pairs": [16, 32], "gold.seed": [0, 1, 2]})
    runs = expand(sweep)
    assert len(runs) == sweep.sweep.runs == 2 * 3 * 3 * 2 * 3
    points = {(r.loss, r.beta, r.seed, r.settings.data.pairs, r.settings.gold.seed) for r in runs}
    assert len(points) == len({run.run_id for run in runs}) == len(runs)


def test_names_follow_from_settings_and_ignore_rounding() -> None:
    first, second = (expand(small_sweep(sweep={"beta": [beta], "seeds": 1}))[0] for beta in (0.3, 0.1 + 0.2))
    assert first.run_id == second.run_id
    other = expand(small_sweep(sweep={"beta": [0.3], "seeds": 1}, train={"steps": 41}))[0]
    assert other.run_id != first.run_id
    assert digest({"a": 1, "b": [1.0, "x"]}) == digest({"b": (1.0, "x"), "a": 1})


def test_every_run_is_in_one_stack_with_its_like() -> None:
    runs = expand(small_sweep(sweep={"data.pairs": [16, 32], "train.learning_rate": [0.1, 0.01], "seeds": 5}))
    cut = stacks(runs, {run.stack_key: STACK_LIMIT for run in runs})
    assert sorted(run.run_id for stack in cut for run in stack) == sorted(run.run_id for run in runs)
    for stack in cut:
        assert len(stack) <= STACK_LIMIT
        assert len({run.settings.data.pairs for run in stack}) == 1
        losses = [run.loss for run in stack]
        assert losses == sorted(losses)
    assert any(len({run.settings.train.learning_rate for run in stack}) == 2 for stack in cut)


def test_large_runs_stack_less() -> None:
    big = small_sweep(policy={"width": 512, "layers": 12}, data={"pairs": 512}, train={"batch": 512})
    small, large = (stack_size(expand(sweep)[0]) for sweep in (small_sweep(), big))
    assert small == STACK_LIMIT
    assert large == 1
    sizes = [best_size(10**places) for places in range(9)]
    assert sizes == sorted(sizes, reverse=True)
    assert (sizes[0], sizes[-1]) == (STACK_LIMIT, 1)


@pytest.mark.parametrize(
    ("axis", "column"),
    [
        ("data.pairs", "pairs"),
        ("data.label_noise", "label_noise"),
        ("gold.seed", "gold_seed"),
        ("world.language.slip", "world_language_slip"),
        ("train.steps", "train_steps"),
    ],
)
def test_columns_of_axes(axis: str, column: str) -> None:
    assert axis_column(axis) == column
