"""CHES and the displacement rate of many pairs, some at a time.

Everything is computed in float64, so that what is largest does not depend on which engine computes passes, and once for
equal pairs, so that equal pairs have equal scores.

Shapes: N pairs, M different ones, L prompt length, T response length, D parameters.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from simulator.networks.architecture import Architecture
from simulator.pair_scores.ches import centred_similarity, hidden_sums, tokens_of
from simulator.pair_scores.displacement_rate import displacement_rates, transformer_log_probs

MOST_NUMBERS = 2**22  # held at once, so that memory does not grow with the pairs


@dataclass(frozen=True, kw_only=True)
class PairScores:
    """What pairs say, at some parameters, of the likelihood of their chosen responses; float64 [N] each."""

    ches: Tensor  # centered hidden embedding similarity
    ches_normalized: Tensor  # the same of means over tokens
    displacement_rate: Tensor  # <g_w, g_w - g_l>, squared nats for a unit of the parameters

    def at(self, places: Tensor) -> "PairScores":
        """Those of some pairs."""
        return PairScores(**{name: held[places] for name, held in vars(self).items()})


def score_pairs(parameters: Tensor, architecture: Architecture, prompts: Tensor, responses: Tensor) -> PairScores:
    """Scores under the policy with `parameters` [D] of responses [N, 2, T], chosen first, to prompts [N, L]."""
    whole = torch.cat([prompts, responses.flatten(1)], dim=1)
    different, where = whole.unique(dim=0, return_inverse=True)
    asked, said = different[:, : prompts.shape[1]], different[:, prompts.shape[1] :].unflatten(1, responses.shape[1:])
    size = max(1, MOST_NUMBERS // numbers_per_pair(architecture))
    found = []
    for first in range(0, len(asked), size):
        some = slice(first, first + size)
        found.append(_scores(parameters.double(), architecture, asked[some], said[some]))
    return PairScores(**{name: torch.cat([vars(part)[name] for part in found]) for name in vars(found[0])}).at(where)


def numbers_per_pair(architecture: Architecture) -> int:
    """How many numbers are held for one pair: rows, weights and gradients, and what a pass keeps at each position."""
    kept = architecture.layers * (24 * architecture.width + 4 * architecture.heads * architecture.context)
    return 6 * architecture.row + 2 * architecture.context * (kept + 3 * architecture.vocabulary)


def _scores(parameters: Tensor, architecture: Architecture, prompts: Tensor, responses: Tensor) -> PairScores:
    sums = hidden_sums(parameters, architecture, prompts, responses)
    means = sums / tokens_of(responses)
    return PairScores(
        ches=centred_similarity(sums[:, 0], sums[:, 1]),
        ches_normalized=centred_similarity(means[:, 0], means[:, 1]),
        displacement_rate=displacement_rates(transformer_log_probs(architecture), parameters, prompts, responses),
    )
