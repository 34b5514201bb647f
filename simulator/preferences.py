"""Preference data: pairs of responses from a behaviour policy, labelled by gold or by a proxy.

Shapes: P prompts, G responses in all, N pairs, T response length, R runs, M inner nodes of the prefix tree,
V vocabulary. The behaviour policy mu is one of

    reference   pi_ref
    tempered    pi_ref with every next-token law raised to 1 / temperature and renormalized
    uniform     every token alike, and so every response of full length
    mixture     (1 - share) pi_ref + share uniform, decided once per response

Both responses of a pair are drawn from mu independently, so that the mu-weighted squared loss has the closed
form 1/2 E_mu rho^2 = Var_mu(log pi - log pi_ref). The data of a seed is nested: its first 64 pairs are the
same whether 64 or 1024 are drawn, and runs that differ in beta or loss alone share them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from gold_rewards import Labels, preference_probability
from simulator.enumeration import leaf_log_probs

Behaviour = Literal["reference", "tempered", "uniform", "mixture"]


@dataclass(frozen=True, kw_only=True)
class Preferences:
    """The labelled pairs of one run, or of R runs with a leading axis.

    prompt [N]: row of the prompt. responses [N, 2, T]: token ids, chosen first. reference [N, 2]: log pi_ref, nats.
    """

    prompt: Tensor
    responses: Tensor
    reference: Tensor

    def rows(self, rows: slice) -> "Preferences":
        """The pairs of some of the runs."""
        return Preferences(prompt=self.prompt[rows], responses=self.responses[rows], reference=self.reference[rows])

    def first(self, count: int) -> "Preferences":
        """The first pairs of every run."""
        return Preferences(
            prompt=self.prompt[:, :count], responses=self.responses[:, :count], reference=self.reference[:, :count]
        )


@dataclass(frozen=True, kw_only=True)
class Candidates:
    """Pairs without labels: as in Preferences, in the order in which they were drawn.

    draws [N]: uniform on [0, 1), to decide between them.
    """

    prompt: Tensor
    responses: Tensor
    reference: Tensor
    draws: np.ndarray


def labelled(pairs: Candidates, scores: np.ndarray, *, labels: Labels, temperature: float, noise: float) -> Preferences:
    """The pairs with the chosen response first, as `scores` [N, 2] decide."""
    order = torch.from_numpy(chosen_first(scores, pairs.draws, labels=labels, temperature=temperature, noise=noise)).to(
        pairs.prompt.device
    )
    return Preferences(
        prompt=pairs.prompt,
        responses=pairs.responses.gather(1, order.unsqueeze(2).expand_as(pairs.responses)),
        reference=pairs.reference.gather(1, order),
    )


def padded_preferences(data: Sequence[Preferences]) -> Preferences:
    """The pairs of several runs along a leading axis, each filled up to the most with its first pair."""
    most = max(len(pairs.prompt) for pairs in data)
    places = [torch.arange(most, device=pairs.prompt.device) for pairs in data]
    filled = [torch.where(place < len(pairs.prompt), place, 0) for place, pairs in zip(places, data, strict=True)]
    return stack_preferences(
        [
            Preferences(prompt=pairs.prompt[at], responses=pairs.responses[at], reference=pairs.reference[at])
            for pairs, at in zip(data, filled, strict=True)
        ]
    )


def stack_preferences(data: Sequence[Preferences]) -> Preferences:
    """The pairs of several runs along a leading axis."""
    return Preferences(
        prompt=torch.stack([pairs.prompt for pairs in data]),
        responses=torch.stack([pairs.responses for pairs in data]),
        reference=torch.stack([pairs.reference for pairs in data]),
    )


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


def draw_pairs(law: np.ndarray, *, pairs: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw `pairs` pairs from `law` [P, G]: prompts [N], numbers of responses [N, 2], and a uniform draw [N] each.

    Prompts are drawn uniformly. Every pair takes four numbers from `rng`, whatever the settings, so that
    settings can be compared on the same draws.
    """
    draws = rng.random((pairs, 4))
    prompt = (draws[:, 0] * len(law)).astype(np.int64)
    cumulative = law.cumsum(axis=1)
    cumulative /= cumulative[:, -1:]
    response = np.empty((pairs, 2), dtype=np.int64)
    for row in np.unique(prompt):
        here = prompt == row
        response[here] = np.searchsorted(cumulative[row], draws[here, 1:3], side="right")
    return prompt, response, draws[:, 3]


def chosen_first(
    gold: np.ndarray, draws: np.ndarray, *, labels: Labels, temperature: float, noise: float
) -> np.ndarray:
    """The order [N, 2] that puts the chosen response of each pair first.

    gold [N, 2]: of both responses; `draws` [N], uniform on [0, 1), decide between them.
    """
    probability = preference_probability(gold[:, 0], gold[:, 1], labels=labels, temperature=temperature, noise=noise)
    second = (draws >= probability).astype(np.int64)
    return np.stack([second, 1 - second], axis=1)
