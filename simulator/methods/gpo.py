"""Training on labelled pairs by a pairwise objective: GPO's f(beta rho), or any other of simulator/objectives/.

Generalized Preference Optimization: Tang et al. 2024, arXiv:2402.05749. Gold labels the pairs, or a proxy does: it then
calls the response with the larger score the chosen one, of `data.pool` pairs that gold never saw. Offline the pairs are
drawn once, from the behaviour policy; with `online.refresh` the policy draws more as it trains. Shapes: R runs, N pairs
of one run, K responses of each.
"""

import math
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from simulator.at_the_end import finite, keep_portrait, margin_rows
from simulator.checkpoints import Track, checkpoint_steps, curve_rows
from simulator.computing import computing_on
from simulator.fresh import round_at, rounds, segments
from simulator.in_flight import named, part_of, scalar, stretches
from simulator.labelling import preferences, refresh, responses
from simulator.measurement import Columns, measure_pairs
from simulator.method import LABELS, Cell, Choices, Keep, Keys, Method, Recorder, objective_of, own_of, proxy_keys
from simulator.objective import Objective, Part, UnderReference
from simulator.objectives import OBJECTIVES
from simulator.packing import packing
from simulator.preferences import Preferences
from simulator.runs import Run, apart
from simulator.scoring import Proxy, Scorer
from simulator.settings import Settings
from simulator.training import (
    Problem,
    Schedule,
    State,
    advance,
    losses_on_pairs,
    settled,
    start,
    state_from,
    state_tensors,
)
from simulator.world import MADE_OF, World


def strengths(grid: Choices) -> Sequence[tuple[Objective, float | None]]:
    """Every objective at every beta, or once where it has none."""
    return [(objective, beta) for objective in grid.loss for beta in (grid.beta if objective.has_beta else (None,))]


def by_proxy(cell: Cell) -> bool:
    """Whether a proxy labels pairs, at the beginning or later, or has the rewards that the objective reads."""
    settings, objective = cell.settings, objective_of(cell)
    labelled_later = turns(cell) > 0 and settings.online.labeller == "proxy" and not objective.ranked
    rewarded = objective.scored and own_of(cell).get("reward") == "proxy"
    return settings.data.labeller == "proxy" or labelled_later or rewarded


def turns(cell: Cell) -> int:
    """How often fresh pairs are drawn."""
    return rounds(cell.settings.online, cell.settings.train.steps)


def reads(cell: Cell) -> Sequence[str]:
    """The tables of settings that matter."""
    own = ("objective",) if objective_of(cell).table else ()
    online = ("online",) if turns(cell) else ()
    return (*MADE_OF, "data", "train", *own, *online, *(("proxy",) if by_proxy(cell) else ()))


def ignores(cell: Cell) -> Keys:
    """What says nothing: tables of other objectives, the pool that nobody labels, and how to make no ensemble."""
    settings, objective = cell.settings, objective_of(cell)
    keys: dict[str, Sequence[str]] = {"proxy": proxy_keys(settings)} if by_proxy(cell) else {}
    unlabelled = LABELS if objective.ranked and not by_proxy(cell) else ()
    keys["data"] = (*unlabelled, *(("pool",) if settings.data.labeller == "gold" else ()))
    keys["online"] = ("labeller",) if objective.ranked else ()
    others = {other.table for other in OBJECTIVES.values()} - {objective.table, ""}
    unread = [f"{objective.table}.{name}" for name in objective.ignores(own_of(cell))]
    return keys | {"objective": (*sorted(others), *unread)}


def per_row(cell: Cell) -> Keys:
    """What may differ between the rows of a stack; pairs of the pool are as many whoever labels them."""
    train: dict[str, Sequence[str] | None] = {"train": ("learning_rate", "clip"), "objective": None}
    if not by_proxy(cell):
        return train | {"data": LABELS}
    pool = cell.settings.data.labeller == "proxy"
    return train | {"data": (*LABELS, *(("pairs",) if pool else ())), "proxy": None}


def held(cell: Cell) -> int:
    """N at most, once the last fresh pairs are there."""
    first, online = cell.settings.data.learned_from, cell.settings.online
    if online.keep == "newest" and turns(cell):
        return max(first, online.pairs)
    return first + turns(cell) * online.pairs


def network(cell: Cell) -> tuple[int, int]:
    """Sequences, and tokens of all, in one step of training."""
    world = cell.settings.world
    batch = min(cell.settings.train.batch, held(cell))
    return batch, batch * (world.prompt_length + responses(cell) * (world.response_length - 1))


def passes(cell: Cell) -> float:
    """How many gradients are taken in a step, what terms need included."""
    objective, own = objective_of(cell), own_of(cell)
    return objective.cost(own) + calibrated_places(cell) / network(cell)[1]


def calibrated_places(cell: Cell) -> int:
    """Tokens that the expectation under the reference takes a gradient of in a step."""
    world, prompts = cell.settings.world, objective_of(cell).calibrates(own_of(cell))
    if world.kind == "sampled":
        return prompts * (world.prompt_length + 2 * (world.response_length - 1))
    inner = sum(world.vocabulary**t for t in range(1, world.response_length))
    return min(prompts, world.prompts) * (world.prompt_length + inner)


def check(cell: Cell) -> None:
    """Raises ValueError where a batch has no other pair to compare with."""
    settings, objective = cell.settings, objective_of(cell)
    batch = min(settings.train.batch, settings.data.learned_from, settings.online.pairs if turns(cell) else 10**9)
    if objective.mismatched and batch < 2:
        raise ValueError(
            f'loss "{objective.name}" compares a pair with others of its batch, and batches have one pair: train.batch '
            f"(={settings.train.batch}), and the pairs that there are, must be at least 2"
        )


def parts_of(runs: Sequence[Run], device: torch.device) -> tuple[Part, ...]:
    """Neighbouring runs of one objective, and of the same words and whole numbers among its parameters."""
    parts = []
    for _, group in groupby(runs, key=apart):
        some = list(group)
        numbers: dict[str, Any] = {**own_of(some[0])}
        for name, value in numbers.items():
            if isinstance(value, float):
                values = [own_of(run)[name] for run in some]
                numbers[name] = torch.tensor(values, dtype=torch.float32, device=device).unsqueeze(1)
        parts.append(Part(objective=objective_of(some[0]), rows=len(some), own=numbers))
    return tuple(parts)


def pose(
    runs: Sequence[Run],
    world: World,
    pairs: Preferences,
    *,
    turn: int = 0,
    began: int = 0,
    under_reference: UnderReference | None = None,
) -> Problem:
    """What the stack trains on: `pairs` [R, N, …] of its runs, or those of a `turn` that began after a step."""
    train = runs[0].settings.train
    device = world.prompts.device
    seeds = tuple(run.seed for run in runs)
    parts = parts_of(runs, device)
    calibrated = any(part.objective.calibrates(part.own) for part in parts)

    def per_run(values: Sequence[float]) -> Tensor:
        return torch.tensor(values, dtype=torch.float32, device=device).unsqueeze(1)

    return Problem(
        architecture=world.architecture,
        packing=packing(
            prompt_length=world.prompts.shape[1],
            response_length=pairs.responses.shape[3],
            responses=pairs.responses.shape[2],
            device=device,
        ),
        prompts=world.prompts[pairs.prompt],
        responses=pairs.responses,
        reference_log_probs=pairs.reference.float(),
        parts=parts,
        beta=per_run([1.0 if run.beta is None else run.beta for run in runs]),
        learning_rate=per_run([run.settings.train.learning_rate for run in runs]),
        clip=per_run([run.settings.train.clip or math.inf for run in runs]),
        weight_decay=train.weight_decay if train.optimizer == "adamw" else 0.0,
        schedule=Schedule(steps=train.steps, warmup=train.warmup, kind=train.schedule),
        batch=min(train.batch, pairs.prompt.shape[1]),
        batch_seeds=seeds,
        scores=pairs.scores,
        reference=world.reference,
        under_reference=under_reference or (world.under_reference(seeds) if calibrated else None),
        fresh=turns(runs[0]) > 0,
        how=computing_on(train.precision, train.compile, train.steps, device),
        turn=turn,
        began=began,
    )


def measure(
    state: State, problem: Problem, pairs: Preferences, world: World, settings: Settings, scorer: Scorer | None
) -> tuple[Columns, Tensor]:
    """Every measured column of the stack as it stands, [R] each; and log-ratios of the first pairs, [R, n, K]."""
    columns, log_ratios = world.measure(state.parameters, pairs, settings.data, scorer)
    losses, inside = losses_on_pairs(state, problem, log_ratios)
    return columns | measure_pairs(log_ratios, losses) | inside, log_ratios


def keep_margins(
    runs: Sequence[Run], world: World, pairs: Preferences, log_ratios: Tensor, alive: np.ndarray, keep: Keep
) -> None:
    """Keep the margins that log-ratios [R, n, K] of the first pairs have, by the gap of gold."""
    shown = pairs.first(log_ratios.shape[1])
    gold = world.gold_of(shown.prompt, shown.responses[..., [0, -1], :])
    margins, gaps = (values[..., 0] - values[..., -1] for values in (log_ratios, gold))
    keep("margins", margin_rows(runs, margins, gaps, alive))


def trace(runs: Sequence[Run], world: World, proxies: Sequence[Proxy], recorder: Recorder) -> pd.DataFrame:
    """World, preference data, trained runs, measured checkpoints, records."""
    settings, keep = runs[0].settings, recorder.keep
    refreshed = settings.online.refresh
    scorer = world.scorer(proxies) if proxies else None
    with torch.no_grad():
        pairs = preferences(runs, world, scorer)
        problem = pose(runs, world, pairs)
        state = start(world.reference, len(runs), problem)
        steps = checkpoint_steps(problem.schedule.steps, settings.train.checkpoints)
        track, log_ratios = Track(rows=len(steps)), None
        if found := recorder.saver.found():
            state, pairs, turn = state_from(found, state), pairs_from(found, pairs), int(found["turn"])
            problem = again(problem, runs, world, pairs, turn, turn * refreshed)
            track.go_on(found)
            recorder.found(state.step)

        def tensors() -> dict[str, Tensor]:
            drawn = pairs.tensors() if refreshed else {}
            return {**state_tensors(state), **track.tensors(), **named("pairs", drawn), "turn": scalar(problem.turn)}

        for after in steps[track.row :]:
            for begin, end in segments(state.step, after, refreshed):
                if turn := round_at(begin, settings.online, steps[-1]):
                    pairs = refresh(state, pairs, runs, world, scorer, turn)
                    problem = again(problem, runs, world, pairs, turn, begin)
                for some in stretches(end - begin, recorder.saver):
                    with torch.enable_grad():
                        state = advance(state, problem, some)
                    recorder.tick(some)
                    recorder.saver.rest(tensors)
            state = settled(state)
            columns, log_ratios = measure(state, problem, pairs, world, settings, scorer)
            track.note(columns)
            recorder.saver.rest(tensors)
        if log_ratios is None:  # the state was saved after the last measurement
            log_ratios = world.measure(state.parameters, pairs, settings.data, scorer)[1]
        keep_portrait(runs, world, state.parameters, state.diverged_at, scorer, keep)
        keep_margins(runs, world, pairs, log_ratios, finite(state.parameters, state.diverged_at), keep)
    return curve_rows(runs, steps, track.measured, state.diverged_at.cpu().numpy(), kl_source=world.kl_source)


def again(before: Problem, runs: Sequence[Run], world: World, pairs: Preferences, turn: int, began: int) -> Problem:
    """What the stack trains on from a turn on, after the problem `before`."""
    if turn == before.turn:
        return before
    return pose(runs, world, pairs, turn=turn, began=began, under_reference=before.under_reference)


def pairs_from(state: Mapping[str, Tensor], pairs: Preferences) -> Preferences:
    """The pairs in a saved state, or those of the beginning where it has none."""
    drawn = part_of(state, "pairs")
    device = pairs.prompt.device
    return Preferences(**{name: value.to(device) for name, value in drawn.items()}) if drawn else pairs


GPO = Method(
    strengths=strengths,
    proxies=by_proxy,
    reads=reads,
    ignores=ignores,
    per_row=per_row,
    check=check,
    steps=lambda cell: cell.settings.train.steps,
    network=network,
    passes=passes,
    trace=trace,
    pairwise=True,
    told=("online.refresh",),
    responses=responses,
    held=held,
    listed=calibrated_places,
)
