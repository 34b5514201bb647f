"""What a stack of runs trains on, and where it stands.

Shapes: R runs, N pairs of one run, B pairs of one batch, K responses of a pair (two, or more for objectives that
compare more), L prompt length, T response length, D numbers of one run's row of parameters.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from simulator.engine.snapshots import part_of, scalar
from simulator.networks.architecture import Architecture
from simulator.networks.compute_mode import EAGER, Computing
from simulator.networks.optimizer import Adam, learning_rate_factor
from simulator.networks.packing import Packing
from simulator.networks.transformer import sequence_log_probs, token_alignment, token_log_probs
from simulator.objectives.objective import RegularizerState, UnderReference
from simulator.objectives.stacked_losses import ObjectiveSlice, slices

Value = Callable[[Tensor, Architecture, Packing, Tensor, Tensor], Tensor]


@dataclass(frozen=True, kw_only=True)
class TokenValues:
    """What policies say of single tokens, [R, B, K, T]: log pi, and what `token_alignment` of a transformer says."""

    log_probs: Value = token_log_probs
    alignment: Value = token_alignment


TOKENS_OF_NETWORKS = TokenValues()


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """How the learning rate moves over `steps` steps; see `learning_rate_factor`."""

    steps: int
    warmup: int
    kind: str


def learning_rate_factors(schedule: Schedule, begun: int, steps: int) -> list[float]:
    """The share of the peak rate at each of so many steps after step `begun`."""
    return [
        learning_rate_factor(step, steps=schedule.steps, warmup=schedule.warmup, schedule=schedule.kind)
        for step in range(begun + 1, begun + steps + 1)
    ]


@dataclass(frozen=True, kw_only=True)
class MovedReference:
    """A reference of each run that has followed its policy; see methods/algorithms/moving_reference.py.

    parameters [R, D]. updates: how often it has. measured_from: log pi_ref, nats, [R, N, K], of the reference that
    log-ratios are measured against, which stays.
    """

    parameters: Tensor
    updates: int
    measured_from: Tensor

    def select_runs(self, rows: slice) -> "MovedReference":
        """That of some of the runs."""
        return replace(self, parameters=self.parameters[rows], measured_from=self.measured_from[rows])


@dataclass(frozen=True, kw_only=True)
class TrainingProblem:
    """What a stack of runs trains on. Rows of one objective are neighbours, in the order of `parts`."""

    architecture: Architecture
    packing: Packing
    prompts: Tensor  # token ids [R, N, L]
    responses: Tensor  # token ids [R, N, K, T], chosen first
    reference_log_probs: Tensor  # nats, [R, N, K]
    parts: tuple[ObjectiveSlice, ...]  # each objective with the number of consecutive rows that use it
    beta: Tensor  # of each run, [R, 1]
    learning_rate: Tensor  # [R, 1]
    clip: Tensor  # of gradients, [R, 1]; inf leaves them alone
    weight_decay: float
    schedule: Schedule
    batch: int  # B
    batch_seeds: tuple[int, ...]  # of each run; they name the streams of batches
    counts: tuple[int, ...] = ()  # how many of its first pairs each run trains on; all N where empty
    value: Value = sequence_log_probs  # what margins compare, [R, B, K]
    tokens: TokenValues = TOKENS_OF_NETWORKS  # for objectives that read single tokens
    scores: Tensor | None = None  # rewards [R, N, K], for objectives that read them
    weights: Tensor | None = None  # of the loss of each pair and of that with responses exchanged, [R, N, 2]; 1, 0
    reference: Tensor | None = None  # parameters of pi_ref [D], for mismatched pairs and regularizers
    moved: MovedReference | None = None  # what `reference_log_probs` are of, where that is no longer pi_ref
    under_reference: UnderReference | None = None  # for objectives that ask for it
    online: bool = False  # whether the policy draws pairs, now or later
    online_round: int = 0  # names another stream of batches for each
    round_start_step: int = 0  # the step after which the round began
    computing: Computing = EAGER  # how passes are computed
    # Its recorded step, by the addresses of the state; see engine/recorded_steps.py.
    recorded: dict[tuple[int, ...], Any] = field(default_factory=dict, init=False, compare=False, repr=False)

    @property
    def pairs(self) -> int:
        """N."""
        return self.prompts.shape[1]

    def references(self, rows: slice) -> Tensor:
        """The parameters [r, D] of the references that the losses of some of the runs compare with."""
        if self.moved is not None:
            return self.moved.parameters[rows]
        assert self.reference is not None
        return self.reference.expand(len(self.beta[rows]), -1)

    def select_runs(self, rows: slice, parts: tuple[ObjectiveSlice, ...]) -> "TrainingProblem":
        """That of neighbouring runs, whose objectives are `parts`."""
        return replace(
            self,
            parts=parts,
            prompts=self.prompts[rows],
            responses=self.responses[rows],
            reference_log_probs=self.reference_log_probs[rows],
            beta=self.beta[rows],
            learning_rate=self.learning_rate[rows],
            clip=self.clip[rows],
            batch_seeds=self.batch_seeds[rows],
            counts=self.counts[rows],
            scores=None if self.scores is None else self.scores[rows],
            weights=None if self.weights is None else self.weights[rows],
            moved=self.moved and self.moved.select_runs(rows),
            under_reference=self.under_reference and self.under_reference.select_runs(rows),
        )


@dataclass(frozen=True, kw_only=True)
class TrainState:
    """Where a stack stands after `step` steps.

    parameters [R, D], the optimizer's moments and what is remembered are updated in place by `advance`. memory: of
    each part, by its number, what its term and its objective remember. diverged_at [R]: the step at which a run's loss
    or parameters were first found not finite, -1 for a healthy run.
    """

    step: int
    parameters: Tensor
    optimizer: Adam
    memory: dict[int, RegularizerState]
    diverged_at: Tensor

    def select_runs(self, rows: slice, parts: range) -> "TrainState":
        """That of neighbouring runs, which are the parts of these numbers; its tensors are views."""
        return TrainState(
            step=self.step,
            parameters=self.parameters[rows],
            optimizer=Adam(first=self.optimizer.first[rows], second=self.optimizer.second[rows]),
            memory={part - parts.start: self.memory[part] for part in parts if part in self.memory},
            diverged_at=self.diverged_at[rows],
        )


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Some pairs of every run: prompts [R, B, L], responses [R, B, K, T], reference_log_probs and scores [R, B, K].

    weights [R, B, 2], where pairs have some.
    """

    prompts: Tensor
    responses: Tensor
    reference_log_probs: Tensor
    scores: Tensor | None
    weights: Tensor | None


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
        weights=None if problem.weights is None else some(problem.weights),
    )


def tokens_read(parameters: Tensor, problem: TrainingProblem, batch: Batch) -> dict[int, dict[str, Tensor]]:
    """What each part reads of single tokens of a batch, [r, B, K, T] each, by its number and the names in Pairs."""
    found: dict[int, dict[str, Tensor]] = {}
    for number, (part, rows) in enumerate(zip(problem.parts, slices(problem.parts), strict=True)):
        if part.objective.tokens:
            asked = problem.architecture, problem.packing, batch.prompts[rows], batch.responses[rows]
            found[number] = {}
            for name in part.objective.tokens:
                read = problem.tokens.alignment if name == "token_alignment" else problem.tokens.log_probs
                of_reference = name == "token_reference"
                with torch.set_grad_enabled(torch.is_grad_enabled() and not of_reference):
                    said = problem.references(rows) if of_reference else parameters[rows]
                    found[number][name] = read(said, *asked)
    return found


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
