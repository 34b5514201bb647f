"""Training a stack on labelled pairs. Shapes: R runs, N pairs of one run, K responses of each."""

import math
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from simulator.measurement.exact import Columns, measure_pairs
from simulator.methods.final_tables import finite, keep_portrait, margin_rows
from simulator.methods.gpo import turns
from simulator.networks.compute_mode import computing_on
from simulator.networks.packing import packing
from simulator.objectives.objective import Part, UnderReference
from simulator.preferences.labelling import preferences, refresh
from simulator.preferences.online import round_at, segments
from simulator.preferences.pairs import Preferences
from simulator.proxies.scores import Proxy, scorer_of
from simulator.settings.run import Run, apart, objective_of, own_of
from simulator.settings.tables import Settings
from simulator.training.checkpoints import Track, checkpoint_steps, curve_rows
from simulator.training.engine import advance, losses_on_pairs, start
from simulator.training.problem import Problem, Schedule, State, settled, state_from, state_tensors
from simulator.training.recorder import Keep, Recorder
from simulator.training.snapshots import named, part_of, scalar, stretches
from simulator.worlds.listing import Scorer
from simulator.worlds.protocol import World


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


def train(runs: Sequence[Run], world: World, proxies: Sequence[Proxy], recorder: Recorder) -> pd.DataFrame:
    """World, preference data, trained runs, measured checkpoints, records."""
    settings, keep = runs[0].settings, recorder.keep
    refreshed = settings.online.refresh
    scorer = scorer_of(world, proxies) if proxies else None
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
