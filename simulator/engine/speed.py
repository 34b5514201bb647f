"""How fast this machine trains: two training steps of small stacks, timed here and now."""

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
        problem = TrainingProblem(
            architecture=architecture,
            packing=packing(prompt_length=2, response_length=4, responses=2, device=torch.device("cpu")),
            prompts=torch.zeros(runs, pairs, 2, dtype=torch.int64),
            responses=torch.zeros(runs, pairs, 2, 4, dtype=torch.int64),
            reference_log_probs=torch.zeros(runs, pairs, 2),
            parts=(ObjectiveSlice(objective=OBJECTIVES["logistic"], rows=runs, hyperparameters={}),),
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
