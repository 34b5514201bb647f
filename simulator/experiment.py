"""One stack of runs from its world to its records: the main job's straight line, for the runs of one stack.

    world -> preference data -> trained runs -> measured checkpoints -> records

Shapes: R runs, N pairs of one run, C checkpoints.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import groupby, pairwise

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from simulator.grid import Run
from simulator.losses import LOSSES
from simulator.measurement import Columns, measure_pairs
from simulator.preferences import Preferences, stack_preferences
from simulator.settings import Data
from simulator.training import Problem, Schedule, State, advance, pair_losses, start
from simulator.transformer import packing
from simulator.world import World


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


def pose(runs: Sequence[Run], world: World, pairs: Preferences) -> Problem:
    """What the stack trains on: `pairs` [R, N, …] of its runs."""
    settings = runs[0].settings
    train = settings.train
    device = world.prompts.device

    def per_run(values: Sequence[float]) -> Tensor:
        return torch.tensor(values, dtype=torch.float32, device=device).unsqueeze(1)

    return Problem(
        architecture=world.architecture,
        packing=packing(
            prompt_length=world.prompts.shape[1],
            response_length=pairs.responses.shape[3],
            responses=2,
            device=device,
        ),
        prompts=world.prompts[pairs.prompt],
        responses=pairs.responses,
        reference_log_probs=pairs.reference.float(),
        losses=tuple((LOSSES[name], len(list(group))) for name, group in groupby(run.loss for run in runs)),
        beta=per_run([run.beta for run in runs]),
        learning_rate=per_run([run.settings.train.learning_rate for run in runs]),
        clip=per_run([run.settings.train.clip or math.inf for run in runs]),
        weight_decay=train.weight_decay if train.optimizer == "adamw" else 0.0,
        schedule=Schedule(steps=train.steps, warmup=train.warmup, kind=train.schedule),
        batch=min(train.batch, settings.data.pairs),
        batch_seeds=tuple(run.seed for run in runs),
    )


def measure(state: State, problem: Problem, pairs: Preferences, world: World, data: Data) -> Columns:
    """Every measured column of the stack as it stands, [R] each."""
    columns, log_ratios = world.measure(state.parameters, pairs, data)
    return columns | measure_pairs(log_ratios, pair_losses(log_ratios, problem.beta, problem.losses))


def note(table: dict[str, np.ndarray], row: int, rows: int, columns: Columns) -> None:
    """Write what was measured at one of `rows` checkpoints into `table`, whose arrays [C, R] are made at the first.

    Small tensors that outlive a checkpoint would lie between the large ones of the next, and memory would grow.
    """
    for name, value in columns.items():
        table.setdefault(name, np.empty((rows, len(value))))[row] = value.cpu().numpy()


def run_stack(runs: Sequence[Run], world: World, tick: Callable[[int], None]) -> pd.DataFrame:
    """Train and measure the runs of one stack; the rows of `curves.parquet` that they make.

    `tick` is told after every checkpoint how many steps each run has taken since the last.
    """
    data = runs[0].settings.data
    with torch.no_grad():
        wanted = [(run.settings.data, run.seed) for run in runs]
        drawn = {key: world.draw(*key) for key in dict.fromkeys(wanted)}
        pairs = stack_preferences([drawn[key] for key in wanted])
        problem = pose(runs, world, pairs)
        state = start(world.reference, len(runs))
        steps = checkpoint_steps(problem.schedule.steps, runs[0].settings.train.checkpoints)
        measured: dict[str, np.ndarray] = {}
        note(measured, 0, len(steps), measure(state, problem, pairs, world, data))
        for row, (before, after) in enumerate(pairwise(steps), start=1):
            with torch.enable_grad():
                state = advance(state, problem, after - before)
            note(measured, row, len(steps), measure(state, problem, pairs, world, data))
            tick(after - before)
    return curve_rows(runs, steps, measured, state.diverged_at.cpu().numpy())


def curve_rows(
    runs: Sequence[Run], steps: Sequence[int], measured: Mapping[str, np.ndarray], diverged_at: np.ndarray
) -> pd.DataFrame:
    """Records of the runs, one row a run and checkpoint, in the order of `runs`, from measured columns [C, R].

    A run diverges at the step that `diverged_at` [R] says (-1 for none), or at the first checkpoint where something
    measured is not finite. It keeps its rows from before, and one more without numbers says at which step.
    """
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
