"""Stacks of small networks on random pairs, for tests of what trains them."""

import math

import numpy as np
import torch
from torch import Tensor

from simulator.engine.problem import Schedule, TrainingProblem
from simulator.networks.architecture import Architecture
from simulator.networks.packing import packing, whole_packing
from simulator.networks.parameters import initial_parameters
from simulator.networks.transformer import sequence_log_probs, sequence_scores
from simulator.objectives import OBJECTIVES
from simulator.objectives.stacked_losses import ObjectiveSlice

PROMPT, LENGTH, PAIRS, VOCABULARY = 2, 4, 40, 7


def problem_of(names: list[str], *, batch: int, judges: bool = False, beta: float = 0.7) -> TrainingProblem:
    """A stack with one run of each of these objectives, with random pairs of which some end early."""
    rng, runs, whole = np.random.default_rng(4), len(names), packing
    if judges:
        whole = whole_packing
    responses = rng.integers(VOCABULARY, size=(runs, PAIRS, 2, LENGTH))
    responses[:, ::3, 0, -1] = -1
    cpu = torch.device("cpu")
    return TrainingProblem(
        architecture=Architecture(
            vocabulary=VOCABULARY + judges,
            context=PROMPT + LENGTH - (not judges),
            layers=2,
            width=16,
            heads=2,
            outputs=int(judges),
        ),
        packing=whole(prompt_length=PROMPT, response_length=LENGTH, responses=2, device=cpu),
        prompts=torch.from_numpy(rng.integers(VOCABULARY, size=(runs, PAIRS, PROMPT))),
        responses=torch.from_numpy(responses),
        reference_log_probs=torch.from_numpy(rng.normal(-7, 1, size=(runs, PAIRS, 2))).float() * (not judges),
        parts=tuple(ObjectiveSlice(objective=OBJECTIVES[name], rows=1, hyperparameters={}) for name in names),
        beta=torch.full((runs, 1), beta),
        learning_rate=torch.linspace(1e-3, 3e-3, runs).unsqueeze(1),
        clip=torch.tensor([[1.0], [math.inf], [0.3]]).repeat(runs, 1)[:runs],
        weight_decay=0.1,
        schedule=Schedule(steps=50, warmup=3, kind="linear"),
        batch=batch,
        batch_seeds=tuple(range(runs)),
        value=sequence_scores if judges else sequence_log_probs,
    )


def row_of(problem: TrainingProblem) -> Tensor:
    return initial_parameters(problem.architecture, np.random.default_rng(1)) * 1.3
