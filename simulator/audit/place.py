"""What an estimator can see at one prompt, of every response, and of responses that were drawn.

Shapes: G responses of up to T tokens, P prompts, N batches, K responses to each prompt, D parameters.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from simulator.audit.scores import Scores
from simulator.common.random_streams import random_stream


@dataclass(frozen=True, kw_only=True)
class Place:
    """One prompt, float64. The policy that draws differs from that of the scores where responses are used again."""

    scores: Scores
    old_log_probs: Tensor  # of each token, of the policy that draws, [G, T]
    log_ratio: Tensor  # log pi / pi_ref of each token, of the policy that draws, 0 behind an end, [G, T]
    reward: Tensor  # [G]
    said: Tensor  # which places have tokens, bool [G, T]
    penalty: float  # tau

    @property
    def law(self) -> Tensor:
        """The policy that draws, [G]; sums to 1."""
        law = self.old_log_probs.sum(dim=-1).exp()
        return law / law.sum()

    @property
    def lengths(self) -> Tensor:
        """Tokens of each response, [G]."""
        return self.said.sum(dim=-1).double()

    @property
    def ratio(self) -> Tensor:
        """log pi / pi_ref of each response, [G]."""
        return self.log_ratio.sum(dim=-1)

    @property
    def returns(self) -> Tensor:
        """r - tau log pi / pi_ref of each response, [G]."""
        return self.reward - self.penalty * self.ratio

    def along(self, values: Tensor) -> Tensor:
        """Values [G] of responses at each of their tokens, [G, T]."""
        return values[:, None] * self.said

    def to_go(self, values: Tensor) -> Tensor:
        """At each token, the sum of the values [G, T] of it and of those behind it, 0 behind an end, [G, T]."""
        return values.flip(-1).cumsum(dim=-1).flip(-1) * self.said


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """Batches of responses: numbers [N, P, K] of those of each prompt."""

    places: Sequence[Place]
    numbers: Tensor

    def of(self, value: Callable[[Place], Tensor]) -> Tensor:
        """A value [G, …] of each response that was drawn, [N, P, K, …]."""
        found = [value(place)[self.numbers[:, row]] for row, place in enumerate(self.places)]
        return torch.stack(found, dim=1)

    @property
    def each(self) -> int:
        """How many responses a batch has."""
        return self.numbers.shape[1] * self.numbers.shape[2]

    def first(self, count: int) -> "Drawn":
        """The first batches."""
        return Drawn(places=self.places, numbers=self.numbers[:count])


def draw(places: Sequence[Place], *, batches: int, group: int, seed: int) -> Drawn:
    """Batches from the stream ("audit", "responses") of the seed, by inverse transforms."""
    uniform = random_stream(seed, "audit", "responses").random((batches, len(places), group))
    numbers = []
    for row, place in enumerate(places):
        below = place.law.cumsum(dim=0).numpy()
        found = np.searchsorted(below, uniform[:, row] * below[-1], side="right")
        numbers.append(torch.from_numpy(found.clip(max=len(below) - 1)))
    return Drawn(places=places, numbers=torch.stack(numbers, dim=1))
