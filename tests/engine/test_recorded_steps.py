"""Steps that are recorded once and replayed, as on a GPU.

The recording is replaced by a trace of torch's operations on the CPU: like a CUDA graph it repeats what was done to
the same memory, and whatever the processor knew of the recorded step, such as its number, is in it for ever.
"""

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch.fx.experimental.proxy_tensor import make_fx

from simulator.engine import recorded_steps
from simulator.engine.gradient_steps import advance, start
from simulator.engine.problem import TrainingProblem, TrainState, mark_diverged
from simulator.objectives import OBJECTIVES
from tests.conftest import heard
from tests.helpers.engines import without_engine as without_engine
from tests.helpers.training_problems import PAIRS, problem_of, row_of

PLAIN = [  # losses without terms, scores and parameters of their own
    name
    for name, objective in OBJECTIVES.items()
    if not (objective.parameters or objective.scored or objective.mismatched) and objective.term({}) is None
]


def traced(body: Callable[[], None]) -> Callable[[], None]:
    """What does all that `body` does to tensors again."""
    for _ in range(recorded_steps.WARM):
        body()
    return make_fx(lambda: body(), tracing_mode="real")()


@pytest.fixture
def recordings(without_engine: None, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Steps on the CPU are recorded; a number for each recording."""
    made: list[int] = []

    def record(body: Callable[[], None]) -> Callable[[], None]:
        made.append(len(made))
        return traced(body)

    monkeypatch.setattr(recorded_steps, "DEVICE", "cpu")
    monkeypatch.setattr(recorded_steps, "record", record)
    return made


def begun(problem: TrainingProblem) -> TrainState:
    return start(row_of(problem), len(problem.batch_seeds), problem)


def one_by_one(problem: TrainingProblem, steps: int) -> TrainState:
    """The steps without a recording: fewer at once than are worth one."""
    state, fresh = begun(problem), replace(problem)
    while state.step < steps:
        state = advance(state, fresh, min(recorded_steps.FEWEST - 1, steps - state.step))
    assert fresh.recorded == {}
    return state


@pytest.mark.slow(but=("1-False", "16-True"))
@pytest.mark.parametrize("judges", [False, True])
@pytest.mark.parametrize("batch", [1, 16, PAIRS])
def test_recorded_steps_have_the_bits_of_steps_one_by_one(recordings: list[int], batch: int, judges: bool) -> None:
    problem = problem_of(["logistic", "hinge", "savage"] if judges else PLAIN, batch=batch, judges=judges)
    steps = 3 * recorded_steps.FEWEST
    expected, state = one_by_one(problem, steps), begun(problem)
    for part in (recorded_steps.FEWEST, 1, steps - recorded_steps.FEWEST - 1):
        state = mark_diverged(advance(state, problem, part))
    assert recordings == [0]
    assert state.step == expected.step == steps
    assert torch.equal(state.parameters, expected.parameters)
    assert torch.equal(state.optimizer.first, expected.optimizer.first)
    assert torch.equal(state.optimizer.second, expected.optimizer.second)
    assert state.diverged_at.tolist() == expected.diverged_at.tolist()


def test_a_run_that_diverges_is_marked_at_its_step(recordings: list[int]) -> None:
    problem = problem_of(["squared", "exponential", "logistic"], batch=PAIRS)
    problem = replace(problem, clip=torch.full((3, 1), math.inf))
    problem.reference_log_probs[1, :, 0] += 1000.0
    expected = one_by_one(problem, 20)
    state = advance(begun(problem), problem, 20)
    assert recordings == [0]
    assert state.diverged_at.tolist() == expected.diverged_at.tolist() == [-1, 1, -1]


def test_another_state_is_recorded_anew(recordings: list[int]) -> None:
    problem = problem_of(["logistic"], batch=8)
    first = advance(begun(problem), problem, recorded_steps.FEWEST)
    other = advance(begun(problem), problem, recorded_steps.FEWEST)
    assert recordings == [0, 1]
    assert torch.equal(first.parameters, other.parameters)


def test_a_step_that_cannot_be_recorded_is_taken_as_ever(
    recordings: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[int] = []

    def record(body: Callable[[], None]) -> Callable[[], None]:
        tried.append(1)
        body()
        raise RuntimeError("operation not permitted when stream is capturing")

    monkeypatch.setattr(recorded_steps, "record", record)
    problem = problem_of(["logistic", "squared"], batch=8)
    expected, state = one_by_one(problem, 2 * recorded_steps.FEWEST), begun(problem)
    with heard() as warned:
        for _ in range(2):
            state = advance(state, problem, recorded_steps.FEWEST)
    assert torch.equal(state.parameters, expected.parameters)
    assert torch.equal(state.optimizer.second, expected.optimizer.second)
    assert tried == [1]
    assert [said for said in warned if "cannot be recorded here (operation not permitted" in said] == warned


def test_memory_that_runs_out_is_no_reason_to_go_on(recordings: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    def record(body: Callable[[], None]) -> Callable[[], None]:
        raise torch.OutOfMemoryError

    monkeypatch.setattr(recorded_steps, "record", record)
    problem = problem_of(["logistic"], batch=8)
    with pytest.raises(torch.OutOfMemoryError):
        advance(begun(problem), problem, recorded_steps.FEWEST)


def test_what_may_ask_the_processor_is_not_recorded(recordings: list[int]) -> None:
    problem = problem_of(["logistic"], batch=8)
    own = replace(OBJECTIVES["logistic"], code="of the user")
    written = replace(problem, parts=tuple(replace(part, objective=own) for part in problem.parts))
    advance(begun(written), written, recorded_steps.FEWEST)
    compiled = replace(problem, computing=replace(problem.computing, compiled=True))
    assert not recorded_steps.is_recordable(begun(problem), compiled)
    state = replace(begun(problem), memory={0: {}})
    assert not recorded_steps.is_recordable(state, problem)
    assert recordings == []
