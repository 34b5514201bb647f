"""Preference data: pairs of responses from a behaviour policy, labelled by gold or by a proxy.

Shapes: P prompts, G responses in all, N pairs, K responses to a prompt (2, or more where they are ranked), T response
length, R runs, M inner nodes of the prefix tree, V vocabulary. The behaviour policy mu is one of

    reference   pi_ref
    tempered    pi_ref with every next-token law raised to 1 / temperature and renormalized
    uniform     every token alike, and so every response of full length
    mixture     (1 - share) pi_ref + share uniform, decided once per response

Both responses of a pair are drawn from mu independently, so that the mu-weighted squared loss has the closed
form 1/2 E_mu rho^2 = Var_mu(log pi - log pi_ref). In a small world some pairs are two identical responses, whose labels
say nothing; `data.distinct` draws those again. The data of a seed is nested: its first 64 pairs are the
same whether 64 or 1024 are drawn, and runs that differ in beta or loss alone share them.
"""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from gold_rewards import Labels, preference_probability
from simulator.complaints import ConfigError
from simulator.enumeration import leaf_log_probs

Behaviour = Literal["reference", "tempered", "uniform", "mixture"]
TURNS = 100  # draws of a pair whose responses are to differ


@dataclass(frozen=True, kw_only=True)
class Preferences:
    """The labelled pairs of one run, or of R runs with a leading axis.

    prompt [N]: row of the prompt. responses [N, K, T]: token ids, chosen first; where there are more than two, they
    come by falling reward. reference [N, K]: log pi_ref, nats. scores [N, K]: rewards, where some objective reads them.
    """

    prompt: Tensor
    responses: Tensor
    reference: Tensor
    scores: Tensor | None = None

    def _each(self, change: Callable[[Tensor], Tensor]) -> "Preferences":
        return Preferences(**{name: change(held) for name, held in vars(self).items() if held is not None})

    def rows(self, rows: slice) -> "Preferences":
        """The pairs of some of the runs."""
        return self._each(lambda held: held[rows])

    def at(self, places: Tensor) -> "Preferences":
        """Some pairs of one run."""
        return self._each(lambda held: held[places])

    def without_scores(self) -> "Preferences":
        """The pairs alone."""
        return replace(self, scores=None)

    def first(self, count: int) -> "Preferences":
        """The first pairs of every run."""
        return self._each(lambda held: held[:, :count])

    def tensors(self) -> dict[str, Tensor]:
        """What is held, by its names here."""
        return {name: value for name, value in vars(self).items() if value is not None}


@dataclass(frozen=True, kw_only=True)
class Candidates:
    """Pairs, or K responses to a prompt, without labels: as in Preferences, in the order in which they were drawn.

    draws [N]: uniform on [0, 1), to decide between them.
    """

    prompt: Tensor
    responses: Tensor
    reference: Tensor
    draws: np.ndarray


def labelled(
    pairs: Candidates,
    scores: np.ndarray,
    rewards: np.ndarray | None = None,
    *,
    labels: Labels,
    temperature: float,
    noise: float,
) -> Preferences:
    """The pairs with the chosen response first, as `scores` [N, 2] decide. `rewards` [N, 2] are kept, or the scores."""
    order = torch.from_numpy(chosen_first(scores, pairs.draws, labels=labels, temperature=temperature, noise=noise)).to(
        pairs.prompt.device
    )
    return arranged(pairs, scores if rewards is None else rewards, order)


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
    """The pairs of several runs along a leading axis."""
    held = [name for name, value in vars(data[0]).items() if value is not None]
    return Preferences(**{name: torch.stack([getattr(pairs, name) for pairs in data]) for name in held})


def more_preferences(before: Preferences, more: Preferences) -> Preferences:
    """The pairs of R runs with more behind them."""
    held = [name for name, value in vars(before).items() if value is not None]
    return Preferences(**{name: torch.cat([getattr(before, name), getattr(more, name)], dim=1) for name in held})


def behaviour_law(behaviour: Behaviour, nodes: Tensor, *, temperature: float, uniform_share: float) -> np.ndarray:
    """mu over all responses, [P, G], from the reference's log-probabilities at the inner nodes [P, M, V]."""
    vocabulary = nodes.shape[-1]
    tempered = behaviour == "tempered"
    law_nodes = (nodes / temperature).log_softmax(dim=-1) if tempered else nodes
    law = leaf_log_probs(law_nodes.unsqueeze(0), vocabulary)[0].exp().numpy()
    share = {"uniform": 1.0, "mixture": uniform_share}.get(behaviour, 0.0)
    return (1 - share) * law + share / law.shape[1]


def behaviour_temperature(
    behaviour: Behaviour, draws: np.ndarray, *, temperature: float, uniform_share: float
) -> np.ndarray:
    """The temperature that each response of mu is sampled at, float32 like `draws`, which are uniform on [0, 1).

    Uniform is sampling at an infinite temperature.
    """
    constant = {"reference": 1.0, "tempered": temperature, "uniform": np.inf}
    if behaviour == "mixture":
        return np.where(draws < uniform_share, np.inf, 1.0).astype(np.float32)
    return np.full(draws.shape, constant[behaviour], dtype=np.float32)


def draw_pairs(
    law: np.ndarray, *, pairs: int, rng: np.random.Generator, responses: int = 2
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw `pairs` pairs from `law` [P, G]: prompts [N], numbers of responses [N, K], and a uniform draw [N] each.

    Prompts are drawn uniformly. Every pair takes four numbers from `rng`, whatever the settings, so that
    settings can be compared on the same draws; K responses to a prompt take K + 2.
    """
    draws = rng.random((pairs, responses + 2))
    prompt = (draws[:, 0] * len(law)).astype(np.int64)
    return prompt, inverse_law(law, prompt, draws[:, 1:-1]), draws[:, -1]


def inverse_law(law: np.ndarray, prompt: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """Numbers of responses [N, K] from `law` [P, G] at the prompts of these rows [N], for uniform draws [N, K]."""
    cumulative = law.cumsum(axis=1)
    cumulative /= cumulative[:, -1:]
    response = np.empty(draws.shape, dtype=np.int64)
    for row in np.unique(prompt):
        here = prompt == row
        response[here] = np.searchsorted(cumulative[row], draws[here], side="right")
    return response


def alike(responses: np.ndarray) -> np.ndarray:
    """Which rows [N] have two responses that are the same, for responses [N, K] as numbers, or [N, K, T] as tokens."""
    count, same = responses.shape[1], np.zeros(len(responses), dtype=bool)
    for first, second in itertools.combinations(range(count), 2):
        equal = responses[:, first] == responses[:, second]
        same |= equal if equal.ndim == 1 else equal.all(axis=1)
    return same


def apart(responses: np.ndarray, again: Callable[[int], np.ndarray]) -> np.ndarray:
    """Responses [N, K, …] of which those that are alike to one prompt are drawn again until all K of it differ.

    again(turn): other responses to the same prompts, [N, K, …]. What is left follows the behaviour policy's law, given
    that they differ. Raises ConfigError where they still do not after TURNS turns.
    """
    found = responses.copy()
    for turn in range(1, TURNS + 1):
        same = alike(found)
        if not same.any():
            return found
        found[same] = again(turn)[same]
    if (left := int(alike(found).sum())) == 0:
        return found
    raise ConfigError(
        f"data.distinct = true: {left} of {len(found)} draws had no {responses.shape[1]} different responses after "
        f"{TURNS} tries, since the behaviour policy nearly always says the same there; take longer responses, "
        'data.behaviour = "mixture", or data.distinct = false'
    )


def chosen_first(
    gold: np.ndarray, draws: np.ndarray, *, labels: Labels, temperature: float, noise: float
) -> np.ndarray:
    """The order [N, 2] that puts the chosen response of each pair first.

    gold [N, 2]: of both responses; `draws` [N], uniform on [0, 1), decide between them.
    """
    probability = preference_probability(gold[:, 0], gold[:, 1], labels=labels, temperature=temperature, noise=noise)
    second = (draws >= probability).astype(np.int64)
    return np.stack([second, 1 - second], axis=1)
