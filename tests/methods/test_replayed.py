"""Policies that learn from the pairs of an online run, in the order in which they were drawn, or shuffled."""

from typing import Any

import pytest
import torch

import simulator as sim
from simulator.methods.algorithms import pairwise_training
from simulator.methods.algorithms.pairwise_training import PairwiseLearner, new_learner
from simulator.methods.algorithms.replayed import batch_seeds
from simulator.settings.run import Run
from simulator.sweeps.grid import expand
from tests.conftest import small_sweep

ONLINE: dict[str, Any] = {"refresh": 10, "pairs": 20, "keep": "newest"}
STEPS, ROUNDS = 40, 3


def runs_of(online: dict[str, Any], seeds: int = 2) -> list[Run]:
    return expand(small_sweep(sweep={"loss": "logistic", "beta": [0.3], "seeds": seeds}, online=online))


def learner_of(lab: sim.World, seeds: int = 2, **more: Any) -> PairwiseLearner:
    return new_learner(runs_of(ONLINE | more, seeds), lab.simulated, [])


def rounds_of(learner: PairwiseLearner) -> list[torch.Tensor]:
    """The responses of the fresh pairs of each round, [R, B, 2, T], while the stack trains to its end."""
    found = []
    for _ in range(ROUNDS):
        learner.advance(10)
        learner.begin_round()
        found.append(learner.pairs.responses[:, -20:])
    learner.advance(10)
    return found


def test_in_order_and_with_the_same_batches_the_replay_is_the_online_run(
    lab: sim.World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bit for bit: a policy that sees the same pairs at the same steps is the same policy."""
    monkeypatch.setattr(pairwise_training, "batch_seeds", lambda runs: tuple(run.seed for run in runs))
    online, replay = learner_of(lab), learner_of(lab, replay="ordered")
    for learner in (online, replay):
        for _ in range(ROUNDS + 1):
            learner.advance(10)
    assert torch.equal(online.state.parameters, replay.state.parameters)


@pytest.mark.parametrize("keep", ["newest", "all"])
def test_a_replay_sees_the_pairs_that_the_online_run_drew(lab: sim.World, keep: str) -> None:
    online, ordered, shuffled = (
        learner_of(lab, keep=keep, replay=replay) for replay in ("none", "ordered", "shuffled")
    )
    drawn, same, mixed = rounds_of(online), rounds_of(ordered), rounds_of(shuffled)
    assert all(torch.equal(a, b) for a, b in zip(drawn, same, strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(drawn, mixed, strict=True))
    for run in range(2):
        rows = [torch.cat(rounds, dim=1)[run].flatten(1).tolist() for rounds in (drawn, mixed)]
        assert sorted(rows[0]) == sorted(rows[1])
    assert ordered.pairs.prompt.shape == online.pairs.prompt.shape
    assert not torch.equal(online.state.parameters, ordered.state.parameters)  # batches come in another order


@pytest.mark.parametrize("sync", [5, 7])
def test_the_reference_of_the_policy_that_draws_moves_when_that_of_an_online_run_does(
    lab: sim.World, sync: int
) -> None:
    """Also between rounds, and where rounds begin at other steps."""
    online, replay = (
        new_learner(
            expand(
                small_sweep(
                    sweep={"loss": "logistic", "beta": [0.3], "seeds": 2},
                    online=ONLINE | {"replay": which},
                    train={"reference_sync": sync, "reference_mixup": 0.9},
                )
            ),
            lab.simulated,
            [],
        )
        for which in ("none", "ordered")
    )
    drawn = []
    with torch.no_grad():
        for end in (10, 20, 30):
            while online.step < end:
                online.advance(online.next_stop(end) - online.step)
            online.begin_round()
            drawn.append(online.pairs.responses)
        while replay.step < 11:
            replay.advance(replay.next_stop(11) - replay.step)
    assert replay.stream is not None
    assert torch.equal(replay.stream.responses, torch.cat(drawn, dim=1))


@pytest.mark.parametrize("replay", ["ordered", "shuffled"])
@pytest.mark.parametrize("begun", [5, 20, 33])
def test_a_replay_goes_on_from_a_saved_state(lab: sim.World, replay: str, begun: int) -> None:
    whole, first, then = (learner_of(lab, replay=replay, keep="all") for _ in range(3))
    for learner, until in ((whole, STEPS), (first, begun)):
        while learner.step < until:
            learner.advance(min(10 - learner.step % 10, until - learner.step))
    then.restore({name: tensor.clone() for name, tensor in first.tensors().items()})
    assert then.step == begun
    while then.step < STEPS:
        then.advance(min(10 - then.step % 10, STEPS - then.step))
    assert torch.equal(whole.state.parameters, then.state.parameters)


def test_a_replay_has_the_same_bits_alone_and_in_a_stack(lab: sim.World) -> None:
    stack, alone = learner_of(lab, 2, replay="shuffled"), learner_of(lab, 1, replay="shuffled")
    for learner in (stack, alone):
        rounds_of(learner)
    assert torch.equal(stack.state.parameters[:1], alone.state.parameters)


def test_replays_are_runs_of_their_own_and_online_runs_keep_their_names() -> None:
    names = {replay: runs_of(ONLINE | {"replay": replay})[0].run_id for replay in ("none", "ordered", "shuffled")}
    assert len(set(names.values())) == 3
    assert names["none"] == runs_of(ONLINE)[0].run_id
    idle, offline = runs_of({"replay": "ordered"}), runs_of({})  # nothing is drawn that it could replay
    assert idle[0].run_id == offline[0].run_id
    assert batch_seeds(idle) == batch_seeds(offline)
    assert batch_seeds(runs_of(ONLINE | {"replay": "ordered"})) != batch_seeds(offline)
    sweep = small_sweep(sweep={"loss": "logistic", "beta": [0.3], "online.replay": ["none", "ordered"]}, online=ONLINE)
    assert {run.columns()["online_replay"] for run in expand(sweep)} == {"none", "ordered"}
