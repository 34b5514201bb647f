"""Training makes nothing on a device of its own choosing."""

from dataclasses import fields, is_dataclass, replace
from typing import Any

import pytest
import torch
from torch import Tensor

import simulator as sim
from simulator.engine.gradient_steps import advance, loss_and_gradient, start
from simulator.methods.algorithms.pairwise_training import make_problem
from simulator.preferences.labelling import preferences
from simulator.sweeps.grid import expand
from tests.conftest import small_sweep
from tests.helpers.one_device import META, OnOneDevice


def moved(value: Any) -> Any:
    """A record with all of its tensors on the meta device."""
    if isinstance(value, Tensor):
        return value.to(META)
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{each.name: moved(getattr(value, each.name)) for each in fields(value) if each.init})
    return value


def problem(lab: sim.World, *, pairs: int, batch: int) -> Any:
    """What a run of each of the six losses trains on, on the meta device."""
    train = {"steps": 10, "warmup": 2, "schedule": "cosine", "batch": batch, "weight_decay": 0.01, "optimizer": "adamw"}
    runs = expand(
        small_sweep(sweep={"loss": list(sim.LOSSES), "beta": [1.0], "seeds": 1}, train=train, data={"pairs": pairs})
    )
    return moved(make_problem(runs, lab.simulated, preferences(runs, lab.simulated, None)))


def test_a_training_step_stays_on_its_device(lab: sim.World) -> None:
    posed = problem(lab, pairs=7, batch=7)
    state = start(posed.reference, 6)
    with OnOneDevice({"meta"}):
        loss_and_gradient(state.parameters, posed, None)
        state = advance(state, posed, 3)
    assert state.parameters.device == META


def test_only_the_order_of_batches_comes_from_the_host(lab: sim.World) -> None:
    """Once for up to 512 steps, and nothing in a step."""
    posed = problem(lab, pairs=7, batch=3)
    state = advance(start(posed.reference, 6), posed, 2)
    chosen = torch.ones(6, 3, dtype=torch.int64, device=META)
    with OnOneDevice({"meta"}), pytest.raises(AssertionError, match="made a tensor on cpu"):
        advance(state, posed, 2)
    with OnOneDevice({"meta"}):
        loss, gradient = loss_and_gradient(state.parameters, posed, chosen)
    assert (loss.device, gradient.device) == (META, META)
