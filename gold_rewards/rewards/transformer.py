"""Content judged by a fixed random network: rich, and opaque as human taste.

A bidirectional transformer encoder with random weights reads prompt and response together; one random direction of its
pooled output is the score.
"""

import numpy as np

from gold_rewards.reward import GoldReward, Kind


def make_transformer(
    *, vocabulary: int, prompt_length: int, response_length: int, rng: np.random.Generator
) -> GoldReward:
    """Draw the network: normal matrices from `rng`, no biases, nothing from torch's own generator."""
    from gold_rewards.encoder import make_encoder

    return make_encoder(vocabulary=vocabulary, prompt_length=prompt_length, response_length=response_length, rng=rng)


GOLD_REWARD = Kind(name="transformer", make=make_transformer)
