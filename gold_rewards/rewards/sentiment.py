"""Content as the sentiment of a text, by a lexicon: VADER (Hutto & Gilbert 2014, ICWSM 8, pp. 216-225).

The score is VADER's compound one, from -1 to 1, of prompt and response as one text. It is the gold of a controlled
sentiment task as in Rafailov et al. 2023, arXiv:2305.18290, Sec. 6, whose gold is a classifier. Shapes: N pairs of
prompt and response, L prompt length, T response length.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gold_rewards.reward import Kind

BYTES = 256
KEPT = 2**17  # scores that are kept, since policies often say the same
INSTALL = "needs the package vaderSentiment; install it with: pip install 'alignment-simulator[sentiment]'"


@dataclass(frozen=True, kw_only=True)
class SentimentReward:
    """The compound sentiment of texts of bytes."""

    analyzer: Any
    known: dict[bytes, float] = field(default_factory=dict, repr=False)

    def __call__(self, prompts: np.ndarray, responses: np.ndarray) -> np.ndarray:
        """Content score [N] of responses [N, T] to prompts [N, L]."""
        texts = np.concatenate([prompts, responses], axis=1)
        return np.array([self.score(bytes(row[row >= 0].tolist())) for row in texts])

    def score(self, text: bytes) -> float:
        """The compound sentiment of one text."""
        if text not in self.known:
            if len(self.known) >= KEPT:
                self.known.clear()
            self.known[text] = self.analyzer.polarity_scores(text.decode("utf-8", errors="replace"))["compound"]
        return self.known[text]

    def rules(self) -> list[str]:
        """What the score is."""
        return ["the compound sentiment of prompt and response by VADER's lexicon, from -1 to 1"]


def make_sentiment(
    *, vocabulary: int, prompt_length: int, response_length: int, rng: np.random.Generator
) -> SentimentReward:
    """The reward, where tokens are bytes. Raises ValueError where they are not, or VADER is not installed."""
    if vocabulary != BYTES:
        raise ValueError(f"judges text, whose tokens are {BYTES} bytes, and there are {vocabulary} tokens here")
    try:
        from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer
    except ImportError:
        raise ValueError(INSTALL) from None
    return SentimentReward(analyzer=SentimentIntensityAnalyzer())


GOLD_REWARD = Kind(name="sentiment", make=make_sentiment, drawn=False, of_text=True)
