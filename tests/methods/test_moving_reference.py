"""TR-DPO: a reference that follows the policy, against TRL's update, a plain second loop, and training without it."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

import simulator as sim
from simulator.engine.batches import batch_order
from simulator.engine.gradient_steps import loss_and_gradient, losses_on_pairs, mismatched_ratios
from simulator.engine.problem import take
from simulator.engine.snapshots import read_state, state_bytes
from simulator.methods.algorithms.moving_reference import mixed, updates_before
from simulator.methods.algorithms.pairwise_training import PairwiseLearner, new_learner
from simulator.settings.tables import Train
from simulator.sweeps.grid import expand
from tests.conftest import small_sweep
from tests.helpers.plain_network import plain_log_probs
from tests.helpers.saved_states import OF
from tests.objectives.test_objectives import log_probs, pairs_of

BETA = 0.3


def sweep_of(loss: Any = "logistic", sync: Any = 4, mixup: Any = 0.6, **tables: dict[str, Any]) -> sim.Sweep:
    train = {"steps": 20, "batch": 15, "checkpoints": 4, "learning_rate": 0.01, "reference_sync": sync}
    return small_sweep(
        sweep={"loss": loss, "beta": [BETA], "seeds": 2},
        **{"train": train | {"reference_mixup": mixup} | tables.pop("train", {})},
        **tables,
    )


def learner_of(lab: sim.World, sweep: sim.Sweep) -> PairwiseLearner:
    return new_learner(expand(sweep), lab.simulated, [])


def advanced(learner: PairwiseLearner, step: int) -> PairwiseLearner:
    """The learner at a step, with measurements nowhere on the way."""
    with torch.no_grad():
        while learner.step < step:
            learner.advance(learner.next_stop(step) - learner.step)
    return learner


def test_an_update_is_that_of_trl() -> None:
    callbacks = pytest.importorskip("trl.trainer.callbacks", reason="the extra `test` installs TRL")
    generator = torch.Generator().manual_seed(0)
    policy, reference = (torch.randn(2, 64, generator=generator) for _ in range(2))
    for alpha in (0.6, 1.0):
        target = torch.nn.ParameterList([row.clone() for row in reference])
        callbacks.SyncRefModelCallback._sync_target_model(torch.nn.ParameterList(list(policy)), target, alpha)
        expected = torch.stack([row.detach() for row in target])
        found = mixed(reference, policy, torch.full((2, 1), alpha))
        assert found.numpy() == pytest.approx(expected.numpy(), rel=1e-6, abs=1e-7)
    assert torch.equal(mixed(reference, policy, torch.ones(2, 1)), policy)


def test_it_follows_after_every_so_many_steps_but_not_after_the_last() -> None:
    train = Train(steps=12, reference_sync=4)
    assert [updates_before(train, step) for step in range(13)] == [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 2]
    assert not Train(steps=12, reference_sync=12).moves_reference
    assert not Train(steps=12).moves_reference


def train_plainly(lab: sim.World, seed: int, sync: int, mixup: float, steps: int) -> tuple[Tensor, Tensor, list[float]]:
    """One policy and its reference by torch's own optimizer and clipping, of plain networks; and the loss on all pairs
    before each step.
    """
    train, pairs, architecture = sweep_of().train, lab.preferences(seed=seed), lab.reference.architecture
    policy = torch.nn.Parameter(lab.reference.parameters[0].clone())
    reference, optimizer = policy.detach().clone(), torch.optim.Adam([policy], lr=train.learning_rate)

    def loss_on(at: Any) -> Tensor:
        s_w, s_l = (
            plain_log_probs(policy, architecture, pairs.prompts[at], said[at])
            - plain_log_probs(reference, architecture, pairs.prompts[at], said[at])
            for said in (pairs.chosen, pairs.rejected)
        )
        return torch.nn.functional.softplus(-BETA * (s_w - s_l)).mean()

    losses = []
    for step, at in enumerate(torch.from_numpy(batch_order(seed, len(pairs), 15, 0, steps))):
        losses.append(loss_on(slice(None)).item())  # before the reference follows, as it is measured
        if step and step % sync == 0:
            reference = (1 - mixup) * reference + mixup * policy.detach()
        optimizer.zero_grad()
        loss_on(at).backward()
        torch.nn.utils.clip_grad_norm_([policy], train.clip)
        optimizer.step()
    return policy.detach(), reference, [*losses, loss_on(slice(None)).item()]


@pytest.mark.parametrize(("sync", "mixup"), [(4, 0.6), (1, 1.0), (3, 1.0)])
def test_a_stack_trains_each_run_as_a_plain_loop_would(lab: sim.World, sync: int, mixup: float) -> None:
    sweep = sweep_of(sync=sync, mixup=mixup)
    learner = learner_of(lab, sweep)
    measured = []
    for step in range(13):
        advanced(learner, step)
        _, ratios = lab.simulated.measure(learner.state.parameters, learner.pairs, sweep.data)
        measured.append(losses_on_pairs(learner.state, learner.problem, ratios)[0])
    assert learner.problem.moved is not None
    for row in (0, 1):
        policy, reference, losses = train_plainly(lab, row, sync, mixup, 12)
        assert learner.state.parameters[row].numpy() == pytest.approx(policy.numpy(), abs=1e-3)
        assert learner.problem.moved.parameters[row].numpy() == pytest.approx(reference.numpy(), abs=1e-3)
        assert [loss[row].item() for loss in measured] == pytest.approx(losses, rel=1e-3)


def test_at_alpha_one_and_every_step_the_reference_is_the_policy(lab: sim.World) -> None:
    learner = learner_of(lab, sweep_of(sync=1, mixup=1.0))
    for step in (1, 2, 3):
        before = advanced(learner, step).state.parameters.clone()
        advanced(learner, step + 1)
        assert learner.problem.moved is not None
        assert torch.equal(learner.problem.moved.parameters, before)
        loss, _ = loss_and_gradient(before, learner.problem, None)
        assert loss.numpy() == pytest.approx(np.log(2), rel=1e-7)


def test_until_it_follows_nothing_differs_and_only_the_loss_has_it(lab: sim.World) -> None:
    """What is measured of a policy is against the reference of the world."""
    plain, moving = (learner_of(lab, sweep_of(sync=sync)) for sync in (0, 4))
    assert torch.equal(advanced(plain, 4).state.parameters, advanced(moving, 4).state.parameters)
    assert moving.problem.moved is None
    assert not torch.equal(advanced(plain, 8).state.parameters, advanced(moving, 8).state.parameters)
    assert torch.equal(moving.pairs.reference, plain.pairs.reference)
    data = small_sweep().data
    columns, ratios = lab.simulated.measure(moving.state.parameters, moving.pairs, data)
    expected, _ = lab.simulated.measure(moving.state.parameters, plain.pairs, data)
    assert torch.equal(columns["kl"], expected["kl"])
    found, _ = losses_on_pairs(moving.state, moving.problem, ratios)
    assert found.numpy() == pytest.approx(loss_and_gradient(moving.state.parameters, moving.problem, None)[0], rel=1e-4)
    stays, _ = losses_on_pairs(moving.state, plain.problem, ratios)
    assert (found - stays).abs().min() > 1e-3


def test_fresh_pairs_are_compared_with_the_reference_that_moved(lab: sim.World) -> None:
    sweep = sweep_of(online={"refresh": 6, "pairs": 10})
    learner = advanced(learner_of(lab, sweep), 7)
    problem = learner.problem
    assert problem.pairs == 58
    assert problem.moved is not None
    assert problem.moved.updates == 1
    table = pd.DataFrame({"seed": [0, 1]})
    for parameters, held in (
        (problem.moved.parameters, problem.reference_log_probs),
        (lab.reference.parameters.expand(2, -1), problem.moved.measured_from),
    ):
        law = lab.policies(parameters, table).log_prob(lab.prompts, lab.responses.expand(3, -1, -1))
        number = (problem.responses * torch.tensor([16, 4, 1])).sum(dim=3)
        for row in (0, 1):
            expected = law[row][learner.pairs.prompt[row].unsqueeze(1), number[row]]
            assert held[row].numpy() == pytest.approx(expected.numpy(), abs=1e-4)
    assert advanced(learner, 13).problem.moved.updates == 3


@pytest.mark.parametrize("step", [3, 4, 5, 9, 12])
@pytest.mark.parametrize("online", [{}, {"refresh": 6, "pairs": 10}])
def test_a_saved_state_is_gone_on_from_to_the_last_bit(lab: sim.World, step: int, online: dict[str, Any]) -> None:
    sweep = sweep_of(["logistic", "kto", "ld_dpo"], online=online)
    whole = advanced(learner_of(lab, sweep), 20)
    content = state_bytes(advanced(learner_of(lab, sweep), step).tensors(), OF)
    again, saved = learner_of(lab, sweep), read_state(content, OF)
    assert saved is not None
    again.restore(saved)
    advanced(again, 20)
    assert torch.equal(again.state.parameters, whole.state.parameters)
    assert again.tensors().keys() == whole.tensors().keys()
    for name, value in whole.tensors().items():
        assert torch.equal(again.tensors()[name], value), name


def test_runs_have_the_same_bits_alone_and_in_a_stack_whatever_their_mixup(lab: sim.World) -> None:
    sweep = sweep_of(["logistic", "kto", "wpo", "ld_dpo"])
    runs = expand(sweep)
    assert len({run.stack_key for run in [*runs, *expand(sweep_of(mixup=1.0))]}) == 1
    runs = [*runs, *expand(sweep_of(mixup=1.0))]
    together = advanced(new_learner(runs, lab.simulated, []), 12)
    for row, run in enumerate(runs):
        alone = advanced(new_learner([run], lab.simulated, []), 12)
        assert torch.equal(alone.state.parameters[0], together.state.parameters[row]), run.run_id


@pytest.mark.parametrize(("loss", "value"), [("kto", 1.0), ("ld_dpo", np.log(2))])
def test_mismatched_pairs_and_single_tokens_are_compared_with_the_reference_that_moved(loss: str, value: float) -> None:
    """At alpha = 1 and where the reference has just followed, every log-ratio is 0."""
    sweep = sweep_of(loss, sync=1, mixup=1.0, world={"language": {"stop": 0.4}})
    learner = advanced(learner_of(sim.make_world(sweep), sweep), 3)
    before = learner.state.parameters.clone()
    advanced(learner, 4)
    found, _ = loss_and_gradient(before, learner.problem, None)
    assert found.numpy() == pytest.approx(value, abs=1e-6)
    mismatched = mismatched_ratios(before, learner.problem, take(learner.problem, None))
    assert list(mismatched) == ([0] if loss == "kto" else [])
    assert not any(ratios.any() for ratios in mismatched.values())


@pytest.mark.parametrize(
    "tables",
    [
        {"policy": {"kind": "tabular"}},
        {"policy": {"kind": "tabular"}, "data": {"population": True}},
        {"data": {"population": True}},
    ],
)
def test_other_classes_and_the_population_have_it(tables: dict[str, Any]) -> None:
    sweep = sweep_of("squared", sync=2, world={"vocabulary": 3, "response_length": 2, "prompts": 2}, **tables)
    world = sim.make_world(sweep)
    learner = advanced(new_learner(expand(sweep), world.simulated, []), 9)
    assert learner.problem.moved is not None
    assert learner.problem.moved.updates == 4
    _, ratios = world.simulated.measure(learner.state.parameters, learner.pairs, sweep.data)
    found, _ = losses_on_pairs(learner.state, learner.problem, ratios)
    expected, _ = loss_and_gradient(learner.state.parameters, learner.problem, None)
    assert found.numpy() == pytest.approx(expected.numpy(), rel=1e-4)


@pytest.mark.parametrize("name", sim.OBJECTIVES)
def test_those_that_have_no_reference_are_known(name: str) -> None:
    pairs = pairs_of(name, *log_probs())
    reference = pairs.reference.clone().requires_grad_()
    loss = sim.OBJECTIVES[name].loss(replace(pairs, reference=reference)).sum()
    (slope,) = torch.autograd.grad(loss, reference, allow_unused=True)
    assert (slope is not None) is sim.OBJECTIVES[name].has_reference


def test_names_of_runs_and_what_is_refused() -> None:
    plain = [run.run_id for run in expand(sweep_of(sync=0))]
    assert [run.run_id for run in expand(sweep_of(sync=0, mixup=1.0))] == plain
    assert [run.run_id for run in expand(sweep_of(sync=20))] == plain  # never within 20 steps
    assert set(plain).isdisjoint(run.run_id for run in expand(sweep_of(sync=19)))
    for loss in ("ganpo", "vpo"):
        message = f'train.reference_sync .=4. moves the reference, and loss "{loss}" has a term'
        with pytest.raises(sim.ConfigError, match=message):
            expand(sweep_of(loss))
    expand(sweep_of("vpo", objective={"vpo": {"calibration": "chosen"}}))
    free = [[run.run_id for run in expand(sweep_of("simpo", sync=sync))] for sync in (0, 4)]
    assert free[0] == free[1]
