"""States of a stack: a stack that is stopped anywhere and goes on ends with the same numbers, to the last bit."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from simulator import Sweep
from simulator.common import signals as interrupts
from simulator.engine.recorder import Recorder
from simulator.engine.snapshots import Saver, read_state, state_bytes, stretches
from simulator.execution.run_stack import proxies_for, run_stack
from simulator.methods import METHODS
from simulator.proxies.reward_model import members_needed
from simulator.proxies.scores import Proxy
from simulator.proxies.training import train_members
from simulator.settings.run import Run
from simulator.storage.tables import tidy
from simulator.sweeps.grid import expand
from simulator.worlds.build import build_world
from simulator.worlds.protocol import World
from tests.conftest import heard, small_sweep

OF = {"stack": "a", "torch_version": torch.__version__}
ONLINE = {"refresh": 7, "pairs": 12}
STACKS = {
    "six losses": {"sweep": {"beta": [0.5], "seeds": 2}},
    "adversary": {"sweep": {"loss": ["ganpo", "ganpo_l2"], "beta": [0.5], "seeds": 2}},
    "calibrated": {"sweep": {"loss": ["vpo"], "beta": [0.5], "seeds": 2}},
    "online, all": {"sweep": {"loss": ["logistic"], "beta": [0.5], "seeds": 2}, "online": ONLINE | {"keep": "all"}},
    "online, newest": {"sweep": {"loss": ["hinge"], "beta": [0.5], "seeds": 2}, "online": ONLINE | {"keep": "newest"}},
    "ranked": {"sweep": {"loss": ["rpo_loo"], "beta": [0.5], "seeds": 2}, "online": ONLINE},
    "diverging": {"sweep": {"loss": ["exponential"], "beta": [0.1, 1e6], "seeds": 2}},
    "rloo": {"sweep": {"method": ["rl"], "seeds": 2}},
    "ppo": {"sweep": {"method": ["rl"], "seeds": 2}, "rl": {"algorithm": "ppo", "reuse": 2}},
    "exact": {"sweep": {"method": ["rl"], "seeds": 2}, "rl": {"algorithm": "exact"}},
    "best of n": {"sweep": {"method": ["best_of_n"], "seeds": 2}},
    "optimum": {"sweep": {"method": ["gibbs"], "seeds": 2}},
}


class StoppedAfter(Saver):
    """Asks the process to stop after so many rests."""

    def __init__(self, path: Path, rests: int, **more: object) -> None:
        super().__init__(path=path, of=OF, every=1e9, **more)
        self.left = rests

    def save_if_due(self, state: Callable[[], dict[str, torch.Tensor]]) -> None:
        self.left -= 1
        interrupts.STATE.requested = self.left == 0
        try:
            super().save_if_due(state)
        finally:
            interrupts.STATE.requested = False


class KeepsEveryState(Saver):
    """Keeps the state of every rest, as the content of a file."""

    def __init__(self) -> None:
        super().__init__()
        self.states: list[bytes] = []

    def save_if_due(self, state: Callable[[], dict[str, torch.Tensor]]) -> None:
        self.states.append(state_bytes(state(), OF))


class GoesOnFrom(Saver):
    """Has one state to go on from."""

    def __init__(self, content: bytes) -> None:
        super().__init__()
        self.content = content

    def load(self) -> dict[str, torch.Tensor] | None:
        state = read_state(self.content, OF)
        assert state is not None
        return state


@pytest.fixture(autouse=True)
def _stretches_do_not_depend_on_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simulator.engine.snapshots.time.perf_counter", lambda: 0.0)


def sweep_of(kind: str) -> Sweep:
    train = {"steps": 20, "checkpoints": 4, "learning_rate": 0.01}
    return small_sweep(train=train, proxy={"steps": 10}, best_of_n={"largest": 8}, **STACKS[kind])


def proxies_of(runs: list[Run], world: World) -> list[Proxy]:
    members = members_needed(runs)
    trained = [proxy for proxy, _ in train_members(members, world, Recorder())] if members else []
    by_name = {member.name: proxy for member, proxy in zip(members, trained, strict=True)}
    return proxies_for(runs, world, by_name.__getitem__)


def records(runs: list[Run], world: World, proxies: list[Proxy], saver: Saver) -> dict[str, pd.DataFrame]:
    """All tables that a stack leaves."""
    tables: dict[str, pd.DataFrame] = {}
    curves = run_stack(runs, world, proxies, Recorder(save_table=tables.__setitem__, saver=saver))
    return {"curves": tidy(curves), **tables}


def assert_same(found: dict[str, pd.DataFrame], whole: dict[str, pd.DataFrame]) -> None:
    assert found.keys() == whole.keys()
    for name, table in whole.items():
        pd.testing.assert_frame_equal(found[name], table, check_exact=True)


@pytest.mark.parametrize("kind", STACKS)
def test_a_stack_that_was_stopped_at_any_rest_ends_the_same(kind: str) -> None:
    runs = expand(sweep_of(kind))
    world = build_world(runs[0].settings)
    proxies, saver = proxies_of(runs, world), KeepsEveryState()
    whole = records(runs, world, proxies, saver)
    assert (len(saver.states) > 8) == (runs[0].method in ("gpo", "rl"))  # the others save none
    for state in saver.states:
        assert_same(records(runs, world, proxies, GoesOnFrom(state)), whole)


def test_every_method_is_among_those_that_are_stopped() -> None:
    assert {run.method for kind in STACKS for run in expand(sweep_of(kind))} == set(METHODS)


def test_a_stack_that_was_stopped_again_and_again_ends_the_same(tmp_path: Path) -> None:
    runs = expand(sweep_of("adversary"))
    world = build_world(runs[0].settings)
    whole = records(runs, world, [], Saver())
    again: dict[str, pd.DataFrame] = {}
    stops, steps, curves = 0, [0], None
    while curves is None:
        saver = StoppedAfter(tmp_path / "state", 2)
        taken: list[int] = []
        try:
            recorder = Recorder(progress=taken.append, resumed=taken.append, save_table=again.__setitem__, saver=saver)
            curves = run_stack(runs, world, [], recorder)
        except KeyboardInterrupt:
            stops += 1
            assert stops < 30
        steps.append(sum(taken))
    assert stops > 2
    assert steps == sorted(steps)
    assert steps[-1] == 20
    assert_same({"curves": tidy(curves), **again}, whole)


def test_proxies_that_were_stopped_at_any_rest_end_the_same() -> None:
    sweep = small_sweep(sweep={"method": ["best_of_n"], "seeds": 3}, proxy={"steps": 20, "width": 8})
    members, world, saver = members_needed(expand(sweep)), build_world(sweep), KeepsEveryState()
    whole = train_members(members, world, Recorder(saver=saver))
    assert len(saver.states) > 8
    for state in saver.states:
        again = train_members(members, world, Recorder(saver=GoesOnFrom(state)))
        for (first, said), (second, told) in zip(whole, again, strict=True):
            assert torch.equal(first.parameters, second.parameters)
            assert np.array_equal(first.scores, second.scores)
            assert said == told


@pytest.mark.parametrize("first", [1, 3, 1000])
def test_how_steps_are_cut_changes_nothing(first: int, world: World) -> None:
    runs = expand(sweep_of("diverging"))
    curves = run_stack(runs, world, [], Recorder(saver=Saver(stretch=first)))
    pd.testing.assert_frame_equal(curves, run_stack(runs, world, [], Recorder()), check_exact=True)
    assert (curves["status"] == "diverged").any()


def test_a_state_is_what_was_saved() -> None:
    state = {
        "a": torch.randn(3, 4, generator=torch.Generator().manual_seed(0)),
        "b": torch.arange(5),
        "c": torch.tensor([True, False]),
        "nothing": torch.empty(0, 3),
        "d": torch.tensor([torch.nan, torch.inf], dtype=torch.float64),
    }
    found = read_state(state_bytes(state, OF), OF)
    assert found is not None
    assert found.keys() == state.keys()
    for name, tensor in state.items():
        assert found[name].dtype == tensor.dtype
        assert torch.equal(found[name].nan_to_num(), tensor.nan_to_num())


def test_a_state_that_is_not_whole_or_not_of_this_stack_is_not_taken_up() -> None:
    content = state_bytes({"a": torch.arange(100.0)}, OF)
    assert read_state(content, OF | {"stack": "b"}) is None
    assert read_state(content, {**OF, "torch_version": "other"}) is None
    rng = np.random.default_rng(0)
    for cut in rng.integers(0, len(content), 50).tolist():
        assert read_state(content[:cut], OF) is None
    before = read_state(content, OF)
    assert before is not None
    for place in rng.integers(0, len(content), 300).tolist():
        changed = bytearray(content)
        changed[place] ^= 1 << int(rng.integers(8))
        found = read_state(bytes(changed), OF)
        assert found is None or (found.keys() == before.keys() and torch.equal(found["a"], before["a"]))


def test_stretches_sum_up_and_grow() -> None:
    saver = Saver()  # the clock stands still here
    taken = list(stretches(1000, saver))
    assert sum(taken) == 1000
    assert taken == sorted(taken[:-1]) + taken[-1:]
    assert saver.stretch > 8


def test_a_disk_that_takes_no_state_does_not_end_training(tmp_path: Path) -> None:
    runs = expand(sweep_of("six losses"))
    world = build_world(runs[0].settings)
    saver = Saver(path=tmp_path / "gone" / "state", of=OF, every=0.0)
    with heard() as told:
        curves = run_stack(runs, world, [], Recorder(saver=saver))
    assert "training goes on, and would lose more if it were killed" in told[0]
    pd.testing.assert_frame_equal(curves, run_stack(runs, world, [], Recorder()), check_exact=True)
