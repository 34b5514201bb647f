"""Stacks that are stopped anywhere and go on end with the same numbers, to the last bit."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import torch

import simulator as sim
from simulator.engine.recorder import Recorder
from simulator.engine.snapshots import Saver
from simulator.execution.run_stack import run_stack
from simulator.sweeps.grid import expand
from tests.conftest import heard, small_sweep
from tests.helpers.saved_states import OF, GoesOnFrom, KeepsEveryState

ONLINE = {"refresh": 7, "pairs": 12}
STACKS = {
    "six losses": {"sweep": {"beta": [0.5], "seeds": 2}},
    "adversary": {"sweep": {"loss": ["ganpo", "ganpo_l2"], "beta": [0.5], "seeds": 2}},
    "calibrated": {"sweep": {"loss": ["vpo"], "beta": [0.5], "seeds": 2}},
    "online, all": {"sweep": {"loss": ["logistic"], "beta": [0.5], "seeds": 2}, "online": ONLINE | {"keep": "all"}},
    "online, newest": {"sweep": {"loss": ["hinge"], "beta": [0.5], "seeds": 2}, "online": ONLINE | {"keep": "newest"}},
    "following": {
        "sweep": {"loss": ["logistic", "kto", "wpo"], "beta": [0.5], "seeds": 2},
        "train": {"reference_sync": 3},
        "online": ONLINE,
    },
    "ranked": {"sweep": {"loss": ["rpo_loo"], "beta": [0.5], "seeds": 2}, "online": ONLINE},
    "diverging": {"sweep": {"loss": ["exponential"], "beta": [0.1, 1e6], "seeds": 2}},
    "rloo": {"sweep": {"method": ["rl"], "seeds": 2}},
    "ppo": {"sweep": {"method": ["rl"], "seeds": 2}, "rl": {"algorithm": "ppo", "reuse": 2}},
    "grpo": {"sweep": {"method": ["rl"], "seeds": 2, "penalty": [0.3]}, "rl": {"algorithm": "grpo", "reuse": 2}},
    "reinforce_pp": {"sweep": {"method": ["rl"], "seeds": 2}, "rl": {"algorithm": "reinforce_pp", "reuse": 2}},
    "rounds": {
        "sweep": {"method": ["iterated"], "seeds": 2},
        "train": {"steps": 8, "checkpoints": 3},
        "iterated": {"rounds": 3, "start": "interpolated", "data": "sample", "proxies": "average_weights"},
    },
    "exact": {"sweep": {"method": ["rl"], "seeds": 2}, "rl": {"algorithm": "exact"}},
    "best of n": {"sweep": {"method": ["best_of_n"], "seeds": 2}},
    "optimum": {"sweep": {"method": ["gibbs"], "seeds": 2}},
}


class StoppedAfter(Saver):
    """Asks the process to stop after so many rests."""

    def __init__(self, path: Path, rests: int, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__(path=path, of=OF, every=1e9)
        self.left, self.monkeypatch = rests, monkeypatch

    def save_if_due(self, state: Callable[[], dict[str, torch.Tensor]]) -> None:
        self.left -= 1
        with self.monkeypatch.context() as patch:
            patch.setattr("simulator.common.signals.STATE.requested", self.left == 0)
            super().save_if_due(state)


@pytest.fixture(autouse=True)
def _stretches_do_not_depend_on_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simulator.engine.snapshots.time.perf_counter", lambda: 0.0)


class Stack:
    """The runs of a sweep, with their world and proxies."""

    def __init__(self, kind: str) -> None:
        sweep = sweep_of(kind)
        self.runs, lab = expand(sweep), sim.make_world(sweep)
        self.world, self.proxies = lab.simulated, []
        if any(run.cell.proxies for run in self.runs):
            seeds = {run.seed for run in self.runs}
            trained = {seed: sim.train_proxy(lab, lab.preferences(seed=seed), seed=seed) for seed in seeds}
            self.proxies = [trained[run.seed].ensemble for run in self.runs]

    def curves(self, saver: Saver, **more: Callable[..., None]) -> pd.DataFrame:
        """Its rows of curves, columns by name; what is gone on from has them in another order."""
        curves = run_stack(self.runs, self.world, self.proxies, Recorder(saver=saver, **more))
        return curves.sort_index(axis="columns")

    def records(self, saver: Saver) -> dict[str, pd.DataFrame]:
        """All tables that the stack leaves."""
        tables: dict[str, pd.DataFrame] = {}
        curves = self.curves(saver, save_table=tables.__setitem__)
        return {"curves": curves, **tables}


def sweep_of(kind: str) -> sim.Sweep:
    train = {"steps": 20, "checkpoints": 4, "learning_rate": 0.01}
    fixed = {"proxy": {"steps": 10}, "best_of_n": {"largest": 8}}
    return small_sweep(**STACKS[kind] | fixed | {"train": train | STACKS[kind].get("train", {})})


def assert_same(found: dict[str, pd.DataFrame], whole: dict[str, pd.DataFrame]) -> None:
    assert found.keys() == whole.keys()
    for name, table in whole.items():
        pd.testing.assert_frame_equal(found[name], table, check_exact=True)


@pytest.mark.slow("adversary", "calibrated", "online, newest", "following", "rloo", "ppo", "reinforce_pp", "rounds")
@pytest.mark.parametrize("kind", STACKS)
def test_a_stack_that_was_stopped_at_any_rest_ends_the_same(kind: str) -> None:
    stack, saver = Stack(kind), KeepsEveryState()
    whole = stack.records(saver)
    assert (len(saver.states) > 8) == (stack.runs[0].method in ("gpo", "rl", "iterated"))  # the others save none
    for state in saver.states:
        assert_same(stack.records(GoesOnFrom(state)), whole)


def test_every_method_is_among_those_that_are_stopped() -> None:
    methods = sim.Sweep.model_json_schema()["$defs"]["Grid"]["properties"]["method"]["items"]["enum"]
    assert len(methods) > 3
    assert {method for kind in STACKS for method in sweep_of(kind).sweep.method} == set(methods)


def test_a_stack_that_was_stopped_again_and_again_ends_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = Stack("adversary")
    whole = stack.records(Saver())
    again: dict[str, pd.DataFrame] = {}
    stops, steps, curves = 0, [0], None
    while curves is None:
        saver = StoppedAfter(tmp_path / "state", 2, monkeypatch)
        taken: list[int] = []
        try:
            curves = stack.curves(saver, progress=taken.append, resumed=taken.append, save_table=again.__setitem__)
        except KeyboardInterrupt:
            stops += 1
            assert stops < 30
        steps.append(sum(taken))
    assert stops > 2
    assert steps == sorted(steps)
    assert steps[-1] == 20
    assert_same({"curves": curves, **again}, whole)


@pytest.mark.parametrize("first", [1, 3, 1000])
def test_how_steps_are_cut_changes_nothing(first: int) -> None:
    stack = Stack("diverging")
    curves = stack.curves(Saver(stretch=first))
    pd.testing.assert_frame_equal(curves, stack.curves(Saver()), check_exact=True)
    assert (curves["status"] == "diverged").any()


def test_a_disk_that_takes_no_state_does_not_end_training(tmp_path: Path) -> None:
    stack = Stack("six losses")
    with heard() as told:
        curves = stack.curves(Saver(path=tmp_path / "gone" / "state", of=OF, every=0.0))
    assert "training goes on, and would lose more if it were killed" in told[0]
    pd.testing.assert_frame_equal(curves, stack.curves(Saver()), check_exact=True)
