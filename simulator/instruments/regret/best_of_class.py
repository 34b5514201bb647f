"""The best that a class of policies has for a loss: it, trained on labels that do not run out.

The same loss, beta, batch and optimizer as a run's, `LONGER` times as many steps, and a fresh pair at each place of
each batch, which counts in both orders with the probabilities of its two labels under a given gold. That is as near to
the least population loss in the class as its optimizer gets. Shapes: R runs, P prompts, G responses,
N pairs.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby

import numpy as np
import torch
from torch import Tensor

from gold_rewards import Judged, outcome_probabilities
from simulator.methods.algorithms.pairwise_training import new_learner
from simulator.preferences.pairs import Preferences, stack_preferences
from simulator.settings.labels import rule_of
from simulator.settings.run import Run
from simulator.worlds.protocol import ListedWorld

Array = np.ndarray

LONGER = 4
MOST_PAIRS = 4_000_000  # in memory at once, of all runs of a stack


def soft_pairs(world: ListedWorld, run: Run, gold: Array, count: int) -> Preferences:
    """Fresh pairs of the behaviour policy, [count], that count as labels by `gold` [P, G] would fall."""
    data = run.settings.data
    drawn = world.candidates(data, run.seed, count, "regret")
    row, number = drawn.prompt.numpy(), world.response_list.number(drawn.responses).numpy()
    known = gold[row[:, None], number]
    rule = rule_of(data)
    chosen, tied = outcome_probabilities(Judged(gold=known[:, 0]), Judged(gold=known[:, 1]), rule)
    stands = chosen + tied / 2
    return Preferences(
        prompt=drawn.prompt,
        responses=drawn.responses,
        reference=drawn.reference,
        weights=torch.from_numpy(np.stack([stands, 1 - stands], axis=1)),
    )


def lengthened(run: Run, times: int) -> Run:
    """The run with so many times as many steps, each on as many pairs as before."""
    settings, steps = run.settings, times * run.steps
    train = settings.train.model_copy(update={"steps": steps, "batch": min(settings.train.batch, settings.data.pairs)})
    return replace(run, cell=replace(run.cell, settings=settings.model_copy(update={"train": train}), steps=steps))


def trained_on_fresh_pairs(world: ListedWorld, runs: Sequence[Run], gold: Array, times: int) -> dict[str, Tensor]:
    """log pi / pi_ref [P, G] of policies so trained, by the name of the run; runs share their seed and data."""
    found: dict[str, Tensor] = {}
    for _, alike in groupby(sorted(runs, key=lambda run: run.stack_key), key=lambda run: run.stack_key):
        longer = sorted((lengthened(run, times) for run in alike), key=lambda run: str(run.loss))
        steps = longer[0].steps
        pairs = soft_pairs(world, longer[0], gold, steps * longer[0].settings.train.batch)
        for some in batched(longer, max(1, MOST_PAIRS // len(pairs.prompt))):
            learner = new_learner(some, world, [], stack_preferences([pairs] * len(some)))
            learner.advance(steps)
            laws = world.policy_class.measured_laws(learner.state.parameters, alone=False)
            found |= zip((run.run_id for run in some), laws - world.reference_log_probs, strict=True)
    return found


def batched(runs: Sequence[Run], count: int) -> Iterator[Sequence[Run]]:
    """Some runs at a time."""
    return (runs[first : first + count] for first in range(0, len(runs), count))
