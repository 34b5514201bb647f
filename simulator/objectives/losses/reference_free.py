"""Losses without a reference. They normalize by length: ℓ = log π(y|x) / |y|, in nats per token.

Nothing in them holds a policy near the reference, so what they come to depends on the steps and the learning rate.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from simulator.common.lazy import functional, torch
from simulator.objectives.objective import Pairs, Parameter, named, of_pairs

if TYPE_CHECKING:
    from torch import Tensor

SURE = -1e-6  # nats per token; odds of what is surer are taken for those at it


def sft(pairs: Pairs) -> Tensor:
    """-log π(y_w) / |y_w|. Supervised fine-tuning, as of demonstrations in Ouyang et al. 2022, arXiv:2203.02155.

    It has no β, no reference and no rejected response. TRL's `sft` is the mean over all tokens of the batch, here each
    response has its own, which is the same where responses are equally long. Alone it is a baseline; in a sum,
    "logistic + 0.5 sft", it keeps chosen ones likely.
    """
    return -pairs.per_token[:, 0]


def simper(pairs: Pairs) -> Tensor:
    """-exp(ℓ_w) + exp(ℓ_l). SimPER, Xiao et al. 2025, arXiv:2502.00883, Eq. 5.

    The inverse perplexities of the two responses; no β, no reference, no margin. Where responses are one token long it
    is linear in π.
    """
    inverse_perplexity = torch.exp(pairs.per_token)
    return inverse_perplexity[:, -1] - inverse_perplexity[:, 0]


def simpo(pairs: Pairs) -> Tensor:
    """-log σ(β(ℓ_w - ℓ_l) - γ). SimPO, Meng et al. 2024, arXiv:2405.14734, Eq. 6; γ is `margin`."""
    gap = pairs.per_token[:, 0] - pairs.per_token[:, -1]
    return functional.softplus(pairs.hyperparameters["margin"] - pairs.beta * gap)


def orpo(pairs: Pairs) -> Tensor:
    """-ℓ_w - λ log σ(log odds_w - log odds_l), odds = p / (1 - p) at p = exp(ℓ).

    ORPO, Hong et al. 2024, arXiv:2403.07691, Eq. 6 and 7; λ is `weight`, which TRL calls beta.
    """
    length_normalized = pairs.per_token.clamp(max=SURE)
    odds = length_normalized - log1mexp(length_normalized)
    return -pairs.per_token[:, 0] + pairs.hyperparameters["weight"] * functional.softplus(odds[:, -1] - odds[:, 0])


def log1mexp(x: Tensor) -> Tensor:
    """log(1 - exp(x)) for x < 0, exact at both ends."""
    return torch.where(x > -math.log(2), torch.log(-torch.expm1(x)), torch.log1p(-torch.exp(x)))


MARGIN = Parameter(default=0.5, about="γ, the margin that is asked for")
ODDS = Parameter(default=0.1, about="λ, of the odds ratio")

OBJECTIVES = named(
    of_pairs(sft, has_beta=False, has_reference=False, length_normalized=True),
    of_pairs(simper, has_beta=False, has_reference=False, length_normalized=True),
    of_pairs(simpo, has_reference=False, length_normalized=True, table="simpo", parameters={"margin": MARGIN}),
    of_pairs(
        orpo, has_beta=False, has_reference=False, length_normalized=True, table="orpo", parameters={"weight": ODDS}
    ),
)
