"""One stack of runs from its world to its records: the main job's straight line, for the runs of one stack.

    world -> preference data -> trained runs -> measured checkpoints -> records

Shapes: R runs, P prompts, G responses, N pairs of one run, C checkpoints, V vocabulary.
"""

import math
from collections.abc import Callable, Sequence
from itertools import groupby, pairwise

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from simulator.config import Data
from simulator.enumeration import leaf_log_probs, node_log_probs
from simulator.grid import Run
from simulator.losses import LOSSES
from simulator.measurement import Columns, PairIndex, measure_law, measure_pairs, pair_values
from simulator.preferences import Preferences, behaviour_law, draw_preferences
from simulator.streams import stream
from simulator.training import Problem, Schedule, State, advance, pair_losses, start
from simulator.transformer import packing, unstack
from simulator.world import World

MEASURE_FLOATS = 2**18  # P * G * runs measured at once, so that memory does not grow with the stack


def checkpoint_steps(steps: int, count: int) -> list[int]:
    """`count` different steps from 0 to `steps`, spaced evenly in the logarithm as far as whole numbers allow."""
    if count > steps:
        return list(range(steps + 1))
    chosen = [0]
    for left in range(count - 1, 0, -1):
        last = max(chosen[-1], 1)
        ideal = last * (steps / last) ** (1 / left) if len(chosen) > 1 else 1.0
        chosen.append(min(max(round(ideal), chosen[-1] + 1), steps - left + 1))
    return chosen


def draw_data(runs: Sequence[Run], world: World, law: np.ndarray) -> list[Preferences]:
    """The preference data of every run: its seed's pairs from `law` [P, G], labelled as its settings say."""
    gold = world.yardstick.gold.cpu().numpy()
    drawn: dict[tuple[int, Data], Preferences] = {}
    for run in runs:
        key = (run.seed, run.settings.data)
        if key not in drawn:
            data = run.settings.data
            drawn[key] = draw_preferences(
                law,
                gold,
                pairs=data.pairs,
                labels=data.labels,
                temperature=data.temperature,
                noise=data.label_noise,
                rng=stream(run.seed, "pairs"),
            )
    return [drawn[run.seed, run.settings.data] for run in runs]


def index_pairs(data: Sequence[Preferences], device: torch.device) -> PairIndex:
    """The pairs of all runs as tensors [R, N]."""

    def rows(name: str) -> Tensor:
        return torch.from_numpy(np.stack([getattr(preferences, name) for preferences in data])).to(device)

    return PairIndex(prompt=rows("prompt"), chosen=rows("chosen"), rejected=rows("rejected"))


def pose(runs: Sequence[Run], world: World, pairs: PairIndex) -> Problem:
    """What the stack trains on."""
    settings = runs[0].settings
    train = settings.train
    device = world.prompts.device

    def per_run(values: Sequence[float]) -> Tensor:
        return torch.tensor(values, dtype=torch.float32, device=device).unsqueeze(1)

    reference = world.yardstick.reference.expand(len(runs), -1, -1)
    return Problem(
        architecture=world.architecture,
        packing=packing(
            prompt_length=world.prompts.shape[1],
            response_length=world.responses.shape[1],
            responses=2,
            device=device,
        ),
        prompts=world.prompts[pairs.prompt],
        responses=world.responses[torch.stack([pairs.chosen, pairs.rejected], dim=2)],
        reference_log_probs=pair_values(reference, pairs).float(),
        losses=tuple((LOSSES[name], len(list(group))) for name, group in groupby(run.loss for run in runs)),
        beta=per_run([run.beta for run in runs]),
        learning_rate=per_run([run.settings.train.learning_rate for run in runs]),
        clip=per_run([run.settings.train.clip or math.inf for run in runs]),
        weight_decay=train.weight_decay if train.optimizer == "adamw" else 0.0,
        schedule=Schedule(steps=train.steps, warmup=train.warmup, kind=train.schedule),
        batch=min(train.batch, settings.data.pairs),
        batch_seeds=tuple(run.seed for run in runs),
    )


def measure(state: State, problem: Problem, pairs: PairIndex, world: World, behaviour: Tensor) -> Columns:
    """Every measured column of the stack as it stands, [R] each. behaviour: mu [P, G]."""
    prompts, responses = world.yardstick.reference.shape
    size = max(1, MEASURE_FLOATS // (prompts * responses))
    parts, ratios = [], []
    for first in range(0, len(state.parameters), size):
        rows = slice(first, first + size)
        blocks = unstack(state.parameters[rows], world.architecture)
        nodes = node_log_probs(blocks, world.architecture, world.prompts, world.responses.shape[1])
        log_probs = leaf_log_probs(nodes, world.architecture.vocabulary)
        parts.append(measure_law(log_probs, world.yardstick, behaviour))
        ratios.append(pair_values(log_probs - world.yardstick.reference, pairs.rows(rows)))
    log_ratios = torch.cat(ratios)
    law = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
    return law | measure_pairs(log_ratios, pair_losses(log_ratios, problem.beta, problem.losses))


def run_stack(runs: Sequence[Run], world: World, tick: Callable[[int], None]) -> pd.DataFrame:
    """Train and measure the runs of one stack; the rows of `curves.parquet` that they make.

    `tick` is told after every checkpoint how many steps each run has taken since the last.
    """
    data = runs[0].settings.data
    law = behaviour_law(
        data.behaviour,
        world.reference_nodes.cpu(),
        temperature=data.behaviour_temperature,
        uniform_share=data.uniform_share,
    )
    pairs = index_pairs(draw_data(runs, world, law), world.prompts.device)
    behaviour = torch.from_numpy(law).to(world.prompts.device)
    problem = pose(runs, world, pairs)
    state = start(world.reference, len(runs))
    steps = checkpoint_steps(problem.schedule.steps, runs[0].settings.train.checkpoints)
    checkpoints = []
    with torch.no_grad():
        checkpoints.append(measure(state, problem, pairs, world, behaviour))
        for before, after in pairwise(steps):
            with torch.enable_grad():
                state = advance(state, problem, after - before)
            checkpoints.append(measure(state, problem, pairs, world, behaviour))
            tick(after - before)
    return curve_rows(runs, steps, checkpoints, state.diverged_at.cpu().numpy())


def curve_rows(
    runs: Sequence[Run], steps: Sequence[int], checkpoints: Sequence[Columns], diverged_at: np.ndarray
) -> pd.DataFrame:
    """Records of the runs, one row a run and checkpoint, in the order of `runs`.

    A run diverges at the step that `diverged_at` [R] says (-1 for none), or at the first checkpoint where something
    measured is not finite. It keeps its rows from before, and one more without numbers says at which step.
    """
    measured = {name: torch.stack([row[name] for row in checkpoints]).cpu().numpy() for name in checkpoints[0]}
    frames = []
    for i, run in enumerate(runs):
        curve = pd.DataFrame({"step": steps} | {name: values[:, i] for name, values in measured.items()})
        curve["status"] = "ok"
        broken = curve.loc[~np.isfinite(curve[list(measured)]).all(axis=1), "step"].tolist()
        ends = [step for step in (int(diverged_at[i]), *broken) if step >= 0]
        if ends:
            end = pd.DataFrame({"step": [min(ends)], "status": ["diverged"]})
            curve = pd.concat([curve[curve["step"] < min(ends)], end], ignore_index=True)
        frames.append(curve.assign(**run.columns()))
    return pd.concat(frames, ignore_index=True)
