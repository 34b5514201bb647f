"""Content as a sum of token weights: the gold reward with closed forms.

With a reference that draws tokens independently, the Gibbs optimum factorizes over tokens. Shapes: N
pairs of prompt and response, T response length, V vocabulary.
"""

from dataclasses import dataclass

import numpy as np

from gold_rewards.reward import Kind


@dataclass(frozen=True, kw_only=True)
class AdditiveReward:
    """`weights` [V]: what each occurrence of a token is worth, wherever it stands."""

    weights: np.ndarray

    def __call__(self, prompts: np.ndarray, responses: np.ndarray) -> np.ndarray:
        """Content score [N] of responses [N, T]; the prompts [N, L] do not matter."""
        counts = np.zeros((len(responses), len(self.weights) + 1), dtype=np.int64)
        row = np.arange(len(responses))
        for tokens in responses.T:
            counts[row, tokens] += 1  # the last column counts the places behind an end, which hold -1
        return (counts[:, :-1] * self.weights).sum(axis=1)  # equal for equal counts, to the last bit: ties are ties

    def rules(self) -> list[str]:
        """What the score is made of, as readable lines."""
        return [f"each token {token}: {weight:+.2f}" for token, weight in enumerate(self.weights)]


def make_additive(
    *, vocabulary: int, prompt_length: int, response_length: int, rng: np.random.Generator
) -> AdditiveReward:
    """Draw standard normal token weights."""
    return AdditiveReward(weights=rng.normal(size=vocabulary))


GOLD_REWARD = Kind(name="additive", make=make_additive)
