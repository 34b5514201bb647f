"""Preference data: pairs of responses from a behaviour policy, labelled by gold or by a proxy.

Shapes: N pairs, K responses to a prompt (2, or more where they are ranked), T response length, R runs. Which policies
pairs are drawn from is in simulator/worlds/behaviour.py. The data of a seed is nested: its first 64 pairs are the same
whether 64 or 1024 are drawn, and runs that differ in beta or loss alone share them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from gold_rewards import Judged, LabelRule, outcome_probabilities
from simulator.worlds.behaviour import Candidates


@dataclass(frozen=True, kw_only=True)
class Preferences:
    """The labelled pairs of one run, or of R runs with a leading axis.

    prompt [N]: row of the prompt. responses [N, K, T]: token ids, chosen first; where there are more than two, they
    come by falling reward. reference [N, K]: log pi_ref, nats. scores [N, K]: rewards, where some objective reads them.
    weights [N, 2]: of the loss of a pair of two as it stands, and of that with its responses exchanged; where there are
    none they are 1 and 0. The loss of a run is the mean over its pairs of w0 ℓ(pair) + w1 ℓ(exchanged), so ½ and ½ are
    a tie, and p and 1 - p a soft label.
    """

    prompt: Tensor
    responses: Tensor
    reference: Tensor
    scores: Tensor | None = None
    weights: Tensor | None = None

    def _each(self, change: Callable[[Tensor], Tensor]) -> "Preferences":
        return Preferences(**{name: change(held) for name, held in vars(self).items() if held is not None})

    def rows(self, rows: slice) -> "Preferences":
        """The pairs of some of the runs."""
        return self._each(lambda held: held[rows])

    def run(self, number: int) -> "Preferences":
        """The pairs of one of the runs."""
        return self._each(lambda held: held[number])

    def at(self, places: Tensor) -> "Preferences":
        """Some pairs of one run."""
        return self._each(lambda held: held[places])

    def without_scores(self) -> "Preferences":
        """The pairs alone."""
        return replace(self, scores=None)

    def first(self, count: int) -> "Preferences":
        """The first pairs of every run."""
        return self._each(lambda held: held[:, :count])

    def between(self, first: int, end: int) -> "Preferences":
        """The pairs of every run from `first` to before `end`."""
        return self._each(lambda held: held[:, first:end])

    def ordered(self, places: Tensor) -> "Preferences":
        """The pairs of every run at its own places [R, N]."""
        row = torch.arange(len(places), device=places.device).unsqueeze(1)
        return self._each(lambda held: held[row, places])

    def tensors(self) -> dict[str, Tensor]:
        """What is held, by its names here."""
        return {name: value for name, value in vars(self).items() if value is not None}


def labelled(pairs: Candidates, judged: Judged, rewards: np.ndarray, rule: LabelRule) -> Preferences:
    """The pairs with the chosen response first, as labels of what is `judged` fall, with gold [A, N, 2].

    `rewards` [N, 2] are kept as scores. Where there may be ties, pairs have weights: 1 and 0, or ½ and ½.
    """
    order, tied = chosen_first(*one_annotator(judged, pairs.draws), rule)
    device = pairs.prompt.device
    found = arranged(pairs, rewards, torch.from_numpy(order).to(device))
    if rule.labels != "ties":
        return found
    weights = np.where(tied[:, None], 0.5, np.array([1.0, 0.0]))
    return replace(found, weights=torch.from_numpy(weights).to(device))


def labelled_by_proxy(pairs: Candidates, scores: np.ndarray, rewards: np.ndarray) -> Preferences:
    """The pairs with the response of the larger score first, of a proxy's `scores` [N, 2]; `rewards` are kept."""
    return labelled(pairs, Judged(gold=scores[None]), rewards, LabelRule(labels="deterministic"))


def ranked(pairs: Candidates, scores: np.ndarray) -> Preferences:
    """The responses to each prompt by falling `scores` [N, K], without labels."""
    order = torch.from_numpy(np.argsort(-scores, axis=1, kind="stable")).to(pairs.prompt.device)
    return arranged(pairs, scores, order)


def arranged(pairs: Candidates, scores: np.ndarray, order: Tensor) -> Preferences:
    """The responses of each pair in the order [N, K]."""
    return Preferences(
        prompt=pairs.prompt,
        responses=pairs.responses.gather(1, order.unsqueeze(2).expand_as(pairs.responses)),
        reference=pairs.reference.gather(1, order),
        scores=torch.from_numpy(scores).to(order.device).gather(1, order),
    )


def padded_preferences(data: Sequence[Preferences]) -> Preferences:
    """The pairs of several runs along a leading axis, each filled up to the most with its first pair."""
    most = max(len(pairs.prompt) for pairs in data)
    places = [torch.arange(most, device=pairs.prompt.device) for pairs in data]
    filled = [torch.where(place < len(pairs.prompt), place, 0) for place, pairs in zip(places, data, strict=True)]
    return stack_preferences([pairs.at(places) for pairs, places in zip(data, filled, strict=True)])


def stack_preferences(data: Sequence[Preferences]) -> Preferences:
    """The pairs of several runs along a leading axis; all of them have scores or none, and weights or none."""
    held = [name for name, value in vars(data[0]).items() if value is not None]
    return Preferences(**{name: torch.stack([getattr(pairs, name) for pairs in data]) for name in held})


def with_weights(pairs: Preferences) -> Preferences:
    """The pairs with the weights that they have, or 1 and 0."""
    if pairs.weights is not None:
        return pairs
    unit = torch.tensor([1.0, 0.0], dtype=torch.float64, device=pairs.prompt.device)
    return replace(pairs, weights=unit.expand(*pairs.prompt.shape, 2))


def more_preferences(before: Preferences, more: Preferences) -> Preferences:
    """The pairs of R runs with more behind them; where some have weights, the others stand as they are."""
    if (before.weights is None) != (more.weights is None):
        before, more = with_weights(before), with_weights(more)
    held = [name for name, value in vars(before).items() if value is not None]
    return Preferences(**{name: torch.cat([getattr(before, name), getattr(more, name)], dim=1) for name in held})


def chosen_first(judged: Judged, draws: np.ndarray, rule: LabelRule) -> tuple[np.ndarray, np.ndarray]:
    """The order [N, 2] that puts the chosen response of each pair first, and which pairs are tied, [N].

    judged [N, 2]: both responses; `draws` [N], uniform on [0, 1), decide between them. Tied pairs stay as they are.
    """
    chosen, tie = outcome_probabilities(judged.at(np.s_[:, 0]), judged.at(np.s_[:, 1]), rule)
    tied = (draws >= chosen) & (draws < chosen + tie)
    second = ((draws >= chosen) & ~tied).astype(np.int64)
    return np.stack([second, 1 - second], axis=1), tied


def one_annotator(judged: Judged, draws: np.ndarray) -> tuple[Judged, np.ndarray]:
    """Each of N pairs as one of the A annotators sees it, with gold [N, 2]; and draws [N] for what they say.

    judged: with gold [A, N, 2]. draws: uniform on [0, 1). Its A-fold says who labels, and what is behind the point is
    uniform again.
    """
    scaled = draws * len(judged.gold)
    who = scaled.astype(np.int64)
    return replace(judged, gold=judged.gold[who, np.arange(len(who))]), scaled - who
