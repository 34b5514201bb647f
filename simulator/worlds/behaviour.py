"""Pairs of responses from a behaviour policy, without labels.

Shapes: P prompts, G responses in all, N pairs, K responses to a prompt (2, or more where they are ranked), T response
length, M inner nodes of the prefix tree, V vocabulary. The behaviour policy mu is one of

    reference   pi_ref
    tempered    pi_ref with every next-token law raised to 1 / temperature and renormalized
    uniform     every next token alike, its end too where it has one; and so every response of one length
    mixture     (1 - share) pi_ref + share uniform, decided once per response
    best_of_n   the one with the most gold of n responses of pi_ref, where every response is listed

Both responses of a pair are drawn from mu independently, so that the mu-weighted squared loss has the closed form
1/2 E_mu rho^2 = Var_mu(log pi - log pi_ref). With `data.one_from_reference` the first of them, and of K every other
one, is drawn from pi_ref; what is measured under mu then is measured under the law of a response of either side. In a
small world some pairs are two identical responses, whose labels say nothing; `data.distinct` draws those again.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np
import torch
from torch import Tensor

from simulator.common.errors import ConfigError
from simulator.measurement.best_of_n import log_best_of_n
from simulator.networks.listing.response_list import ResponseList
from simulator.settings.data_table import Behaviour, Data

TURNS = 100  # draws of a pair whose responses are to differ


class Answers(Protocol):
    """Responses of R runs to prompts, such as labelled pairs, for a world to measure policies on."""

    @property
    def prompt(self) -> Tensor:
        """Rows of the prompts, [R, N]."""
        ...

    @property
    def responses(self) -> Tensor:
        """Token ids [R, N, K, T]."""
        ...

    @property
    def reference(self) -> Tensor:
        """log pi_ref of each response, nats, float64 [R, N, K]."""
        ...

    @property
    def weights(self) -> Tensor | None:
        """Of each pair as it stands and with its responses exchanged, [R, N, 2]; None: as it stands."""
        ...

    def rows(self, rows: slice) -> Self:
        """Those of some of the runs."""
        ...

    def first(self, count: int) -> Self:
        """The first `count` of every run."""
        ...


@dataclass(frozen=True, kw_only=True)
class BehaviourPolicy:
    """mu: what determines its law beside the reference."""

    kind: Behaviour
    temperature: float
    uniform_share: float
    n: int
    one_from_reference: bool


def behaviour_of(data: Data) -> BehaviourPolicy:
    """The behaviour policy that settings ask for."""
    return BehaviourPolicy(
        kind=data.behaviour,
        temperature=data.behaviour_temperature,
        uniform_share=data.uniform_share,
        n=data.behaviour_n,
        one_from_reference=data.one_from_reference,
    )


@dataclass(frozen=True, kw_only=True)
class PairsDraw:
    """What determines pairs from the behaviour policy."""

    behaviour: BehaviourPolicy
    distinct: bool
    seed: int
    purpose: str
    pairs: int
    responses: int


@dataclass(frozen=True, kw_only=True)
class Candidates:
    """Pairs, or K responses to a prompt, without labels: as in Preferences, in the order in which they were drawn.

    draws [N]: uniform on [0, 1), to decide between them.
    """

    prompt: Tensor
    responses: Tensor
    reference: Tensor
    draws: np.ndarray


def side_distributions(
    policy: BehaviourPolicy, nodes: Tensor, listed: ResponseList, gold: Tensor
) -> tuple[np.ndarray, np.ndarray]:
    """The laws of the first and of the second response of a pair, [P, G] each, and the same where both are mu's.

    nodes: the reference's log-probabilities at the inner nodes [P, M, V]. gold [P, G].
    """
    law_nodes = (nodes / policy.temperature).log_softmax(dim=-1) if policy.kind == "tempered" else nodes
    log_law = listed.log_probs(law_nodes.unsqueeze(0))[0]
    if policy.kind == "best_of_n":
        log_law = log_best_of_n(log_law, gold, torch.tensor([policy.n]))[0]
    share = {"uniform": 1.0, "mixture": policy.uniform_share}.get(policy.kind, 0.0)
    law = (1 - share) * log_law.exp().numpy() + share / float(listed.vocabulary) ** listed.lengths.numpy()
    if not policy.one_from_reference:
        return law, law
    return listed.log_probs(nodes.unsqueeze(0))[0].exp().numpy(), law


def behaviour_distribution(sides: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """mu over all responses, [P, G]: the law of a response of either side."""
    first, second = sides
    return first if first is second else (first + second) / 2


def behaviour_temperature(policy: BehaviourPolicy, draws: np.ndarray) -> np.ndarray:
    """The temperature that each response of mu is sampled at, float32 like `draws` [N, K], uniform on [0, 1).

    Uniform is sampling at an infinite temperature. Not of "best_of_n".
    """
    constant = {"reference": 1.0, "tempered": policy.temperature, "uniform": np.inf}
    if policy.kind == "mixture":
        found = np.where(draws < policy.uniform_share, np.inf, 1.0).astype(np.float32)
    else:
        found = np.full(draws.shape, constant[policy.kind], dtype=np.float32)
    if policy.one_from_reference:
        found[:, ::2] = 1.0
    return found


def draw_pairs(
    sides: tuple[np.ndarray, np.ndarray], *, pairs: int, rng: np.random.Generator, responses: int = 2
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw `pairs` pairs: prompts [N], numbers of responses [N, K], and a uniform draw [N] each.

    sides: the laws [P, G] of both responses. Prompts are drawn uniformly. Every pair takes four numbers from `rng`,
    whatever the settings, so that settings can be compared on the same draws; K responses to a prompt take K + 2.
    """
    draws = rng.random((pairs, responses + 2))
    prompt = (draws[:, 0] * len(sides[0])).astype(np.int64)
    return prompt, sample_sides(sides, prompt, draws[:, 1:-1]), draws[:, -1]


def sample_sides(sides: tuple[np.ndarray, np.ndarray], prompt: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """Numbers of responses [N, K] at the prompts of these rows [N], for uniform draws [N, K]: of both laws in turn."""
    first, second = sides
    found = sample_by_inverse(second, prompt, draws)
    if first is not second:
        found[:, ::2] = sample_by_inverse(first, prompt, draws[:, ::2])
    return found


def sample_by_inverse(law: np.ndarray, prompt: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """Numbers of responses [N, K] from `law` [P, G] at the prompts of these rows [N], for uniform draws [N, K]."""
    cumulative = law.cumsum(axis=1)
    cumulative /= cumulative[:, -1:]
    response = np.empty(draws.shape, dtype=np.int64)
    for row in np.unique(prompt):
        here = prompt == row
        response[here] = np.searchsorted(cumulative[row], draws[here], side="right")
    return response


def has_identical(responses: np.ndarray) -> np.ndarray:
    """Which rows [N] have two responses that are the same, for responses [N, K] as numbers, or [N, K, T] as tokens."""
    count, same = responses.shape[1], np.zeros(len(responses), dtype=bool)
    for first, second in itertools.combinations(range(count), 2):
        equal = responses[:, first] == responses[:, second]
        same |= equal if equal.ndim == 1 else equal.all(axis=1)
    return same


def redraw_alike(responses: np.ndarray, again: Callable[[int], np.ndarray]) -> np.ndarray:
    """Responses [N, K, …] of which those that are alike to one prompt are drawn again until all K of it differ.

    again(turn): other responses to the same prompts, [N, K, …]. What is left follows the behaviour policy's law, given
    that they differ. Raises ConfigError where they still do not after TURNS turns.
    """
    found = responses.copy()
    for turn in range(1, TURNS + 1):
        same = has_identical(found)
        if not same.any():
            return found
        found[same] = again(turn)[same]
    if (left := int(has_identical(found).sum())) == 0:
        return found
    raise ConfigError(
        f"data.distinct = true: {TURNS} tries found no {responses.shape[1]} different responses for {left} of "
        f"{len(found)} draws, since the behaviour policy nearly always says the same there; take longer responses, "
        'data.behaviour = "mixture", or data.distinct = false'
    )
