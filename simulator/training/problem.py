"""What a stack of runs trains on, and where it stands.

Shapes: R runs, N pairs of one run, B pairs of one batch, K responses of a pair (two, or more for objectives that
compare more), L prompt length, T response length, D numbers of one run's row of parameters.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from simulator.networks.architecture import Architecture
from simulator.networks.compute_mode import EAGER, Computing
from simulator.networks.optimizer import Adam
from simulator.networks.packing import Packing
from simulator.networks.parameters import Blocks
from simulator.networks.transformer import sequence_log_probs
from simulator.objectives.objective import RegularizerState, UnderReference
from simulator.objectives.stacked_losses import ObjectiveSlice
from simulator.training.snapshots import part_of, scalar

Value = Callable[[Blocks, Architecture, Packing, Tensor, Tensor], Tensor]


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """How the learning rate moves over `steps` steps; see `learning_rate_factor`."""

    steps: int
    warmup: int
    kind: str


@dataclass(frozen=True, kw_only=True)
class TrainingProblem:
    """What a stack of runs trains on. Rows of one objective are neighbours, in the order of `parts`.

    prompts [R, N, L] and responses [R, N, K, T] (chosen first) are token ids; reference_log_probs [R, N, K] are in
    nats. parts: each objective with the number of consecutive rows that use it. beta, learning_rate, clip [R, 1]: per
    run; a clip of inf leaves the gradient alone. batch_seeds: one per run, names its stream of batches, and `turn`
    names another for each time that pairs are drawn afresh, which `began` says after which step. batch: B. counts: how
    many of its first pairs each run trains on; all N where empty. value: what margins compare, [R, B, K]. scores [R, N,
    K]: rewards, for objectives that read them. reference [D]: parameters of pi_ref, for objectives with mismatched
    pairs or terms, and under_reference for those that ask for it. fresh: whether the policy draws pairs, now or
    later. how: how passes are computed.
    """

    architecture: Architecture
    packing: Packing
    prompts: Tensor
    responses: Tensor
    reference_log_probs: Tensor
    parts: tuple[ObjectiveSlice, ...]
    beta: Tensor
    learning_rate: Tensor
    clip: Tensor
    weight_decay: float
    schedule: Schedule
    batch: int
    batch_seeds: tuple[int, ...]
    counts: tuple[int, ...] = ()
    value: Value = sequence_log_probs
    scores: Tensor | None = None
    reference: Tensor | None = None
    under_reference: UnderReference | None = None
    online: bool = False
    online_round: int = 0
    round_start_step: int = 0
    computing: Computing = EAGER

    @property
    def pairs(self) -> int:
        """N."""
        return self.prompts.shape[1]


@dataclass(frozen=True, kw_only=True)
class TrainState:
    """Where a stack stands after `step` steps.

    parameters [R, D], the optimizer's moments and what terms remember are updated in place by `advance`. memory: of the
    term of each part, by the part's number. diverged_at [R]: the step at which a run's loss or parameters were first
    found not finite, -1 for a healthy run.
    """

    step: int
    parameters: Tensor
    optimizer: Adam
    memory: dict[int, RegularizerState]
    diverged_at: Tensor


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Some pairs of every run: prompts [R, B, L], responses [R, B, K, T], reference_log_probs and scores [R, B, K]."""

    prompts: Tensor
    responses: Tensor
    reference_log_probs: Tensor
    scores: Tensor | None


def take(problem: TrainingProblem, chosen: Tensor | None) -> Batch:
    """The pairs `chosen` [R, B] of every run, or all."""
    row = None if chosen is None else torch.arange(len(chosen), device=chosen.device).unsqueeze(1)

    def some(values: Tensor) -> Tensor:
        return values if row is None else values[row, chosen]

    return Batch(
        prompts=some(problem.prompts),
        responses=some(problem.responses),
        reference_log_probs=some(problem.reference_log_probs),
        scores=None if problem.scores is None else some(problem.scores),
    )


def mark_diverged(state: TrainState) -> TrainState:
    """The state with those runs marked whose parameters are not finite any more.

    It is asked at checkpoints, and not by `advance`, so that a mark does not depend on how the steps were cut.
    """
    broken = ~state.parameters.isfinite().all(dim=1)
    diverged_at = torch.where((state.diverged_at < 0) & broken, state.step, state.diverged_at)
    return replace(state, diverged_at=diverged_at)


def state_tensors(state: TrainState) -> dict[str, Tensor]:
    """The state as named tensors, to be saved."""
    memory = {f"memory.{part}.{name}": value for part, kept in state.memory.items() for name, value in kept.items()}
    return memory | {
        "step": scalar(state.step),
        "parameters": state.parameters,
        "first": state.optimizer.first,
        "second": state.optimizer.second,
        "diverged_at": state.diverged_at,
    }


def state_from(tensors: Mapping[str, Tensor], at: TrainState) -> TrainState:
    """The state that `state_tensors` made these of, where `at` is one of the same stack at its beginning."""
    here = {name: value.to(at.parameters.device) for name, value in tensors.items()}
    return TrainState(
        step=int(tensors["step"]),
        parameters=here["parameters"],
        optimizer=Adam(first=here["first"], second=here["second"]),
        memory={part: part_of(here, f"memory.{part}") for part in at.memory},
        diverged_at=here["diverged_at"],
    )
