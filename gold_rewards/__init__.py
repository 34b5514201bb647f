"""What is good: gold reward functions, and how they label pairs.

A gold reward judges the content of a response to a prompt. Each entry of GOLD_REWARDS draws one from a
random stream and returns a function of prompts [N, L] and responses [N, T] to scores [N]; where a response is over
before its last place, the places behind it hold -1 and must not count. To add one, write its module and name it here.
"""

from collections.abc import Callable
from typing import Protocol

import numpy as np

from gold_rewards.labels import Labels, preference_probability
from gold_rewards.rewards.additive import make_additive
from gold_rewards.rewards.motif import make_motif
from gold_rewards.rewards.transformer import make_transformer
from gold_rewards.scale import Scale, scale_of_samples, scale_under


class GoldReward(Protocol):
    """Scores [N] of responses [N, T] to prompts [N, L], and what they are made of as readable lines."""

    def __call__(self, prompts: np.ndarray, responses: np.ndarray) -> np.ndarray:
        """Scores [N]."""
        ...

    def rules(self) -> list[str]:
        """One line a rule."""
        ...


GOLD_REWARDS: dict[str, Callable[..., GoldReward]] = {
    "transformer": make_transformer,
    "motif": make_motif,
    "additive": make_additive,
}

__all__ = ["GOLD_REWARDS", "GoldReward", "Labels", "Scale", "preference_probability", "scale_of_samples", "scale_under"]
