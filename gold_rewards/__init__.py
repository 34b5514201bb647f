"""What is good: gold reward functions, and how they label pairs.

A gold reward judges the content of a response to a prompt. Each entry of GOLD_REWARDS draws one from a
random stream and returns a function of prompts [N, L] and responses [N, T] to scores [N]. To add one, write
its module and name it here.
"""

from collections.abc import Callable

import numpy as np

from gold_rewards.additive import make_additive
from gold_rewards.labels import Labels, preference_probability
from gold_rewards.motif import make_motif
from gold_rewards.scale import Scale, scale_under
from gold_rewards.transformer import make_transformer

GoldReward = Callable[[np.ndarray, np.ndarray], np.ndarray]

GOLD_REWARDS: dict[str, Callable[..., GoldReward]] = {
    "transformer": make_transformer,
    "motif": make_motif,
    "additive": make_additive,
}

__all__ = ["GOLD_REWARDS", "GoldReward", "Labels", "Scale", "preference_probability", "scale_under"]
