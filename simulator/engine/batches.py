"""Which pairs each step takes. Shapes: R runs, B pairs of one batch."""

import numpy as np
import torch
from torch import Tensor

from simulator.common.random_streams import random_stream
from simulator.engine.problem import TrainingProblem


def batch_order(seed: int, pairs: int, batch: int, first: int, steps: int, *, turn: int = 0) -> np.ndarray:
    """Which pairs the batches of `steps` steps after step `first` hold, [steps, batch].

    Epochs follow each other without a gap, each in an order of its own, drawn from the stream
    (seed, "batches", epoch), so that any step's batch is known without those before it. A round of fresh pairs has
    streams of its own.
    """
    purpose = ("batches", "round", turn) if turn else ("batches",)
    begin, end = first * batch, (first + steps) * batch
    epochs = range(begin // pairs, -(-end // pairs))
    order = np.concatenate([random_stream(seed, *purpose, epoch).permutation(pairs) for epoch in epochs])
    return order[begin - epochs[0] * pairs :][: steps * batch].reshape(steps, batch)


def batches(problem: TrainingProblem, first: int, steps: int) -> Tensor | None:
    """Indices of the pairs of each step, [steps, R, B], or None where a batch is all pairs of a run.

    first: steps since the problem's pairs were drawn.
    """
    if problem.batch == problem.pairs and not problem.counts:
        return None
    counts = problem.counts or (problem.pairs,) * len(problem.batch_seeds)
    wanted = list(zip(problem.batch_seeds, counts, strict=True))
    order = {key: batch_order(*key, problem.batch, first, steps, turn=problem.online_round) for key in set(wanted)}
    stacked = np.stack([order[key] for key in wanted], axis=1)
    return torch.from_numpy(stacked).to(problem.prompts.device)
