"""Keys that no run of a sweep reads are reported, and those that some run reads are not."""

from typing import Any

import pytest

from simulator.sweeps.cautions import cautions
from simulator.sweeps.grid import expand
from tests.conftest import small_sweep


def said(**tables: Any) -> list[str]:
    sweep = small_sweep(**tables)
    return cautions(sweep, expand(sweep))


@pytest.mark.parametrize(
    ("tables", "sentence"),
    [
        (
            {"train": {"weight_decay": 0.5}},
            'train.weight_decay = 0.5: no run of this sweep reads it; only train.optimizer = "adamw" does',
        ),
        (
            {"objective": {"kto": {"desirable": 2.0}}},
            "objective.kto.desirable = 2.0: no run of this sweep reads it; only sweep.loss kto does",
        ),
        (
            {"objective": {"conservative_dpo": {"epsilon": 0.2}}},
            "objective.conservative_dpo.epsilon = 0.2: no run of this sweep reads it; "
            "only sweep.loss conservative_dpo does",
        ),
        ({"proxy": {"members": 3}}, "proxy.members = 3: no run of this sweep reads it; only a method against proxies"),
        (
            {"rl": {"clip": 0.3}},
            'rl.clip = 0.3: no run of this sweep reads it; only sweep.method "iterated" or "rl" and rl.algorithm',
        ),
        (
            {"measure": {"samples": 5}},
            'measure.samples = 5: no run of this sweep reads it; only world.kind = "sampled"',
        ),
        ({"online": {"refresh": 1000}}, "online.refresh = 1000: no run of this sweep reads it; only sweep.method"),
        (
            {"sweep": {"penalty": [0.5]}},
            'sweep.penalty: no run of this sweep reads it; only sweep.method "iterated" or "rl" does',
        ),
        ({"sweep": {"method": ["best_of_n"]}}, "sweep.beta: no run of this sweep reads it; only sweep.method"),
        ({"sweep": {"loss": ["simper"]}}, "sweep.beta: no run of this sweep reads it; only sweep.method"),
    ],
)
def test_a_key_that_no_run_reads_is_reported(tables: dict[str, Any], sentence: str) -> None:
    found = [line for line in said(**tables) if line.startswith(sentence)]
    assert len(found) == 1, said(**tables)


def test_an_axis_that_no_run_reads_is_dropped_and_reported() -> None:
    sweep = small_sweep(sweep={"loss": ["hinge"], "seeds": 2, "train.weight_decay": [0.0, 0.1, 0.5]})
    runs = expand(sweep)
    assert len(runs) == 3 * 2
    assert all(not run.cell.axes for run in runs)
    (line,) = cautions(sweep, runs)
    assert line == (
        'sweep.train.weight_decay: no run of this sweep reads it, so it is dropped; only train.optimizer = "adamw" does'
    )
    read = small_sweep(
        sweep={"loss": ["hinge"], "seeds": 2, "train.weight_decay": [0.0, 0.5]}, train={"optimizer": "adamw"}
    )
    assert len(expand(read)) == 2 * 3 * 2
    assert cautions(read, expand(read)) == []


def test_what_is_read_is_not_reported() -> None:
    assert said() == []
    assert said(objective={"vpo": {"alpha": 0.7}}, sweep={"loss": ["vpo"]}) == []
    assert said(rl={"clip": 0.3, "algorithm": "ppo"}, sweep={"method": ["rl"], "beta": [0.1]}, train={}) != []
