"""Pairs that another policy drew while it was trained online, as the data of a policy that draws none.

Tang et al. 2024 (arXiv:2405.08448) ask whether online training is better for what its pairs are, or for who draws them:
a policy learns offline from the pairs of an online run, in the order in which they were drawn, or shuffled. Here the
policy that draws is trained first, with the settings of the run, its seed and its pairs; the one that learns from its
pairs takes them in batches of another order. Were batches the same, the two would be one in the order of drawing.

Shapes: R runs, B fresh pairs of one round, K responses of each.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import reduce
from typing import Protocol

import numpy as np
import torch

from simulator.common.random_streams import random_stream
from simulator.preferences.pairs import Preferences, more_preferences
from simulator.settings.run import Run
from simulator.settings.tables import Online


class OnlineLearner(Protocol):
    """A stack of policies that draw pairs as they train."""

    @property
    def step(self) -> int:
        """How many steps it has taken."""
        ...

    @property
    def pairs(self) -> Preferences:
        """Those that they train on now, the newest last."""
        ...

    def next_stop(self, checkpoint: int) -> int:
        """The step, at most that of the checkpoint, up to which steps can be taken at once."""
        ...

    def advance(self, steps: int) -> None:
        """Take steps."""
        ...

    def begin_round(self) -> None:
        """Draw fresh pairs, where a round of them begins."""
        ...


def online_runs(runs: Sequence[Run]) -> list[Run]:
    """The runs that draw what these replay."""

    def drawing(run: Run) -> Run:
        settings = run.settings
        online = settings.online.model_copy(update={"replay": "none"})
        again = settings.model_copy(update={"online": online}).found_in(settings.source)
        return replace(run, cell=replace(run.cell, settings=again))

    return [drawing(run) for run in runs]


def batch_seeds(runs: Sequence[Run]) -> tuple[int, ...]:
    """What names the order of the batches of each run: its seed, or where it replays another number."""
    return tuple(
        run.seed
        if run.settings.online.replay == "none"
        else int(random_stream(run.seed, "replay", "batches").integers(2**62))
        for run in runs
    )


def drawn_by(learner: OnlineLearner, online: Online, steps: int) -> Preferences:
    """The fresh pairs of all rounds of a stack at its beginning, which is trained for them, [R, rounds B, …]."""
    found = []
    for turn in range(1, online.rounds(steps) + 1):
        while learner.step < turn * online.refresh:
            learner.advance(learner.next_stop(turn * online.refresh) - learner.step)
        learner.begin_round()
        count = learner.pairs.prompt.shape[1]
        found.append(learner.pairs.between(count - online.pairs, count))
    return reduce(more_preferences, found)


def replayed(stream: Preferences, seeds: Sequence[int], online: Online) -> Preferences:
    """The pairs [R, N, …] that online runs drew, in the order in which they are replayed."""
    if online.replay == "ordered":
        return stream
    count = stream.prompt.shape[1]
    orders = {seed: random_stream(seed, "replay", "order").permutation(count) for seed in set(seeds)}
    places = torch.from_numpy(np.stack([orders[seed] for seed in seeds])).to(stream.prompt.device)
    return stream.ordered(places)
