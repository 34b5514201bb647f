"""Generalized Preference Optimization: offline training on labelled pairs, by the loss f(beta rho).

Tang et al. 2024, arXiv:2402.05749; the losses are in simulator/losses.py. Gold labels the pairs, or a proxy does: it
then calls the response with the larger score the chosen one, of `data.pool` pairs that gold never saw. Shapes: R runs,
N pairs of one run.
"""

import math
from collections.abc import Sequence
from itertools import groupby, pairwise

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from simulator.checkpoints import checkpoint_steps, curve_rows, note
from simulator.losses import LOSSES
from simulator.measurement import Columns, measure_pairs
from simulator.method import LABELS, Choices, Keys, Method, Tick, proxy_keys
from simulator.preferences import Preferences, labelled, stack_preferences
from simulator.runs import Run
from simulator.scoring import Proxy, Scorer
from simulator.settings import Data, Settings
from simulator.training import Problem, Schedule, State, advance, pair_losses, start
from simulator.transformer import packing
from simulator.world import MADE_OF, World


def strengths(grid: Choices) -> Sequence[tuple[str, float]]:
    """Every loss at every beta."""
    return [(loss, beta) for loss in grid.loss for beta in grid.beta]


def by_proxy(settings: Settings) -> bool:
    """Whether a proxy labels the pairs."""
    return settings.data.labeller == "proxy"


def reads(settings: Settings) -> Sequence[str]:
    """The tables of settings that matter."""
    return (*MADE_OF, "data", "train", *(("proxy",) if by_proxy(settings) else ()))


def per_row(settings: Settings) -> Keys:
    """What may differ between the rows of a stack; pairs of the pool are as many whoever labels them."""
    train = {"train": ("learning_rate", "clip")}
    return train | ({"data": (*LABELS, "pairs"), "proxy": None} if by_proxy(settings) else {"data": LABELS})


def network(settings: Settings) -> tuple[int, int]:
    """Sequences, and tokens of all, in one step of training."""
    world = settings.world
    batch = min(settings.train.batch, settings.data.learned_from)
    return batch, batch * (world.prompt_length + 2 * (world.response_length - 1))


def preferences(runs: Sequence[Run], world: World, scorer: Scorer | None) -> Preferences:
    """The labelled pairs of every run, [R, N, …]."""
    wanted = [(run.settings.data, run.seed) for run in runs]
    if scorer is None:
        drawn = {key: world.draw(*key) for key in dict.fromkeys(wanted)}
        return stack_preferences([drawn[key] for key in wanted])
    rows = []
    for row, (data, seed) in enumerate(wanted):
        pool = world.candidates(data, seed, data.pool, "pool")
        score = scorer.rows(slice(row, row + 1)).of(pool.prompt[None], pool.responses[None])[0].cpu().numpy()
        rows.append(labelled(pool, score, labels="deterministic", temperature=1.0, noise=0.0))
    return stack_preferences(rows)


def pose(runs: Sequence[Run], world: World, pairs: Preferences) -> Problem:
    """What the stack trains on: `pairs` [R, N, …] of its runs."""
    train = runs[0].settings.train
    device = world.prompts.device

    def per_run(values: Sequence[float | None]) -> Tensor:
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
        losses=tuple((LOSSES[name or ""], len(list(group))) for name, group in groupby(run.loss for run in runs)),
        beta=per_run([run.beta for run in runs]),
        learning_rate=per_run([run.settings.train.learning_rate for run in runs]),
        clip=per_run([run.settings.train.clip or math.inf for run in runs]),
        weight_decay=train.weight_decay if train.optimizer == "adamw" else 0.0,
        schedule=Schedule(steps=train.steps, warmup=train.warmup, kind=train.schedule),
        batch=min(train.batch, pairs.prompt.shape[1]),
        batch_seeds=tuple(run.seed for run in runs),
    )


def measure(
    state: State, problem: Problem, pairs: Preferences, world: World, data: Data, scorer: Scorer | None
) -> Columns:
    """Every measured column of the stack as it stands, [R] each."""
    columns, log_ratios = world.measure(state.parameters, pairs, data, scorer)
    return columns | measure_pairs(log_ratios, pair_losses(log_ratios, problem.beta, problem.losses))


def trace(runs: Sequence[Run], world: World, proxies: Sequence[Proxy], tick: Tick) -> pd.DataFrame:
    """World, preference data, trained runs, measured checkpoints, records."""
    data = runs[0].settings.data
    scorer = world.scorer(proxies) if proxies else None
    with torch.no_grad():
        pairs = preferences(runs, world, scorer)
        problem = pose(runs, world, pairs)
        state = start(world.reference, len(runs))
        steps = checkpoint_steps(problem.schedule.steps, runs[0].settings.train.checkpoints)
        measured: dict[str, np.ndarray] = {}
        note(measured, 0, len(steps), measure(state, problem, pairs, world, data, scorer))
        for row, (before, after) in enumerate(pairwise(steps), start=1):
            with torch.enable_grad():
                state = advance(state, problem, after - before)
            note(measured, row, len(steps), measure(state, problem, pairs, world, data, scorer))
            tick(after - before)
    return curve_rows(runs, steps, measured, state.diverged_at.cpu().numpy(), kl_source=world.kl_source)


GPO = Method(
    strengths=strengths,
    proxies=by_proxy,
    reads=reads,
    ignores=lambda settings: {"proxy": proxy_keys(settings)} if by_proxy(settings) else {"data": ("pool",)},
    per_row=per_row,
    check=lambda settings: None,
    steps=lambda settings: settings.train.steps,
    network=network,
    passes=lambda settings: 1,
    trace=trace,
)
