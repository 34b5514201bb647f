"""Responses with a probability and gold for each, and how proxies score.

Shapes: R runs, n prompts and G responses to each of a listing, N pairs, B prompts, K responses to each, T response
length.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from torch import Tensor

Array = np.ndarray


@dataclass(frozen=True, kw_only=True)
class Listing:
    """Responses of the reference to some prompts of a world, which give proxies their zero and their unit."""

    rows: Array  # [n]: which of the world's prompts
    reference_probs: Array  # [n, G]: probabilities, which sum to 1 at each prompt
    gold: Array  # [n, G]: standard deviations under the reference
    pairs: Array  # [N, 3]: a row, and two responses to it, drawn from the law; no proxy has learned from them


class Scorer(Protocol):
    """The proxies of a stack of runs, one of each."""

    @property
    def tables(self) -> Tensor:
        """Scores of the listing, float64 [R, n, G]."""
        ...

    @property
    def drifts(self) -> Tensor:
        """What the chance in each response of the listing does to the logarithm of the unit, float64 [R, n, G]."""
        ...

    def of(self, prompt: Tensor, responses: Tensor) -> Tensor:
        """Scores of responses [R, B, K, T] to the prompts of these rows [R, B], float64 [R, B, K]."""
        ...

    def rows(self, rows: slice) -> "Scorer":
        """The proxies of some of the runs."""
        ...
