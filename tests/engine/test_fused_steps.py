"""Whole steps by the compiled engine: against torch in float64, and each run as it is alone."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

import simulator as sim
from simulator.engine.fused_steps import NUMBERS, groups
from simulator.engine.gradient_steps import advance, start
from simulator.engine.problem import TrainingProblem, TrainState
from simulator.native import calls
from simulator.native.library import EngineError
from simulator.networks import fused
from simulator.networks.compute_mode import Computing
from tests.helpers.engines import needs_engine
from tests.helpers.training_problems import LENGTH, PAIRS, VOCABULARY, problem_of, row_of

pytestmark = needs_engine


def by_torch(problem: TrainingProblem) -> tuple[Tensor, TrainingProblem]:
    """The same in float64, where the compiled engine does not compute."""
    exact = {"reference_log_probs": problem.reference_log_probs, "beta": problem.beta}
    exact |= {"learning_rate": problem.learning_rate, "clip": problem.clip}
    return row_of(problem).double(), replace(problem, **{name: value.double() for name, value in exact.items()})


def taken_whole(problem: TrainingProblem) -> list[bool]:
    state = start(row_of(problem), len(problem.batch_seeds))
    return [whole for whole, its_state, _ in groups(state, problem) for _ in its_state.parameters]


@pytest.mark.parametrize("judges", [False, True])
@pytest.mark.parametrize("batch", [1, 7, 16, PAIRS])
def test_six_losses_take_the_steps_of_torch(batch: int, judges: bool) -> None:
    problem = problem_of(list(sim.LOSSES), batch=batch, judges=judges)
    assert taken_whole(problem) == [True] * 6
    row, exact = by_torch(problem)
    true, found = start(row, 6), start(row.float(), 6)
    true, found = advance(true, exact, 1), advance(found, problem, 1)
    moments = found.optimizer.first, true.optimizer.first
    assert float((moments[0] - moments[1]).norm() / moments[1].norm()) < 1e-4
    true, found = advance(true, exact, 4), advance(found, problem, 4)
    assert found.step == true.step == 5
    moved = found.parameters - row, true.parameters - row  # Adam enlarges what rounding does to small gradients
    assert float((moved[0] - moved[1]).norm() / moved[1].norm()) < 0.03


def test_the_order_of_the_losses_is_that_of_the_engine() -> None:
    assert list(NUMBERS) == list(sim.LOSSES)
    assert list(NUMBERS.values()) == list(range(6))


@pytest.mark.parametrize("name", list(NUMBERS))
def test_slopes_far_from_zero(name: str) -> None:
    """One pair, at margins that make f overflow, vanish, or kink."""
    for reference in (-60.0, -20.0, 0.0, 20.0, 60.0):
        problem = problem_of([name], batch=1, beta=2.0)
        problem.reference_log_probs[..., 0] += reference
        problem = replace(problem, clip=torch.full((1, 1), math.inf))
        row, exact = by_torch(problem)
        true, found = advance(start(row, 1), exact, 1), advance(start(row.float(), 1), problem, 1)
        scale = float(true.optimizer.first.norm())
        if found.optimizer.first.isfinite().all():
            assert float((found.optimizer.first - true.optimizer.first).norm()) <= 2e-4 * scale + 1e-30
        else:  # beyond float32
            assert (name, reference) == ("exponential", 60.0)
            assert int(found.diverged_at[0]) == 1


def test_a_loss_that_overflows_marks_its_step_and_leaves_its_neighbours() -> None:
    problem = problem_of(["squared", "exponential", "logistic"], batch=PAIRS)
    calm = advance(start(row_of(problem), 3), problem, 3)
    assert calm.diverged_at.tolist() == [-1, -1, -1]
    problem.reference_log_probs[1, :, 0] += 1000.0
    wild = advance(start(row_of(problem), 3), problem, 3)
    assert wild.diverged_at.tolist() == [-1, 1, -1]
    for row in (0, 2):
        assert torch.equal(calm.parameters[row], wild.parameters[row])


def test_each_run_has_its_own_bits_whatever_its_neighbours_and_however_steps_are_cut() -> None:
    names = ["logistic", "squared", "nca_pair", "hinge", "savage"]
    problem = problem_of(names, batch=9)
    whole = taken_whole(problem)
    assert whole == [True, True, False, True, True]

    def start_of(some: TrainingProblem) -> TrainState:
        return start(row_of(some), len(some.batch_seeds), some)

    together = advance(start_of(problem), problem, 5)
    cut = advance(advance(start_of(problem), problem, 2), problem, 3)
    assert torch.equal(together.parameters, cut.parameters)
    for row in range(len(names)):
        one = problem.select_runs(slice(row, row + 1), problem.parts[row : row + 1])
        alone = advance(start_of(one), one, 5)
        assert torch.equal(alone.parameters[0], together.parameters[row]), names[row]
        assert torch.equal(alone.optimizer.second[0], together.optimizer.second[row]), names[row]


def test_torch_is_used_where_it_is_asked_for() -> None:
    problem = problem_of(["logistic"], batch=5)
    by_engine = advance(start(row_of(problem), 1), problem, 3)
    asked = advance(start(row_of(problem), 1), replace(problem, computing=Computing(engine="torch")), 3)
    assert not torch.equal(by_engine.parameters, asked.parameters)
    assert by_engine.parameters.numpy() == pytest.approx(asked.parameters.numpy(), abs=1e-5)


def test_what_is_not_there_is_refused() -> None:
    problem = problem_of(["logistic"], batch=PAIRS)
    state = start(row_of(problem), 1)
    sizes = fused.sizes_of(problem.architecture, problem.prompts, 2, LENGTH)
    one = torch.ones(1)
    pairs = {"prompts": problem.prompts, "responses": problem.responses, "reference": problem.reference_log_probs}
    pairs |= {"beta": one, "rate": one, "limit": one, "loss": torch.zeros(1, dtype=torch.int64)}

    def train(batch: int, **other: Tensor) -> None:
        calls.train(
            sizes,
            state.parameters,
            state.optimizer.first,
            state.optimizer.second,
            state.diverged_at,
            pairs=pairs | {"order": None} | other,
            factor=one,
            begun=0,
            batch=batch,
            weight_decay=0.0,
        )

    with pytest.raises(EngineError, match="an index of a batch is outside the pairs"):
        train(1, order=torch.full((1, 1, 1), PAIRS))
    with pytest.raises(EngineError, match="a loss is not one of the six"):
        train(PAIRS, loss=torch.tensor([6]))
    with pytest.raises(EngineError, match="does not take these sizes"):
        train(PAIRS + 1)
    with pytest.raises(EngineError, match="a token id is outside the vocabulary"):
        train(PAIRS, prompts=torch.full_like(problem.prompts, VOCABULARY))
    assert torch.equal(state.parameters[0], row_of(problem))
