"""Losses that take the length of responses into account and have a reference.

|y| is the number of tokens of a response, its end token included; s_w and s_l are log pi - log pi_ref of the whole
responses in nats, and rho = s_w - s_l. Longer responses collect larger log-ratios; these losses take that out, by a
mean over tokens or by a price on each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulator.common.lazy import functional
from simulator.objectives.objective import Convention, Pairs, Parameter, named, of_pairs

if TYPE_CHECKING:
    from torch import Tensor


def averaged_margin(pairs: Pairs) -> Tensor:
    """s_w / |y_w| - s_l / |y_l|, nats per token, [r, N]."""
    per_token = pairs.ratios / pairs.lengths
    return per_token[:, 0] - per_token[:, -1]


def ln_dpo(pairs: Pairs) -> Tensor:
    """-log σ(β(s_w/|y_w| - s_l/|y_l|)). Length-normalized DPO, as in Lambert et al. 2024 (Tülu 3), arXiv:2411.15124.

    It is TRL's `sigmoid_norm`. Where all responses have |y| tokens, it is the logistic loss at β / |y|.
    """
    return functional.softplus(-pairs.beta * averaged_margin(pairs))


def r_dpo(pairs: Pairs) -> Tensor:
    """-log σ(β ρ + α(|y_w| - |y_l|)). R-DPO, Park et al. 2024, arXiv:2403.19159; α is `alpha`, a price for each token.

    The sign follows from its objective, E r - α E|y| - β KL, whose optimum has r = β s + α|y| + a constant of the
    prompt: a chosen response that is longer is explained by its length, and less is asked of ρ.
    """
    longer = pairs.lengths[:, 0] - pairs.lengths[:, -1]
    return functional.softplus(-pairs.z - pairs.hyperparameters["alpha"] * longer)


def ipo_averaged(pairs: Pairs) -> Tensor:
    """(β(s_w/|y_w| - s_l/|y_l|) - 1)². IPO, Azar et al. 2023, arXiv:2310.12036, Eq. 17, per token as TRL has it.

    At β = 2τ, with TRL's beta as τ, it is 4τ² times TRL's loss, (s_w/|y_w| - s_l/|y_l| - 1/2τ)². Where all responses
    have |y| tokens, it is the squared loss at β / |y|.
    """
    return (pairs.beta * averaged_margin(pairs) - 1).square()


PRICE = Parameter(default=0.1, about="α, the price of a token")

OBJECTIVES = named(
    of_pairs(ln_dpo, convention=Convention(names=("lndpo", "sigmoid_norm")), length_normalized=True),
    of_pairs(r_dpo, table="r_dpo", parameters={"alpha": PRICE}),
    of_pairs(ipo_averaged, length_normalized=True),
)
