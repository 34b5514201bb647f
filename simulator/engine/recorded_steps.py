"""Steps on a GPU as one launch each: a step is recorded once as a CUDA graph, and replayed.

Where a stack is small, the calls of a step take longer than its work. A graph holds the kernels of a step and the
addresses that they read and write. So what differs from step to step is looked up in tables on the device, at a place
that each step moves on by one, and a stack's parameters and moments stay where they are.

It is for objectives of ours without terms and memory, that read no single tokens: a term may ask the processor for
something at every step, and so may code of the user's; and steps that are taken back must leave nothing behind. Shapes:
R runs, B pairs of one batch, C steps that the tables hold.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from simulator.engine.problem import TrainingProblem, TrainState
from simulator.networks.optimizer import bias_corrections

DEVICE = "cuda"  # where steps are recorded
FEWEST = 16  # steps at once for which recording pays
WARM = 3  # steps that are taken before one is recorded, and taken back: libraries make their workspaces in them


@dataclass(frozen=True, kw_only=True)
class Tables:
    """What differs between steps: the factor of the rate [C], Adam's two corrections [C], the batches [C, R, B].

    place [1]: which of them is next. begun [1]: steps taken before the first of them. Without `order`, a batch is all
    pairs.
    """

    factor: Tensor
    share: Tensor
    scale: Tensor
    order: Tensor | None
    place: Tensor
    begun: Tensor

    def fill(self, begun: int, factors: list[float], order: Tensor | None) -> None:
        """Begin with the step after `begun`."""
        corrections = [bias_corrections(begun + k + 1) for k in range(len(factors))]
        shares, scales = zip(*corrections, strict=True)
        for table, values in ((self.factor, factors), (self.share, shares), (self.scale, scales)):
            table[: len(factors)] = torch.tensor(values, dtype=table.dtype)
        if self.order is not None and order is not None:
            self.order[: len(factors)] = order
        self.place.zero_()
        self.begun.fill_(begun)

    def chosen(self) -> Tensor | None:
        """The batch of the next step, [R, B]."""
        return None if self.order is None else self.order.index_select(0, self.place)[0]


@dataclass(frozen=True, kw_only=True)
class RecordedStep:
    """A step of a stack that can be replayed; it updates the parameters and moments that it was recorded with."""

    tables: Tables
    diverged_at: Tensor  # [R]
    replay: Callable[[], None]


Body = Callable[[TrainState, TrainingProblem, Tables, Tensor], None]


def is_recordable(state: TrainState, problem: TrainingProblem) -> bool:
    """Whether the steps of a stack can be recorded."""
    return (
        state.parameters.device.type == DEVICE
        and not state.memory
        and not problem.computing.compiled
        and not any(part.objective.code or part.objective.tokens for part in problem.parts)
    )


def recorded(state: TrainState, problem: TrainingProblem, body: Body, capacity: int) -> RecordedStep | None:
    """The recorded step of a stack, recorded now unless it was before; None where it cannot be. capacity: C.

    Raises torch.OutOfMemoryError.
    """
    held = (state.parameters, state.optimizer.first, state.optimizer.second)
    key = tuple(tensor.data_ptr() for tensor in held)
    if key not in problem.recorded:
        problem.recorded.clear()
        try:
            problem.recorded[key] = _record(state, problem, body, capacity)
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            problem.recorded[key] = None
            text = f"a training step cannot be recorded here ({error}), so steps are taken one by one"
            warnings.warn(text, UserWarning, stacklevel=2)
    found: RecordedStep | None = problem.recorded[key]
    return found


def _record(state: TrainState, problem: TrainingProblem, body: Body, capacity: int) -> RecordedStep:
    runs, device = len(state.parameters), state.parameters.device
    whole = problem.batch == problem.pairs and not problem.counts
    tables = Tables(
        factor=torch.ones(capacity, device=device),
        share=torch.ones(capacity, device=device),
        scale=torch.ones(capacity, device=device),
        order=None if whole else torch.zeros(capacity, runs, problem.batch, dtype=torch.int64, device=device),
        place=torch.zeros(1, dtype=torch.int64, device=device),
        begun=torch.zeros(1, dtype=torch.int64, device=device),
    )
    diverged_at = state.diverged_at.clone()
    held = (state.parameters, state.optimizer.first, state.optimizer.second)
    before = [tensor.clone() for tensor in held]
    try:
        replay = record(lambda: body(state, problem, tables, diverged_at))
    finally:
        for tensor, value in zip(held, before, strict=True):
            tensor.copy_(value)
    return RecordedStep(tables=tables, diverged_at=diverged_at, replay=replay)


def record(body: Callable[[], None]) -> Callable[[], None]:
    """What does all that `body` does on the device again, as one launch. `body` is called a few times."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(WARM):
            body()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        body()
    return graph.replay
