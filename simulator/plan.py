"""What a sweep will take, before it starts: runs, stacks, memory, time.

Time is a model with two constants, seconds for each multiplication-and-addition of a layer and for each number that
a layer reads and writes, fitted to two training steps of small stacks that are timed here and now. Memory adds up the
tensors that live at once in one worker. Both are estimates, good to about a factor of two.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from simulator.config import Settings, Sweep
from simulator.experiment import MEASURE_FLOATS, checkpoint_steps
from simulator.grid import Run, expand, stacks
from simulator.losses import LOSSES
from simulator.oracle import TEMPERATURES
from simulator.progress import clock
from simulator.training import Problem, Schedule, advance, start
from simulator.transformer import Architecture, initial_parameters, packing
from simulator.worker import one_thread
from simulator.world import architecture_of, world_name

PROCESS_BYTES = 350 * 2**20  # a Python process with torch and pandas
START_SECONDS = 4.0  # of a worker process


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The size of a sweep. `bytes` over all processes at once and `seconds` of wall time are estimates."""

    runs: int
    run_steps: int
    stacks: int
    worlds: int
    workers: int
    bytes: int
    seconds: float

    def text(self, target: Path) -> str:
        """The plan as a user reads it; `target` is where records would go."""
        return "\n".join(
            [
                f"runs            {self.runs:,}, of {self.run_steps:,} training steps in all",
                f"stacks          {self.stacks:,}, in {self.workers} at a time, over {self.worlds} world(s)",
                f"memory          about {self.bytes / 2**30:.1f} GiB",
                f"estimated time  about {clock(self.seconds)} on this machine",
                f"records         would go into {target}",
            ]
        )


def places_of(settings: Settings) -> tuple[int, int]:
    """Positions that go through the network of one run: in a training step, and in a measurement."""
    world = settings.world
    pairs = min(settings.train.batch, settings.data.pairs)
    inner = sum(world.vocabulary**t for t in range(1, world.response_length))
    return (
        pairs * (world.prompt_length + 2 * (world.response_length - 1)),
        world.prompts * (world.prompt_length + inner),
    )


def layer_cost(architecture: Architecture) -> np.ndarray:
    """Multiplications, and numbers moved, for one position of one forward pass, [2]."""
    width, layers, vocabulary = architecture.width, architecture.layers, architecture.vocabulary
    return np.array([layers * 12 * width**2 + width * vocabulary, layers * 30 * width + 4 * vocabulary], dtype=float)


def time_steps() -> np.ndarray:
    """Seconds for each unit of `layer_cost` of a training step, forward and backward, [2], timed on one thread."""
    costs, seconds = [], []
    for width in (16, 64):
        architecture = Architecture(vocabulary=8, context=5, layers=1, width=width, heads=2)
        runs, pairs = 16, 32
        problem = Problem(
            architecture=architecture,
            packing=packing(prompt_length=2, response_length=4, responses=2, device=torch.device("cpu")),
            prompts=torch.zeros(runs, pairs, 2, dtype=torch.int64),
            responses=torch.zeros(runs, pairs, 2, 4, dtype=torch.int64),
            reference_log_probs=torch.zeros(runs, pairs, 2),
            losses=((LOSSES["logistic"], runs),),
            beta=torch.ones(runs, 1),
            learning_rate=torch.full((runs, 1), 1e-3),
            clip=torch.ones(runs, 1),
            weight_decay=0.0,
            schedule=Schedule(steps=100, warmup=0, kind="constant"),
            batch=pairs,
            batch_seeds=(0,) * runs,
        )
        state = start(initial_parameters(architecture, np.random.default_rng(0)), runs)
        state = advance(state, problem, 2)
        laps = []
        for _ in range(3):
            began = time.perf_counter()
            state = advance(state, problem, 2)
            laps.append((time.perf_counter() - began) / 2)
        costs.append(runs * pairs * 8 * layer_cost(architecture))
        seconds.append(min(laps))
    return np.maximum(np.linalg.solve(np.array(costs), np.array(seconds)), 1e-12)


def stack_bytes(stack: Sequence[Run]) -> int:
    """What one stack holds at its largest: parameters and moments, activations of a step, a measurement."""
    settings = stack[0].settings
    world, policy = settings.world, settings.policy
    architecture = architecture_of(settings)
    training, measuring = places_of(settings)
    responses = world.prompts * world.vocabulary**world.response_length
    tokens = settings.data.pairs * (world.prompt_length + 2 * world.response_length + 12)  # token ids, numbers, margins
    activations = 4 * policy.layers * 20 * policy.width
    measured = max(1, min(len(stack), MEASURE_FLOATS // responses))
    return (
        len(stack) * (6 * 4 * architecture.row + training * activations + 8 * tokens)
        + measured * (measuring * activations // policy.layers + 8 * 8 * responses)
        + 12 * 8 * responses
    )


def make_plan(sweep: Sweep, workers: int) -> Plan:
    """The plan of a sweep that nothing is done of yet, on `workers` processes. Raises ConfigError."""
    runs = expand(sweep)
    cut = stacks(runs)
    workers = min(workers, len(cut))
    with one_thread():
        per_unit = time_steps()
    work = 0.0
    for stack in cut:
        settings = stack[0].settings
        training, measuring = places_of(settings)
        checkpoints = len(checkpoint_steps(settings.train.steps, settings.train.checkpoints))
        passes = settings.train.steps * training + checkpoints * measuring / 3  # a measurement has no backward pass
        work += len(stack) * passes * float(layer_cost(architecture_of(settings)) @ per_unit)
    worlds = {world_name(run.settings): run.settings for run in runs}
    responses = max(s.world.prompts * s.world.vocabulary**s.world.response_length for s in worlds.values())
    making = len(worlds) * len(TEMPERATURES) * responses * 2e-7
    for settings in worlds.values():
        read = settings.reference.steps * settings.reference.batch * architecture_of(settings).context
        making += read * float(layer_cost(architecture_of(settings)) @ per_unit)
    return Plan(
        runs=len(runs),
        run_steps=sum(run.settings.train.steps for run in runs),
        stacks=len(cut),
        worlds=len(worlds),
        workers=workers,
        bytes=(workers + (workers > 1)) * PROCESS_BYTES + workers * max(map(stack_bytes, cut)),
        seconds=START_SECONDS + making + work / workers,
    )
