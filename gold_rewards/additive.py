"""Content as a sum of token weights: the gold reward with closed forms.

With a reference that draws tokens independently, the Gibbs optimum factorizes over tokens. Shapes: N
pairs of prompt and response, T response length, V vocabulary.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, kw_only=True)
class AdditiveReward:
    """`weights` [V]: what each occurrence of a token is worth, wherever it stands."""

    weights: np.ndarray

    def __call__(self, prompts: np.ndarray, responses: np.ndarray) -> np.ndarray:
        """Content score [N] of responses [N, T]; the prompts [N, L] do not matter."""
        return self.weights[responses].sum(axis=1)


def make_additive(
    *, vocabulary: int, prompt_length: int, response_length: int, rng: np.random.Generator
) -> AdditiveReward:
    """Draw standard normal token weights."""
    return AdditiveReward(weights=rng.normal(size=vocabulary))
