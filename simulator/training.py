"""The training engine: a stack of runs, taken k steps further by one program.

Shapes: R runs, N pairs of one run, B pairs of one batch, L prompt length, T response length, D numbers of
one run's row of parameters.

`advance(state, problem, steps)` is the seam: it takes R runs as they stand and returns them `steps` steps on.
Another engine may take its place as long as it keeps these two records. All that differs between runs (loss,
beta, learning rate, clipping, data) lies in vectors along the run axis, and no operation mixes two rows, so a
run's numbers do not depend on its neighbours.

A stack may as well be of reward models: `value` then is their score of a response, and the reference's is 0.

A run whose loss or parameters stop being finite has diverged; the step is noted and its row left alone,
since no number of it can reach another row.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from simulator.losses import Loss
from simulator.optimizer import Adam, adam_step, clip_rows, learning_rate_factor, start_adam
from simulator.streams import stream
from simulator.transformer import (
    ALIGNMENT,
    Architecture,
    Blocks,
    Packing,
    restack,
    sequence_log_probs,
    unstack,
)

STRETCH = 512  # steps whose batches are drawn at once

Value = Callable[[Blocks, Architecture, Packing, Tensor, Tensor], Tensor]


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """How the learning rate moves over `steps` steps; see `learning_rate_factor`."""

    steps: int
    warmup: int
    kind: str


@dataclass(frozen=True, kw_only=True)
class Problem:
    """What a stack of runs trains on. Rows of one loss are neighbours, in the order of `losses`.

    prompts [R, N, L] and responses [R, N, 2, T] (chosen first) are token ids; reference_log_probs [R, N, 2]
    are in nats. losses: each f with the number of consecutive rows that use it. beta, learning_rate, clip
    [R, 1]: per run; a clip of inf leaves the gradient alone. batch_seeds: one per run, names its stream of
    batches. batch: B. counts: how many of its first pairs each run trains on; all N where empty. value: what margins
    compare, [R, B, 2].
    """

    architecture: Architecture
    packing: Packing
    prompts: Tensor
    responses: Tensor
    reference_log_probs: Tensor
    losses: tuple[tuple[Loss, int], ...]
    beta: Tensor
    learning_rate: Tensor
    clip: Tensor
    weight_decay: float
    schedule: Schedule
    batch: int
    batch_seeds: tuple[int, ...]
    counts: tuple[int, ...] = ()
    value: Value = sequence_log_probs

    @property
    def pairs(self) -> int:
        """N."""
        return self.prompts.shape[1]


@dataclass(frozen=True, kw_only=True)
class State:
    """Where a stack stands after `step` steps.

    parameters [R, D] and the optimizer's moments are updated in place by `advance`. diverged_at [R]: the
    step at which a run's loss or parameters were first found not finite, -1 for a healthy run.
    """

    step: int
    parameters: Tensor
    optimizer: Adam
    diverged_at: Tensor


def start(reference: Tensor, runs: int) -> State:
    """`runs` policies at step 0, each a copy of the reference's parameters [D]."""
    parameters = reference.expand(runs, -1).clone()
    diverged_at = torch.full((runs,), -1, dtype=torch.int64, device=reference.device)
    return State(step=0, parameters=parameters, optimizer=start_adam(parameters), diverged_at=diverged_at)


def batch_order(seed: int, pairs: int, batch: int, first: int, steps: int) -> np.ndarray:
    """Which pairs the batches of `steps` steps after step `first` hold, [steps, batch].

    Epochs follow each other without a gap, each in an order of its own, drawn from the stream
    (seed, "batches", epoch), so that any step's batch is known without those before it.
    """
    begin, end = first * batch, (first + steps) * batch
    epochs = range(begin // pairs, -(-end // pairs))
    order = np.concatenate([stream(seed, "batches", epoch).permutation(pairs) for epoch in epochs])
    return order[begin - epochs[0] * pairs :][: steps * batch].reshape(steps, batch)


def batches(problem: Problem, first: int, steps: int) -> Tensor | None:
    """Indices of the pairs of each step, [steps, R, B], or None where a batch is all pairs of a run."""
    if problem.batch == problem.pairs and not problem.counts:
        return None
    counts = problem.counts or (problem.pairs,) * len(problem.batch_seeds)
    wanted = list(zip(problem.batch_seeds, counts, strict=True))
    order = {key: batch_order(*key, problem.batch, first, steps) for key in set(wanted)}
    stacked = np.stack([order[key] for key in wanted], axis=1)
    return torch.from_numpy(stacked).to(problem.prompts.device)


def pair_losses(log_ratios: Tensor, beta: Tensor, losses: Sequence[tuple[Loss, int]]) -> Tensor:
    """f(beta rho) of each pair, [R, B], for log-ratios [R, B, 2] (chosen first, nats) and beta [R, 1]."""
    z = beta * (log_ratios[..., 0] - log_ratios[..., 1])
    pairs = z.shape[1]
    parts = pad(z, (0, -pairs % ALIGNMENT)).split([rows for _, rows in losses])
    return torch.cat([loss(part) for (loss, _), part in zip(losses, parts, strict=True)])[:, :pairs]


def loss_and_gradient(parameters: Tensor, problem: Problem, chosen: Tensor | None) -> tuple[Tensor, Tensor]:
    """Mean loss [R] and its gradient [R, D] on the pairs `chosen` [R, B], or on all pairs."""
    prompts, responses, reference = problem.prompts, problem.responses, problem.reference_log_probs
    if chosen is not None:
        row = torch.arange(len(chosen), device=chosen.device).unsqueeze(1)
        prompts, responses, reference = prompts[row, chosen], responses[row, chosen], reference[row, chosen]
    blocks = {name: view.detach().requires_grad_() for name, view in unstack(parameters, problem.architecture).items()}
    values = problem.value(blocks, problem.architecture, problem.packing, prompts, responses)
    loss = pair_losses(values - reference, problem.beta, problem.losses).mean(dim=1)
    gradients = torch.autograd.grad(loss.sum(), list(blocks.values()))
    return loss.detach(), restack(dict(zip(blocks, gradients, strict=True)), problem.architecture)


def advance(state: State, problem: Problem, steps: int) -> State:
    """Train every run of the stack for `steps` more steps. `state`'s tensors are updated in place."""
    while steps > STRETCH:
        state, steps = advance(state, problem, STRETCH), steps - STRETCH
    order = batches(problem, state.step, steps)
    diverged_at = state.diverged_at
    for k in range(steps):
        step = state.step + 1 + k
        loss, gradient = loss_and_gradient(state.parameters, problem, None if order is None else order[k])
        schedule = problem.schedule
        factor = learning_rate_factor(step, steps=schedule.steps, warmup=schedule.warmup, schedule=schedule.kind)
        adam_step(
            state.parameters,
            clip_rows(gradient, problem.clip),
            state.optimizer,
            step=step,
            rate=problem.learning_rate * factor,
            weight_decay=problem.weight_decay,
        )
        diverged_at = torch.where((diverged_at < 0) & ~loss.isfinite(), step, diverged_at)
    broken = ~state.parameters.isfinite().all(dim=1)
    diverged_at = torch.where((diverged_at < 0) & broken, state.step + steps, diverged_at)
    return replace(state, step=state.step + steps, diverged_at=diverged_at)
