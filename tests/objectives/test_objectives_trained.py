"""Objectives in stacks: the same bits alone, in any stack, and however training is cut."""

import pytest
import torch

import simulator as sim
from simulator.sweeps.grid import expand
from tests.conftest import heard, small_sweep

TRAIN = {"beta": 0.3, "steps": 12, "batch": 15, "checkpoints": 3}


@pytest.fixture(scope="module")
def data(lab: sim.World) -> list[sim.Pairs]:
    """The pairs of two seeds."""
    return [lab.preferences(seed=seed) for seed in (0, 1)]


def stack_keys(names: list[str], seeds: int) -> set:
    """What runs of these losses must share to be one stack of a sweep."""
    return {run.stack_key for run in expand(small_sweep(sweep={"loss": names, "beta": [0.3], "seeds": seeds}))}


@pytest.mark.slow
def test_every_objective_has_the_same_bits_alone_and_in_a_stack(lab: sim.World, data: list[sim.Pairs]) -> None:
    names = [name for name, objective in sim.OBJECTIVES.items() if not objective.ranked]
    assert len(stack_keys(names, 2)) == 1
    with heard():  # that discopop first pushes margins down
        together = sim.train(lab, data, loss=names, seed=[0, 1], **TRAIN)
    assert len(together) == 2 * len(names)
    for row, (loss, seed) in enumerate(zip(together.table["loss"], together.table["seed"], strict=True)):
        with heard():
            alone = sim.train(lab, data[seed], loss=loss, seed=seed, **TRAIN)
        assert torch.equal(alone.parameters[0], together.parameters[row]), (loss, seed)
    moved = (together.parameters - lab.reference.parameters).abs().amax(dim=1)
    assert (moved > 1e-3).all()


def test_a_stack_of_ranked_responses_stands_apart_and_has_the_same_bits(lab: sim.World) -> None:
    data, settings = [lab.preferences(seed=seed, responses=3) for seed in (0, 1)], {"objective.rpo.responses": 3}
    for pairs in data:
        assert pairs.responses.shape[1] == 3
        assert (lab.gold(pairs.prompts, pairs.responses).diff(dim=1) <= 0).all()
    together = sim.train(lab, data, loss="rpo_loo", seed=[0, 1], settings=settings, **TRAIN)
    alone = sim.train(lab, data[0], loss="rpo_loo", seed=0, settings=settings, **TRAIN)
    assert torch.equal(alone.parameters[0], together.parameters[0])
    assert len(stack_keys(["rpo_loo", "rpo_squared"], 1)) == 2


def test_advancing_in_pieces_is_advancing_at_once(lab: sim.World, data: list[sim.Pairs]) -> None:
    """Measured after the first step and at the end alone, at some steps between them, and at all."""
    found = []
    for checkpoints in (3, 5, 13):
        train = TRAIN | {"checkpoints": checkpoints}
        stack = sim.training(lab, data, loss=["ganpo", "vpo", "kto"], seed=[0, 1], **train)
        assert len({row.step for row in stack}) == checkpoints
        assert stack.step == 12
        found.append(stack.policies.parameters)
    for parameters in found[1:]:
        assert torch.equal(parameters, found[0])
