"""How fast a machine trains: two training steps of small stacks, timed here and now."""

import time

import numpy as np
import torch

from simulator.engine.gradient_steps import advance, start
from simulator.engine.problem import Schedule, TrainingProblem
from simulator.networks.architecture import Architecture
from simulator.networks.packing import packing
from simulator.networks.parameters import initial_parameters
from simulator.objectives import OBJECTIVES
from simulator.objectives.stacked_losses import ObjectiveSlice

CPU = torch.device("cpu")
PAIRS = 32  # in a batch


def layer_cost(architecture: Architecture) -> np.ndarray:
    """Multiplications, and numbers moved, for one position of one forward pass, [2]."""
    width, layers, vocabulary = architecture.width, architecture.layers, architecture.vocabulary
    return np.array([layers * 12 * width**2 + width * vocabulary, layers * 30 * width + 4 * vocabulary], dtype=float)


def time_steps(device: torch.device = CPU, runs: int = 16) -> np.ndarray:
    """Seconds for each unit of `layer_cost` of a training step, forward and backward, [2], in a stack of so many runs.

    On a CPU that is timed on one thread.
    """
    costs, seconds = [], []
    for width in (16, 64):
        architecture = Architecture(vocabulary=8, context=5, layers=1, width=width, heads=2)
        problem = problem_of(architecture, device, runs)
        state = start(initial_parameters(architecture, np.random.default_rng(0)).to(device), runs)
        state = advance(state, problem, 2)
        laps = []
        for _ in range(3):
            wait_for(device)
            began = time.perf_counter()
            state = advance(state, problem, 2)
            wait_for(device)
            laps.append((time.perf_counter() - began) / 2)
        costs.append(runs * PAIRS * 8 * layer_cost(architecture))
        seconds.append(min(laps))
    return np.maximum(np.linalg.solve(np.array(costs), np.array(seconds)), 1e-15)


def problem_of(architecture: Architecture, device: torch.device, runs: int) -> TrainingProblem:
    """A stack of runs that all learn from the same pairs."""
    return TrainingProblem(
        architecture=architecture,
        packing=packing(prompt_length=2, response_length=4, responses=2, device=device),
        prompts=torch.zeros(runs, PAIRS, 2, dtype=torch.int64, device=device),
        responses=torch.zeros(runs, PAIRS, 2, 4, dtype=torch.int64, device=device),
        reference_log_probs=torch.zeros(runs, PAIRS, 2, device=device),
        parts=(ObjectiveSlice(objective=OBJECTIVES["logistic"], rows=runs, hyperparameters={}),),
        beta=torch.ones(runs, 1, device=device),
        learning_rate=torch.full((runs, 1), 1e-3, device=device),
        clip=torch.ones(runs, 1, device=device),
        weight_decay=0.0,
        schedule=Schedule(steps=100, warmup=0, kind="constant"),
        batch=PAIRS,
        batch_seeds=(0,) * runs,
    )


def wait_for(device: torch.device) -> None:
    """Wait until a GPU has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
