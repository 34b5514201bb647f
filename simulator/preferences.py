"""Preference data: pairs of responses from a behaviour policy, labelled by gold.

Shapes: P prompts, G responses in all, N pairs, M inner nodes of the prefix tree, V vocabulary. The behaviour
policy mu is one of

    reference   pi_ref
    tempered    pi_ref with every next-token law raised to 1 / temperature and renormalized
    uniform     every response alike
    mixture     (1 - share) pi_ref + share uniform, decided once per response

Both responses of a pair are drawn from mu independently, so that the mu-weighted squared loss has the closed
form 1/2 E_mu rho^2 = Var_mu(log pi - log pi_ref). The data of a seed is nested: its first 64 pairs are the
same whether 64 or 1024 are drawn, and runs that differ in beta or loss alone share them.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from torch import Tensor

from gold_rewards import Labels, preference_probability
from simulator.enumeration import leaf_log_probs

Behaviour = Literal["reference", "tempered", "uniform", "mixture"]


def behaviour_law(behaviour: Behaviour, nodes: Tensor, *, temperature: float, uniform_share: float) -> np.ndarray:
    """mu over all responses, [P, G], from the reference's log-probabilities at the inner nodes [P, M, V]."""
    vocabulary = nodes.shape[-1]
    tempered = behaviour == "tempered"
    law_nodes = (nodes / temperature).log_softmax(dim=-1) if tempered else nodes
    law = leaf_log_probs(law_nodes.unsqueeze(0), vocabulary)[0].exp().numpy()
    share = {"uniform": 1.0, "mixture": uniform_share}.get(behaviour, 0.0)
    return (1 - share) * law + share / law.shape[1]


@dataclass(frozen=True, kw_only=True)
class Preferences:
    """Labelled pairs: the prompt's row [N], and the numbers of the chosen and rejected responses [N]."""

    prompt: np.ndarray
    chosen: np.ndarray
    rejected: np.ndarray


def draw_preferences(
    law: np.ndarray,
    gold: np.ndarray,
    *,
    pairs: int,
    labels: Labels,
    temperature: float,
    noise: float,
    rng: np.random.Generator,
) -> Preferences:
    """Draw `pairs` pairs from `law` [P, G] and label them by `gold` [P, G].

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
    first, second = gold[prompt, response[:, 0]], gold[prompt, response[:, 1]]
    probability = preference_probability(first, second, labels=labels, temperature=temperature, noise=noise)
    swap = draws[:, 3] >= probability
    return Preferences(
        prompt=prompt,
        chosen=np.where(swap, response[:, 1], response[:, 0]),
        rejected=np.where(swap, response[:, 0], response[:, 1]),
    )
