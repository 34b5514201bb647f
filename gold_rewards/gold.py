"""Gold: content plus weighted fluency and length, in standard deviations under the reference.

Shapes: P prompts, G responses to each, N texts, L prompt length, T response length, n prompts of a sample of the
reference and b responses to each.

For content c, fluency f and the number of tokens l with deviations d_c, d_f and d_l, and weights w and b,

    gold = (c / d_c + w f / d_f + b l / d_l) / d - its mean at the prompt,

where d is the deviation of the sum. Means and deviations are those under the reference: exact where every response is
listed, or those of a sample of it.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from gold_rewards.reward import GoldReward
from gold_rewards.scale import scale_of_samples, scale_under

Array = np.ndarray

JUDGED = 8192  # texts at once, so that memory does not grow with the samples


def keys_of(texts: Array) -> Array:
    """A key [N] for each of texts [N, S] of ids from -1 on: equal where the texts are, and quick to sort."""
    base = int(texts.max(initial=0)) + 2
    together = max(1, int(np.log(2.0**62) / np.log(base)))  # ids that one whole number holds
    columns = [texts[:, first : first + together] for first in range(0, texts.shape[1], together)]
    numbers = [(some.astype(np.int64) + 1) @ base ** np.arange(some.shape[1], dtype=np.int64) for some in columns]
    if len(numbers) == 1:
        return numbers[0]
    rows = np.ascontiguousarray(np.stack(numbers, axis=1))
    return rows.view(np.dtype((np.void, rows.itemsize * rows.shape[1])))[:, 0]


def lengths_of(responses: Array) -> Array:
    """Tokens of responses [N, T], which are -1 behind an end, [N]."""
    return (responses >= 0).sum(axis=1)


def gold_over_all(
    content: Array,
    fluency: Array,
    law: Array,
    *,
    weight: float,
    lengths: Array | None = None,
    length_weight: float = 0.0,
) -> tuple[Array, Array, dict[str, Any]]:
    """Gold [P, G] of every response, what fluency gives of it [P, G], and the facts of its scale, from content and
    fluency [P, G], lengths [G] and the reference's law [P, G]. Raises ValueError where gold has no scale.
    """
    content_scale, fluency_scale = scale_under(law, content), scale_under(law, fluency)
    weighted = weight * fluency_scale.apply(fluency)
    total, facts = content_scale.apply(content) + weighted, {}
    if length_weight and lengths is not None:
        length_scale = scale_under(law, np.broadcast_to(lengths, law.shape).astype(float))
        total = total + length_weight * length_scale.apply(np.broadcast_to(lengths, law.shape))
        facts = {"gold_length_deviation": length_scale.deviation}
    total_scale = scale_under(law, total)
    scores = total_scale.apply(total)
    return (
        scores,
        weighted / total_scale.deviation,
        {
            "gold_content_deviation": content_scale.deviation,
            "gold_fluency_deviation": fluency_scale.deviation,
            **facts,
            "gold_deviation": total_scale.deviation,
            "gold_best": float(scores.max(axis=1).mean()),
        },
    )


@dataclass(frozen=True, kw_only=True)
class Gold:
    """Gold of any response but for the mean of its prompt: content, weighted fluency and length, over `deviation`."""

    content: GoldReward
    fluency: Callable[[Array, Array], Array]
    content_deviation: float
    fluency_deviation: float
    fluency_weight: float
    deviation: float
    length_weight: float = 0.0
    length_deviation: float = 1.0

    def score_parts(self, prompts: Array, responses: Array) -> Array:
        """What content and fluency give to the score of responses [N, T] to prompts [N, L], [2, N]; and their length,
        [3, N], where it has a weight.

        Policies that are drawn from with the same noise often say the same, which is judged once.
        """
        texts = np.concatenate([prompts, responses], axis=1)
        _, first, place = np.unique(keys_of(texts), return_index=True, return_inverse=True)
        asked, answers = prompts[first], responses[first]
        some = [slice(start, start + JUDGED) for start in range(0, len(first), JUDGED)]
        content = np.concatenate([self.content(asked[rows], answers[rows]) for rows in some])
        fluency = np.concatenate([self.fluency(asked[rows], answers[rows]) for rows in some])
        weighted = self.fluency_weight * fluency / self.fluency_deviation
        parts = [content / self.content_deviation, weighted]
        if self.length_weight:
            parts.append(self.length_weight * lengths_of(answers) / self.length_deviation)
        return (np.stack(parts) / self.deviation)[:, place.reshape(-1)]

    def facts(self) -> dict[str, Any]:
        """Those of its scale."""
        of_length = {"gold_length_deviation": self.length_deviation} if self.length_weight else {}
        return {
            **of_length,
            "gold_content_deviation": self.content_deviation,
            "gold_fluency_deviation": self.fluency_deviation,
            "gold_deviation": self.deviation,
        }


def gold_from_sample(
    content: GoldReward,
    fluency: Callable[[Array, Array], Array],
    texts: tuple[Array, Array],
    shape: tuple[int, int],
    *,
    weight: float,
    length_weight: float = 0.0,
) -> Gold:
    """Gold on the scale of a sample of the reference: prompts [N, L] and responses [N, T], N = n b of `shape` (n, b).

    Raises ValueError where gold has no scale.
    """
    deviations = [scale_of_samples(score(*texts).reshape(shape)).deviation for score in (content, fluency)]
    gold = Gold(
        content=content,
        fluency=fluency,
        content_deviation=deviations[0],
        fluency_deviation=deviations[1],
        fluency_weight=weight,
        deviation=1.0,
        length_weight=length_weight,
        length_deviation=scale_of_samples(lengths_of(texts[1]).reshape(shape)).deviation if length_weight else 1.0,
    )
    whole = gold.score_parts(*texts).sum(axis=0).reshape(shape)
    return replace(gold, deviation=scale_of_samples(whole).deviation)
