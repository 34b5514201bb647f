"""Scores of pairs under policies that tilt the reference's law by h = θ · φ, at the reference, θ = 0.

The gradient of log pi(y) is φ(y) less its mean under pi, so the displacement rate is ⟨φ_w - E φ, φ_w - φ_l⟩. A table
has a feature for each response, so there it is 1 - pi(y_w) + pi(y_l) and never below 0: alone, no pair lowers its
chosen response. Features take the place of hidden states in CHES: ⟨φ_w, φ_l⟩ - |φ_w|². Shapes: N pairs, P prompts, F
features.
"""

import torch
from torch import Tensor

from simulator.pair_scores.ches import centred_similarity
from simulator.pair_scores.many_pairs import MOST_NUMBERS, PairScores
from simulator.worlds.policy_classes.tilted import Tilted


def tilted_scores(policies: Tilted, prompt: Tensor, responses: Tensor) -> PairScores:
    """The scores [N] of responses [N, 2, T], chosen first, to the prompts of these rows [N]; means over tokens, too.

    Some pairs at a time, so that features of all pairs are never held at once.
    """
    size = max(1, MOST_NUMBERS // policies.parameters) if policies.features is not None else len(prompt)
    mean = None
    if policies.features is not None:
        mean = torch.einsum("pg,pgf->pf", policies.log_reference.exp(), policies.features)
    found = [
        _scores(policies, mean, prompt[first : first + size], responses[first : first + size])
        for first in range(0, len(prompt), max(size, 1))
    ]
    return PairScores(**{name: torch.cat([vars(part)[name] for part in found]) for name in vars(found[0])})


def _scores(policies: Tilted, mean: Tensor | None, prompt: Tensor, responses: Tensor) -> PairScores:
    """Of some pairs; mean: E φ under the reference at each prompt, [P, F]."""
    chosen, rejected = policies.listed.number(responses).unbind(dim=1)
    tokens = (responses >= 0).sum(dim=-1, keepdim=True).double()
    if policies.features is None or mean is None:
        law, differ = policies.log_reference.exp(), (chosen != rejected).double()
        similar = (1 - differ) / (tokens[:, 0] * tokens[:, 1])[:, 0] - 1 / tokens[:, 0, 0].square()
        return PairScores(
            ches=-differ,
            ches_normalized=similar,
            displacement_rate=differ * (1 - law[prompt, chosen] + law[prompt, rejected]),
        )
    first, last = policies.features[prompt, chosen], policies.features[prompt, rejected]
    return PairScores(
        ches=centred_similarity(first, last),
        ches_normalized=centred_similarity(first / tokens[:, 0], last / tokens[:, 1]),
        displacement_rate=((first - mean[prompt]) * (first - last)).sum(dim=-1),
    )
