"""A run on the whole population is there once, since no seed has part in it; but for losses that draw prompts."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import simulator as sim
from simulator import ConfigError, Sweep, run_sweep
from simulator.joining.grids import grown
from simulator.joining.part import parse_part
from simulator.objectives import OBJECTIVES
from simulator.sweeps.grid import expand
from tests.conftest import small_sweep
from tests.helpers.tilted_worlds import laws, tilted_world
from tests.joining.test_join import join


def sweep_with(**grid: Any) -> Sweep:
    lists = {"loss": ["logistic", "vpo"], "beta": [0.1, 1.0], "seeds": 3, "data.population": [False, True]}
    tables = {"world": {"prompts": 2}, "train": {"steps": 4}, "policy": {"kind": "tabular"}}
    return small_sweep(sweep={**lists, **grid}, **tables)


def seeds_of(sweep: Sweep, loss: str | None, population: bool) -> list[int]:
    runs = [run for run in expand(sweep) if run.loss == loss and run.settings.data.population == population]
    return sorted({run.seed for run in runs})


@pytest.mark.parametrize("seeds", [1, 3, (4, 7)])
def test_the_population_has_one_run_whatever_seeds_are(seeds: Any) -> None:
    sweep = sweep_with(seeds=seeds)
    assert seeds_of(sweep, "logistic", True) == [0]
    for loss, population in (("logistic", False), ("vpo", False), ("vpo", True)):
        assert seeds_of(sweep, loss, population) == list(sweep.sweep.seed_values)
    each = len(sweep.sweep.seed_values)
    assert len(expand(sweep)) == 2 * (1 + 3 * each)
    by_chosen = sweep_with(seeds=seeds, **{"objective.vpo.calibration": "chosen"})
    assert seeds_of(by_chosen, "vpo", True) == [0]  # an average over the pairs themselves


def test_methods_that_learn_from_no_pairs_have_all_seeds() -> None:
    """A planted error is drawn by the seed, whatever pairs others learn from."""
    sweep = small_sweep(
        sweep={"method": ["gibbs"], "seeds": 3},
        data={"population": True},
        proxy={"kind": "planted", "error": "gaussian"},
    )
    assert {run.seed for run in expand(sweep)} == {0, 1, 2}


@pytest.mark.slow("every loss")
@pytest.mark.filterwarnings("ignore:loss discopop")
@pytest.mark.parametrize(
    "names", [pytest.param(("logistic", "dpop", "vpo"), id="some"), pytest.param(tuple(OBJECTIVES), id="every loss")]
)
def test_seeds_make_no_difference_but_where_prompts_are_drawn(names: tuple[str, ...]) -> None:
    """By training: to the bit with every loss that takes the expectation over pairs."""
    world = tilted_world("tabular", data__population=True, world__response_length=1, world__prompts=8)
    pairs, alike, apart = world.preferences(), [], []
    for name in names:
        try:
            made = [sim.train(world, pairs, loss=name, beta=0.5, seed=seed, steps=3) for seed in (0, 5)]
        except ConfigError:
            continue  # has no expectation over pairs
        one, other = (laws(world, policies) for policies in made)
        (alike if np.array_equal(one, other) else apart).append(name)
    assert apart == ["vpo"]
    assert {"logistic", "dpop"} <= set(alike)


def test_grown_and_parted_sweeps_have_it_once() -> None:
    held, asked = sweep_with(seeds=(4, 5)), sweep_with(seeds=(0, 1))
    before, after = ({run.run_id for run in expand(each)} for each in (held, grown(held, asked)))
    assert before < after
    assert {run.run_id for run in expand(asked)} < after
    runs = expand(asked)
    parts = [parse_part(f"{number}/3").runs(runs) for number in (1, 2, 3)]
    assert sorted(run.run_id for part in parts for run in part) == sorted(run.run_id for run in runs)


@pytest.mark.long_only
@pytest.mark.slow
def test_folders_of_different_seeds_are_joined(tmp_path: Path) -> None:
    few = {"loss": "logistic", "beta": 0.1}
    some = [run_sweep(sweep_with(seeds=one, **few), tmp_path / f"{i}", workers=1) for i, one in enumerate(([2, 1], 1))]
    whole = run_sweep(sweep_with(**few), tmp_path / "whole", workers=1)
    joined = join(*some, out=tmp_path / "joined")
    assert (joined / "curves.parquet").read_bytes() == (whole / "curves.parquet").read_bytes()
    names = [list(pd.read_parquet(folder / "runs.parquet")["run_id"]) for folder in (joined, whole)]
    assert names[0] == names[1] == [run.run_id for run in expand(sweep_with(**few))]
    assert len(names[0]) == 4  # three of drawn pairs
