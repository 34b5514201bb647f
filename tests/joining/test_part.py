"""The parts of a sweep are its runs, each once, of about equal work."""

import pytest

from simulator import ConfigError
from simulator.joining.part import neighbours, parse_part, work_of
from simulator.sweeps.grid import expand
from tests.conftest import small_sweep


@pytest.mark.parametrize("of", [1, 2, 5, 54, 108])
def test_parts_have_every_run_once(of: int) -> None:
    runs = expand(small_sweep(sweep={"train.steps": [10, 400]}))
    parts = [parse_part(f"{number}/{of}").runs(runs) for number in range(1, of + 1)]
    assert sorted(run.run_id for part in parts for run in part) == sorted(run.run_id for run in runs)
    assert all(parts)
    work = [sum(work_of(part)) for part in parts]
    assert max(work) <= sum(work) / of + max(work_of(runs))


def test_runs_of_one_world_and_seed_stay_together() -> None:
    runs = expand(small_sweep(sweep={"loss": ["hinge"], "beta": [0.1, 1.0], "gold.seed": [0, 1], "seeds": 4}))
    order = [(runs[at].cell.axes["gold.seed"], runs[at].seed) for at in neighbours(runs)]
    assert order == [(world, seed) for world in (0, 1) for seed in range(4) for _ in range(2)]
    half = parse_part("2/2").runs(runs)
    assert {run.cell.axes["gold.seed"] for run in half} == {1}


@pytest.mark.parametrize("text", ["3", "0/3", "4/3", "a/b", "1/0", "-1/3", "1/200000", "1.5/3", ""])
def test_what_is_no_part_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"--part .*: must be NUMBER/OF, such as 3/8"):
        parse_part(text)


def test_more_parts_than_runs_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"--part 1/55: the sweep has 54 runs, so at most 54 parts"):
        parse_part("1/55").runs(expand(small_sweep()))
