"""Further losses that are functions of z = beta rho alone, beside GPO's six; see simulator/objectives/losses/gpo.py.

They have kappa like those, at their parameters, and agree with the code of their authors and of TRL's DPOTrainer.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from simulator.common.lazy import functional, torch
from simulator.objectives.objective import Convention, Parameter, named, of_z

if TYPE_CHECKING:
    from torch import Tensor

FLIPS = Parameter(default=0.1, most=0.49, about="share of labels that are taken for wrong")


def conservative_dpo(z: Tensor, epsilon: float | Tensor) -> Tensor:
    """-(1 - ε) log σ(z) - ε log σ(-z). Conservative DPO, Mitchell 2023; smallest at z = logit(1 - ε)."""
    return (1 - epsilon) * functional.softplus(-z) + epsilon * functional.softplus(z)


def robust_dpo(z: Tensor, epsilon: float | Tensor) -> Tensor:
    """[-(1 - ε) log σ(z) + ε log σ(-z)] / (1 - 2ε). Ray Chowdhury et al. 2024, arXiv:2403.00409, Eq. 12.

    With a share ε of flipped labels its mean is that of the logistic loss without any. It has no lower bound.
    """
    return ((1 - epsilon) * functional.softplus(-z) - epsilon * functional.softplus(z)) / (1 - 2 * epsilon)


def exo_pair(z: Tensor, epsilon: float | Tensor) -> Tensor:
    """σ(z) log(σ(z) / (1 - ε)) + σ(-z) log(σ(-z) / ε). EXO, Ji et al. 2024, arXiv:2402.00856, Eq. 16.

    The reverse KL of a pair, from Bernoulli σ(z) to Bernoulli 1 - ε; TRL calls ε `label_smoothing` and has 1e-3.
    """
    share = torch.as_tensor(epsilon, dtype=z.dtype, device=z.device)
    chosen = -functional.softplus(-z) - torch.log1p(-share)
    rejected = -functional.softplus(z) - torch.log(share)
    return torch.sigmoid(z) * chosen + torch.sigmoid(-z) * rejected


def discopop(z: Tensor, tau: float | Tensor) -> Tensor:
    """(1 - σ(z/τ)) log(1 + exp(-z)) + σ(z/τ) exp(-z). DiscoPOP, Lu et al. 2024, arXiv:2406.08414, Eq. 5.

    Its slope at 0 is -3/4 + (1 - log 2) / (4τ): at the usual τ = 0.05 it is +0.78, so training starts by pushing
    margins down. It is negative for τ above (1 - log 2) / 3 = 0.102.
    """
    blend = torch.exp(-functional.softplus(-z / tau) - z)  # σ(z/τ) exp(-z), which does not overflow for τ up to 1
    return torch.sigmoid(-z / tau) * functional.softplus(-z) + blend


OBJECTIVES = named(
    of_z(
        conservative_dpo,
        convention=Convention(names=("cdpo",)),
        table="conservative_dpo",
        parameters={"epsilon": FLIPS},
    ),
    of_z(
        robust_dpo, convention=Convention(names=("robust", "rdpo")), table="robust_dpo", parameters={"epsilon": FLIPS}
    ),
    of_z(
        exo_pair,
        convention=Convention(names=("exo",)),
        table="exo_pair",
        parameters={"epsilon": Parameter(default=1e-3, least=1e-6, most=0.49, about="what is left to the rejected")},
    ),
    of_z(
        discopop,
        table="discopop",
        parameters={
            "tau": Parameter(
                default=0.05, least=1e-3, most=1.0, about=f"below {(1 - math.log(2)) / 3:.3f} margins first fall"
            )
        },
    ),
)
