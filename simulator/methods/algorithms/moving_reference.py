"""A reference that follows the policy: trust-region methods, Gorbatovski et al. 2024, arXiv:2404.09656.

After every `train.reference_sync` steps, in parameters,

    π_ref ← α π + (1 − α) π_ref,    α = `train.reference_mixup`

and the loss goes on with log-probabilities of the new reference. α = 1 puts the policy in its place, the paper's hard
update; below it is the soft one. So does TRL's `sync_ref_model`, with `ref_model_mixup_alpha` and
`ref_model_sync_steps`, which this agrees with; the paper's own text was read in others' summaries.

Only the loss has this reference. What is measured, such as KL, margins and gold, stays against the reference of the
world. The reference follows before the next step, so the loss at a checkpoint is that of the steps before it.

Shapes: R runs, N pairs of one run, K responses of each, D parameters.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from simulator.engine.gradient_steps import pair_blocks
from simulator.engine.problem import MovedReference, TrainingProblem, TrainState
from simulator.engine.snapshots import scalar
from simulator.networks.compute_mode import computing
from simulator.settings.run import Run
from simulator.settings.tables import Train


@dataclass(frozen=True, kw_only=True)
class Moved:
    """The parameters [R, D] of the references of a stack that followed their policies `updates` times."""

    parameters: Tensor
    updates: int


def updates_before(train: Train, step: int) -> int:
    """How often the reference has followed the policy before the step after `step`."""
    return min(step, train.steps - 1) // train.reference_sync if train.moves_reference else 0


def mixed(reference: Tensor, policy: Tensor, share: Tensor) -> Tensor:
    """α π + (1 − α) π_ref, in parameters [R, D]; share: α of each run, [R, 1]."""
    return reference * (1 - share) + policy * share


def followed(problem: TrainingProblem, state: TrainState, runs: Sequence[Run]) -> Moved | None:
    """The references that the next step is taken with; None as long as they are those of the world."""
    before = problem.moved
    updates = updates_before(runs[0].settings.train, state.step)
    if updates == (before.updates if before else 0):
        return Moved(parameters=before.parameters, updates=updates) if before else None
    shares = [run.settings.train.reference_mixup for run in runs]
    share = torch.tensor(shares, dtype=state.parameters.dtype, device=state.parameters.device).unsqueeze(1)
    reference = problem.references(slice(0, len(runs)))
    return Moved(parameters=mixed(reference, state.parameters, share), updates=updates)


def with_reference(problem: TrainingProblem, moved: Moved | None) -> TrainingProblem:
    """The problem with log-probabilities of these references; itself where it has them, or none has moved."""
    now = problem.moved
    if moved is None or (now is not None and now.updates == moved.updates):
        return problem
    measured_from = problem.reference_log_probs if now is None else now.measured_from
    blocks = [slice(0, problem.pairs)] if problem.batch == problem.pairs else pair_blocks(problem.pairs)
    with torch.no_grad(), computing(problem.computing.eager):
        said = [
            problem.value(
                moved.parameters,
                problem.architecture,
                problem.packing,
                problem.prompts[:, some],
                problem.responses[:, some],
            )
            for some in blocks
        ]
    reference = MovedReference(parameters=moved.parameters, updates=moved.updates, measured_from=measured_from)
    return replace(problem, reference_log_probs=torch.cat(said, dim=1).to(measured_from.dtype), moved=reference)


def moved_of(problem: TrainingProblem) -> Moved | None:
    """The references that a problem has; None where they are those of the world."""
    moved = problem.moved
    return None if moved is None else Moved(parameters=moved.parameters, updates=moved.updates)


def moved_tensors(problem: TrainingProblem) -> dict[str, Tensor]:
    """What a saved state has of references that moved."""
    moved = problem.moved
    return {} if moved is None else {"parameters": moved.parameters, "updates": scalar(moved.updates)}


def moved_from(tensors: Mapping[str, Tensor], at: TrainState) -> Moved | None:
    """The references that `moved_tensors` made these of; None where there are none."""
    if not tensors:
        return None
    return Moved(parameters=tensors["parameters"].to(at.parameters.device), updates=int(tensors["updates"]))
