"""Responses with a probability and gold for each, and how proxies score.

Shapes: R runs, P prompts of a world, n prompts and G responses to each of a listing, L prompt length, N pairs, B
prompts, K responses to each, T response length.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from gold_rewards import Judged, against_nash, kinds_of
from simulator.languages.language import Language, grammar_breaks
from simulator.settings.data_table import Data
from simulator.settings.labels import is_intransitive, rule_of

Array = np.ndarray


@dataclass(frozen=True, kw_only=True)
class Listing:
    """Responses of the reference to some prompts of a world, which give proxies their zero and their unit."""

    rows: Array  # [n]: which of the world's prompts
    reference_probs: Array  # [n, G]: probabilities, which sum to 1 at each prompt
    gold: Array  # [n, G]: standard deviations under the reference
    pairs: Array  # [N, 3]: a row, and two responses to it, drawn from the law; no proxy has learned from them


def nash_columns(data: Data, gold: Array, responses: Tensor) -> Callable[[Tensor], dict[str, Tensor]]:
    """What measures policies with log pi [R, P, G] against the Nash policy, [R], where labels are intransitive.

    gold [P, G]: of all responses [G, T], by which they are labelled.
    """
    if not is_intransitive(data):
        return lambda log_probs: {}
    texts = responses.cpu().numpy()
    judged = Judged(gold=gold, tokens=(texts >= 0).sum(axis=-1), kind=kinds_of(texts))
    preferred = torch.from_numpy(against_nash(judged, rule_of(data))).to(responses.device)
    return lambda log_probs: {"nash_win_rate": (log_probs.exp() * preferred).sum(dim=-1).mean(dim=-1)}


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


def scores_of_all(score: Callable[[Array, Array], Array], prompts: Array, responses: Array) -> Array:
    """`score` of every response [G, T] to every prompt [P, L], as [P, G]."""
    return np.stack([score(np.repeat(row[None], len(responses), axis=0), responses) for row in prompts])


def breaks_of_all(language: Language, prompts: Array, responses: Array) -> Array:
    """Which tokens of every response [G, T] to prompts [n, L] break the grammar, bool [n, G, T]."""
    each = [grammar_breaks(language, np.repeat(row[None], len(responses), axis=0), responses) for row in prompts]
    return np.stack(each)


def ungrammatical_of_all(language: Language, prompts: Array, responses: Array) -> Array:
    """Whether every response [G, T] to prompts [P, L] breaks the grammar, bool [P, G]."""
    return np.concatenate(
        [breaks_of_all(language, prompts[n : n + 1], responses).any(axis=2) for n in range(len(prompts))]
    )
