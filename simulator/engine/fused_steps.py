"""Whole steps by the compiled engine, for runs whose loss is one of the six of GPO: no operation of torch is between.

Shapes: R runs, N pairs of one run, B pairs of one batch, D numbers of one run's row of parameters.

Which runs are trained so follows from each run's own objective, never from its neighbours in the stack.
"""

import itertools
from collections.abc import Iterator
from dataclasses import replace

import torch

from simulator.engine.batches import batches
from simulator.engine.problem import TrainingProblem, TrainState, learning_rate_factors
from simulator.native import calls
from simulator.networks import fused
from simulator.networks.transformer import sequence_log_probs, sequence_scores
from simulator.objectives.losses.gpo import OBJECTIVES
from simulator.objectives.stacked_losses import ObjectiveSlice, slices

NUMBERS = {  # as native/source/training.hpp counts them
    "logistic": 0,
    "hinge": 1,
    "squared": 2,
    "exponential": 3,
    "truncated_quadratic": 4,
    "savage": 5,
}


def loss_number(part: ObjectiveSlice) -> int | None:
    """Which of the six losses it is; None where it is another."""
    name = part.objective.name
    return NUMBERS[name] if name in NUMBERS and part.objective is OBJECTIVES[name] else None


def are_fused(part: ObjectiveSlice, problem: TrainingProblem) -> bool:
    """Whether the runs of a part of a stack take whole steps by the compiled engine."""
    return (
        loss_number(part) is not None
        and problem.responses.shape[2] == 2
        and problem.weights is None
        and problem.value in (sequence_log_probs, sequence_scores)
    )


def groups(state: TrainState, problem: TrainingProblem) -> Iterator[tuple[bool, TrainState, TrainingProblem]]:
    """Groups of neighbours that take steps alike, and whether whole ones; their tensors are views of the stack's."""
    there = fused.takes(state.parameters, problem.architecture) and fused.updates(state.parameters)
    numbered = zip(range(len(problem.parts)), problem.parts, slices(problem.parts), strict=True)
    for whole, some in itertools.groupby(numbered, lambda each: there and are_fused(each[1], problem)):
        members = list(some)
        first, rows = members[0][0], slice(members[0][2].start, members[-1][2].stop)
        if rows == slice(0, len(state.parameters)):
            yield whole, state, problem
        else:
            parts = tuple(part for _, part, _ in members)
            yield whole, state.select_runs(rows, range(first, first + len(parts))), problem.select_runs(rows, parts)


def advance_whole(state: TrainState, problem: TrainingProblem, steps: int) -> TrainState:
    """Train every run of the stack for `steps` more steps. `state`'s tensors are updated in place."""
    factors = learning_rate_factors(problem.schedule, state.step, steps)
    kinds = [number for part in problem.parts for number in [loss_number(part)] * part.rows]
    order = batches(problem, state.step - problem.round_start_step, steps)
    diverged_at = state.diverged_at.clone()
    prompts, responses = problem.prompts, problem.responses
    pairs = {
        "prompts": prompts,
        "responses": responses,
        "reference": problem.reference_log_probs,
        "beta": problem.beta[:, 0],
        "rate": problem.learning_rate[:, 0],
        "limit": problem.clip[:, 0],
        "loss": torch.tensor(kinds),
    }
    calls.train(
        fused.sizes_of(
            problem.architecture,
            prompts,
            responses.shape[2],
            responses.shape[3],
            whole=problem.value is sequence_scores,
        ),
        state.parameters,
        state.optimizer.first,
        state.optimizer.second,
        diverged_at,
        pairs={name: tensor.contiguous() for name, tensor in pairs.items()} | {"order": order},
        factor=torch.tensor(factors, dtype=torch.float32),
        begun=state.step,
        batch=problem.batch,
        weight_decay=problem.weight_decay,
    )
    return replace(state, step=state.step + steps, diverged_at=diverged_at)
