"""The training engine: a stack of runs, taken k steps further by one program.

Shapes: R runs, N pairs of one run, B pairs of one batch, K responses of a pair (two, or more for objectives that
compare more), L prompt length, T response length, D numbers of one run's row of parameters.

`advance(state, problem, steps)` is the seam: it takes R runs as they stand and returns them `steps` steps on.
Another engine may take its place as long as it keeps these two records. All that differs between runs (loss,
beta, learning rate, clipping, data) lies in vectors along the run axis, and no operation mixes two rows, so a
run's numbers do not depend on its neighbours.

A stack may as well be of reward models: `value` then is their score of a response, and the reference's is 0.

A run whose loss or parameters stop being finite has diverged; the step is noted and its row left alone,
since no number of it can reach another row. A state can be saved after any step, and training goes on from it as if
nothing had been (`simulator/engine/snapshots.py`).
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace

import torch
from torch import Tensor

from simulator.engine.batches import batches
from simulator.engine.fused_steps import advance_whole, groups
from simulator.engine.problem import Batch, TrainingProblem, TrainState, learning_rate_factors, take, tokens_read
from simulator.engine.recorded_steps import FEWEST, RecordedStep, Tables, is_recordable, recorded
from simulator.networks.compute_mode import computing
from simulator.networks.optimizer import adam_step, clip_rows, clipped_adam_step, start_adam
from simulator.objectives.objective import BatchContext, Regularizer, RegularizerState
from simulator.objectives.stacked_losses import StackedPairs, diagnostics, pair_losses, remember, slices, tokens_of

BATCHES_DRAWN = 512  # steps whose batches are drawn at once


PAIRS_READ = 64  # pairs that a measurement reads together


def start(reference: Tensor, runs: int, problem: TrainingProblem | None = None) -> TrainState:
    """`runs` policies at step 0, each a copy of the reference's parameters [D]; and what there is to remember."""
    parameters = reference.expand(runs, -1).clone()
    diverged_at = torch.full((runs,), -1, dtype=torch.int64, device=reference.device)
    memory: dict[int, RegularizerState] = {}
    if problem is not None:
        one = take(problem, torch.zeros(runs, 1, dtype=torch.int64, device=parameters.device))
        for number, term, context in batch_contexts(parameters, problem, one, 0, problem.learning_rate):
            memory[number] = term.start(context)
        for number, (part, rows) in enumerate(zip(problem.parts, slices(problem.parts), strict=True)):
            kept = part.objective.remembers(part.hyperparameters)
            if kept is not None:
                memory[number] = memory.get(number, {}) | kept.start(problem.beta[rows])
    return TrainState(
        step=0, parameters=parameters, optimizer=start_adam(parameters), memory=memory, diverged_at=diverged_at
    )


def mismatched_ratios(parameters: Tensor, problem: TrainingProblem, batch: Batch) -> dict[int, Tensor]:
    """Log-ratios [r, B, K] of each pair's responses to the prompt of the pair before it, for parts that read them."""
    found = {}
    for number, (part, rows) in enumerate(zip(problem.parts, slices(problem.parts), strict=True)):
        if part.objective.mismatched:
            prompts, responses = batch.prompts[rows].roll(1, dims=1), batch.responses[rows]
            said = []
            with torch.no_grad():
                for some in (parameters[rows], problem.references(rows)):
                    said.append(problem.value(some, problem.architecture, problem.packing, prompts, responses))
            found[number] = said[0] - said[1]
    return found


def have_terms(problem: TrainingProblem) -> bool:
    """Whether a part of the stack has a term."""
    return any(part.objective.term(part.hyperparameters) is not None for part in problem.parts)


def batch_contexts(
    parameters: Tensor, problem: TrainingProblem, batch: Batch, step: int, rate: Tensor
) -> Iterator[tuple[int, Regularizer, BatchContext]]:
    """The number, term and context of each part that has a term, on a batch at the learning rates `rate` [R, 1]."""
    for number, (part, rows) in enumerate(zip(problem.parts, slices(problem.parts), strict=True)):
        term = part.objective.term(part.hyperparameters)
        if term is not None:
            assert problem.reference is not None
            yield (
                number,
                term,
                BatchContext(
                    architecture=problem.architecture,
                    packing=problem.packing,
                    parameters=parameters[rows],
                    reference=problem.reference,
                    prompts=batch.prompts[rows],
                    responses=batch.responses[rows],
                    hyperparameters=part.hyperparameters,
                    beta=problem.beta[rows],
                    rate=rate[rows],
                    seeds=problem.batch_seeds[rows],
                    rows=rows,
                    step=step,
                    online=problem.online,
                    under_reference=problem.under_reference,
                ),
            )


def loss_and_gradient(
    parameters: Tensor,
    problem: TrainingProblem,
    chosen: Tensor | None,
    memory: Mapping[int, RegularizerState] | None = None,
) -> tuple[Tensor, Tensor]:
    """Mean loss [R], float64, and its gradient [R, D] on the pairs `chosen` [R, B], or on all pairs; without terms.

    The mean is over pairs, whatever their weights sum to. memory: what parts remember; the batch is taken into it.
    """
    batch = take(problem, chosen)
    rows = parameters.detach().requires_grad_()
    values = problem.value(rows, problem.architecture, problem.packing, batch.prompts, batch.responses)
    given = StackedPairs(
        policy=values,
        reference=batch.reference_log_probs,
        lengths=tokens_of(batch.responses),
        beta=problem.beta,
        scores=batch.scores,
        mismatched=mismatched_ratios(parameters, problem, batch),
        tokens=tokens_read(rows, problem, batch),
        online=problem.online,
        weights=batch.weights,
        remembered=memory or {},
    )
    if memory:
        remember(given, problem.parts)
    losses = pair_losses(given, problem.parts)
    loss = losses.double().mean(dim=1)  # a sum of float32 may overflow where their mean does not
    (gradient,) = torch.autograd.grad(loss.sum(), rows)
    return loss.detach(), gradient


def add_terms(
    loss: Tensor, gradient: Tensor, state: TrainState, problem: TrainingProblem, chosen: Tensor | None, rate: Tensor
) -> None:
    """Add to loss [R] and gradient [R, D], in place, what the terms of the parts are at the step after `state`."""
    if not have_terms(problem):
        return
    for number, term, context in batch_contexts(state.parameters, problem, take(problem, chosen), state.step + 1, rate):
        value, slope = term.step(context, state.memory[number])
        loss[context.rows] += value
        gradient[context.rows] += slope


def advance(state: TrainState, problem: TrainingProblem, steps: int) -> TrainState:
    """Train every run of the stack for `steps` more steps. `state`'s tensors are updated in place."""
    while steps > BATCHES_DRAWN:
        state, steps = advance(state, problem, BATCHES_DRAWN), steps - BATCHES_DRAWN
    with computing(problem.computing):
        parts = [
            (advance_whole if whole else _advance)(its_state, its_problem, steps)
            for whole, its_state, its_problem in groups(state, problem)
        ]
    diverged_at = torch.cat([part.diverged_at for part in parts])
    return replace(state, step=state.step + steps, diverged_at=diverged_at)


def _advance(state: TrainState, problem: TrainingProblem, steps: int) -> TrainState:
    order = batches(problem, state.step - problem.round_start_step, steps)
    factors = learning_rate_factors(problem.schedule, state.step, steps)
    if is_recordable(state, problem) and (steps >= FEWEST or problem.recorded):
        step_of_all = recorded(state, problem, recorded_body, min(BATCHES_DRAWN, problem.schedule.steps))
        if step_of_all:
            return _replay(step_of_all, state, factors, order)
    for k, factor in enumerate(factors):
        step, chosen = state.step + 1, None if order is None else order[k]
        rate = problem.learning_rate * factor
        loss, gradient = loss_and_gradient(state.parameters, problem, chosen, state.memory)
        add_terms(loss, gradient, state, problem, chosen, rate)
        clipped_adam_step(
            state.parameters,
            gradient,
            state.optimizer,
            step=step,
            rate=rate,
            limit=problem.clip,
            weight_decay=problem.weight_decay,
        )
        diverged_at = torch.where((state.diverged_at < 0) & ~loss.isfinite(), step, state.diverged_at)
        state = replace(state, step=step, diverged_at=diverged_at)
    return state


def _replay(step: RecordedStep, state: TrainState, factors: list[float], order: Tensor | None) -> TrainState:
    step.tables.fill(state.step, factors, order)
    step.diverged_at.copy_(state.diverged_at)
    for _ in factors:
        step.replay()
    return replace(state, step=state.step + len(factors), diverged_at=step.diverged_at.clone())


def recorded_body(state: TrainState, problem: TrainingProblem, tables: Tables, diverged_at: Tensor) -> None:
    """The step at `tables.place`, without a number that the processor would have to know."""
    rate = problem.learning_rate * tables.factor.index_select(0, tables.place)
    corrections = tables.share.index_select(0, tables.place), tables.scale.index_select(0, tables.place)
    loss, gradient = loss_and_gradient(state.parameters, problem, tables.chosen())
    gradient = clip_rows(gradient, problem.clip)
    adam_step(
        state.parameters,
        gradient,
        state.optimizer,
        corrections=corrections,
        rate=rate,
        weight_decay=problem.weight_decay,
    )
    tables.place.add_(1)
    broken = (diverged_at < 0) & ~loss.isfinite()
    diverged_at.copy_(torch.where(broken, tables.begun + tables.place, diverged_at))


def pair_blocks(pairs: int) -> list[slice]:
    """BLOCK pairs after another; none is alone, since a pair has a neighbour then."""
    starts = [first for first in range(0, pairs, PAIRS_READ) if first == 0 or first < pairs - 1]
    return [slice(first, end) for first, end in zip(starts, [*starts[1:], pairs], strict=True)]


def losses_on_pairs(
    state: TrainState, problem: TrainingProblem, log_ratios: Tensor
) -> tuple[Tensor, dict[str, Tensor]]:
    """The loss [R], float64, on the first n pairs of each run, terms included, from log-ratios [R, n, K], nats.

    Those are ratios to pi_ref, also where the reference of the losses has moved.
    And what objectives watch inside their losses there, [R] each.
    """
    pairs = log_ratios.shape[1]
    mismatched: dict[int, list[Tensor]] = {}
    tokens: dict[int, dict[str, list[Tensor]]] = {}
    added = log_ratios.new_zeros(len(log_ratios))
    reads_pairs = have_terms(problem) or any(
        part.objective.mismatched or part.objective.tokens for part in problem.parts
    )
    for some in pair_blocks(pairs) if reads_pairs else []:
        whole = torch.arange(some.start, some.stop, device=log_ratios.device).expand(len(log_ratios), -1)
        batch = take(problem, whole)
        for number, ratios in mismatched_ratios(state.parameters, problem, batch).items():
            mismatched.setdefault(number, []).append(ratios.double())
        for number, read in tokens_read(state.parameters, problem, batch).items():
            for name, values in read.items():
                tokens.setdefault(number, {}).setdefault(name, []).append(values.double())
        for number, term, context in batch_contexts(
            state.parameters, problem, batch, state.step, problem.learning_rate
        ):
            if term.of_pairs:
                added[context.rows] += term.value(context, state.memory[number]) * ((some.stop - some.start) / pairs)
            elif not some.start:
                added[context.rows] += term.value(context, state.memory[number])
    reference = problem.reference_log_probs[:, :pairs].double()
    measured_from = reference if problem.moved is None else problem.moved.measured_from[:, :pairs].double()
    given = StackedPairs(
        policy=log_ratios + measured_from,
        reference=reference,
        lengths=tokens_of(problem.responses[:, :pairs]),
        beta=problem.beta,
        scores=None if problem.scores is None else problem.scores[:, :pairs],
        mismatched={number: torch.cat(ratios, dim=1) for number, ratios in mismatched.items()},
        tokens={
            number: {name: torch.cat(values, dim=1) for name, values in read.items()} for number, read in tokens.items()
        },
        online=problem.online,
        weights=None if problem.weights is None else problem.weights[:, :pairs],
        remembered=state.memory,
    )
    return pair_losses(given, problem.parts).mean(dim=1) + added, diagnostics(given, problem.parts)
