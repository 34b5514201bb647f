"""Proxies whose training is stopped anywhere and goes on end with the same numbers, to the last bit."""

import numpy as np
import pytest
import torch

import simulator as sim
from simulator.engine.recorder import Recorder
from simulator.proxies.reward_model import ensemble_of
from simulator.proxies.training import train_members
from tests.conftest import small_sweep
from tests.helpers.saved_states import GoesOnFrom, KeepsEveryState


def test_proxies_that_were_stopped_at_any_rest_end_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simulator.engine.snapshots.time.perf_counter", lambda: 0.0)
    lab, saver = sim.make_world(small_sweep(proxy={"steps": 20, "width": 8})), KeepsEveryState()
    members = [member for seed in range(3) for member in ensemble_of(lab.settings, seed, {})]
    whole = train_members(members, lab.simulated, Recorder(saver=saver))
    assert len(saver.states) > 8
    for state in saver.states:
        again = train_members(members, lab.simulated, Recorder(saver=GoesOnFrom(state)))
        for (first, said), (second, told) in zip(whole, again, strict=True):
            assert torch.equal(first.parameters, second.parameters)
            assert np.array_equal(first.scores, second.scores)
            assert said == told
