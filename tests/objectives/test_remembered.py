"""What an objective remembers of its batches, in training: BCO's threshold, alone and in sums."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

import simulator as sim
from simulator.engine import recorded_steps
from simulator.engine.batches import batches
from simulator.engine.fused_steps import are_fused
from simulator.engine.gradient_steps import advance, loss_and_gradient, losses_on_pairs, start
from simulator.engine.problem import TrainingProblem
from simulator.methods.algorithms.pairwise_training import PairwiseLearner, make_problem, new_learner
from simulator.networks.transformer import sequence_log_probs
from simulator.objectives import OBJECTIVES
from simulator.objectives.losses.bco import BATCHES, MEAN, RUNNING
from simulator.objectives.stacked_losses import ObjectiveSlice, StackedPairs, pair_losses, remember
from simulator.preferences.labelling import preferences
from simulator.sweeps.grid import expand
from tests.conftest import small_sweep

NAMES = ["bco_pair", "logistic", "bco_pair + 0.5 sft"]


def learner_of(lab: sim.World, names: list[str], **tables: dict[str, object]) -> PairwiseLearner:
    train = {"steps": 12, "batch": 15, "learning_rate": 0.03, **tables.pop("train", {})}
    runs = expand(small_sweep(sweep={"loss": names, "beta": [0.6], "seeds": 2}, train=train, **tables))
    return new_learner(runs, lab.simulated, [])


def log_probs(problem: TrainingProblem, parameters: Tensor, chosen: Tensor) -> Tensor:
    row = torch.arange(len(chosen)).unsqueeze(1)
    return sequence_log_probs(
        parameters, problem.architecture, problem.packing, problem.prompts[row, chosen], problem.responses[row, chosen]
    )


def test_the_threshold_is_the_mean_reward_of_all_batches_so_far(lab: sim.World) -> None:
    runs = expand(small_sweep(sweep={"loss": NAMES, "beta": [0.6], "seeds": 2}, train={"steps": 12, "batch": 15}))
    problem = make_problem(runs, lab.simulated, preferences(runs, lab.simulated, None))
    state = start(lab.reference.parameters[0], len(runs), problem)
    assert set(state.memory) == {part for part, each in enumerate(problem.parts) if "bco" in each.objective.name}
    rewards: list[np.ndarray] = []
    for step in range(6):
        order = batches(problem, step, 1)
        assert order is not None
        row = torch.arange(len(runs)).unsqueeze(1)
        with torch.no_grad():
            ratios = log_probs(problem, state.parameters, order[0]) - problem.reference_log_probs[row, order[0]]
        rewards.append(0.6 * ratios.numpy())
        with torch.enable_grad():
            state = advance(state, problem, 1)
        expected = np.mean(rewards, axis=(0, 2, 3))
        for part, kept in state.memory.items():
            rows = slice(2 * part, 2 * part + 2)
            assert kept[MEAN][:, 0].numpy() == pytest.approx(expected[rows], rel=1e-5, abs=1e-7)
            assert kept[BATCHES].tolist() == [[step + 1]] * 2
    assert np.abs(expected).min() > 1e-4


def test_a_saved_state_goes_on_bit_for_bit_and_measuring_changes_nothing(lab: sim.World) -> None:
    through, cut = learner_of(lab, NAMES), learner_of(lab, NAMES)
    with torch.no_grad():
        through.advance(12)
        cut.measure()
        cut.advance(5)
        cut.measure()
        cut.measure()
        saved = {name: value.clone() for name, value in cut.tensors().items()}
        resumed = learner_of(lab, NAMES)
        resumed.restore(saved)
        resumed.advance(7)
    assert [name for name in saved if name.startswith("memory.") and "bco" in name]
    expected, found = through.tensors(), resumed.tensors()
    for name in ("parameters", "first", "second", *(name for name in expected if name.startswith("memory."))):
        assert torch.equal(found[name], expected[name]), name


def test_the_threshold_lives_through_rounds_of_fresh_pairs(lab: sim.World) -> None:
    learner = learner_of(lab, ["bco_pair"], online={"refresh": 4, "pairs": 20})
    with torch.no_grad():
        for stop in (4, 8, 12):
            learner.advance(stop - learner.step)
    assert learner.problem.online_round == 2
    assert learner.state.memory[0][BATCHES].tolist() == [[12.0]] * 2


def test_a_threshold_of_zero_remembers_nothing(lab: sim.World) -> None:
    learner = learner_of(lab, ["bco_pair"], objective={"bco_pair": {"threshold": "zero"}})
    with torch.no_grad():
        learner.advance(12)
        learner.measure()
    assert learner.state.memory == {}
    assert (torch.from_numpy(learner.track.measured["bco_threshold"])[0] == 0).all()


def test_the_measured_loss_has_the_threshold_as_it_stands(lab: sim.World) -> None:
    learner = learner_of(lab, ["bco_pair"])
    with torch.no_grad():
        learner.advance(12)
        ratios = torch.randn(2, 9, 2, generator=torch.Generator().manual_seed(0)).double()
        loss, inside = losses_on_pairs(learner.state, learner.problem, ratios)
    delta = learner.state.memory[0][MEAN][:, 0]
    assert torch.equal(inside["bco_threshold"], delta)
    z = 0.6 * ratios.numpy() - delta.numpy()[:, None, None]
    expected = np.logaddexp(0, -z[..., 0]) + np.logaddexp(0, z[..., 1])
    assert loss.numpy() == pytest.approx(expected.mean(axis=1), rel=1e-6)


def test_steps_that_remember_are_neither_recorded_nor_fused(lab: sim.World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorded_steps, "DEVICE", "cpu")
    for names, is_recordable in ((["logistic"], True), (NAMES, False), (["bco_pair + sft"], False), (["aot"], True)):
        learner = learner_of(lab, names)
        assert recorded_steps.is_recordable(learner.state, learner.problem) == is_recordable
        fused = [are_fused(part, learner.problem) for part in learner.problem.parts]
        assert fused == [part.objective.name == "logistic" for part in learner.problem.parts]


def test_a_loss_without_memory_is_given_a_step_without_updating_one(lab: sim.World) -> None:
    """The gradient at a batch does not depend on whether it is asked for twice, but where it is taken in."""
    learner = learner_of(lab, ["bco_pair"])
    chosen = torch.arange(6).expand(2, -1)
    asked = [loss_and_gradient(learner.state.parameters, learner.problem, chosen)[1] for _ in range(2)]
    assert torch.equal(asked[0], asked[1])
    assert learner.state.memory[0][BATCHES].tolist() == [[0.0]] * 2


def test_weighted_pairs_are_as_many_pairs() -> None:
    """Loss and threshold of pairs with whole weights are those of the pairs written out."""
    ratios = torch.randn(1, 4, 2, generator=torch.Generator().manual_seed(2)).double()
    weights = torch.tensor([[[2.0, 0.0], [0.0, 1.0], [1.0, 2.0], [1.0, 1.0]]])
    pairs = [(place, side) for place in range(4) for side in (0, 1) for _ in range(int(weights[0, place, side]))]
    written = torch.stack([ratios[0, place].flip(0) if side else ratios[0, place] for place, side in pairs])[None]
    part = [ObjectiveSlice(objective=OBJECTIVES["bco_pair"], rows=1, hyperparameters={"threshold": "running"})]
    found = []
    for some, of in ((ratios, weights), (written, None)):
        memory = RUNNING.start(torch.ones(1, 1))
        nothing = torch.zeros_like(some)
        given = StackedPairs(policy=some, reference=nothing, lengths=nothing + 1, beta=torch.full((1, 1), 0.7))
        given = replace(given, weights=of, remembered={0: memory})
        for _ in range(2):
            remember(given, part)
        found.append((pair_losses(given, part).sum().item(), memory[MEAN].item(), memory[BATCHES].item()))
    assert found[0] == pytest.approx(found[1], rel=1e-6)
    assert found[0][2] == 2


def test_no_two_objectives_remember_under_one_name() -> None:
    """In a sum their tensors stand side by side."""
    names = []
    for objective in OBJECTIVES.values():
        memory = objective.remembers({name: each.default for name, each in objective.parameters.items()})
        names += list(memory.start(torch.ones(1, 1))) if memory is not None else []
    assert len(names) == len({*names}) == 2
