"""Reward-aware preference optimization: the margin of the policy is fitted to a margin of rewards.

RPO, Sun et al. 2025, arXiv:2502.00203 (not regularized preference optimization, arXiv:2405.16436). With a = βρ and
b = η (r(y_w) - r(y_l)), r being gold or a trained proxy in gold's unit:

    rpo_squared     (a - b)²
    rpo_backward    KL(Bern(σ(b)) ‖ Bern(σ(a)))
    rpo_forward     KL(Bern(σ(a)) ‖ Bern(σ(b)))
    rpo_loo         K responses to a prompt: 1/(2K) Σ_k [LOO(βs - ηr)_k]², LOO being a value less the mean of the others

The names are those of the authors' code, and mislead: `backward` is soft-label cross-entropy up to a constant, the KL
from the rewards to the policy, which covers mass and which others call forward.

With b → ∞ `rpo_backward` is DPO; with σ(b) = 1 - ε it is conservative DPO up to a constant, and `rpo_forward` is EXO;
with a constant gap of 1 `rpo_squared` is the squared loss. On responses of the policy itself the mean gradient of
`rpo_loo` is -βK/(K-1) times that of RLOO with penalty β and reward ηr.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulator.common.lazy import functional, torch
from simulator.objectives.objective import Convention, Pairs, Parameter, named, of_pairs

if TYPE_CHECKING:
    from torch import Tensor

PARAMETERS = {
    "eta": Parameter(default=1.0, about="η, how much a deviation of the reward counts"),
    "reward": Parameter(default="gold", words=("gold", "proxy"), about="whose rewards"),
}
MANY = {"responses": Parameter(default=4.0, least=2, most=256, whole=True, about="K of rpo_loo")}


def margins(pairs: Pairs) -> tuple[Tensor, Tensor]:
    """a and b, [r, N] each."""
    return pairs.z, pairs.hyperparameters["eta"] * (pairs.rewards[:, 0] - pairs.rewards[:, -1])


def bernoulli_kl(p: Tensor, q: Tensor) -> Tensor:
    """KL(Bern(σ(p)) ‖ Bern(σ(q))) of logits."""
    return torch.sigmoid(p) * (functional.softplus(-q) - functional.softplus(-p)) + torch.sigmoid(-p) * (
        functional.softplus(q) - functional.softplus(p)
    )


def rpo_squared(pairs: Pairs) -> Tensor:
    """(βρ - b)², b = η (r(y_w) - r(y_l)). RPO-sqloo of two responses, arXiv:2502.00203."""
    a, b = margins(pairs)
    return (a - b).square()


def rpo_backward(pairs: Pairs) -> Tensor:
    """KL(Bern(σ(b)) ‖ Bern(σ(βρ))), b = η (r(y_w) - r(y_l)). RPO-bwd, arXiv:2502.00203: soft-label cross-entropy."""
    a, b = margins(pairs)
    return bernoulli_kl(b, a)


def rpo_forward(pairs: Pairs) -> Tensor:
    """KL(Bern(σ(βρ)) ‖ Bern(σ(b))), b = η (r(y_w) - r(y_l)). RPO-fwd, arXiv:2502.00203."""
    a, b = margins(pairs)
    return bernoulli_kl(a, b)


def rpo_loo(pairs: Pairs) -> Tensor:
    """1/(2K) Σ_k [LOO(βs - ηr)_k]² over K responses to a prompt. RPO-sqloo, arXiv:2502.00203.

    Of two responses it is half of `rpo_squared`. Prompts have K responses from the behaviour policy, and no labels.
    """
    error = pairs.beta.unsqueeze(2) * pairs.linked - pairs.hyperparameters["eta"].unsqueeze(2) * pairs.rewards
    count = error.shape[1]
    left = (error - error.mean(dim=1, keepdim=True)) * (count / (count - 1))
    return left.square().sum(dim=1) / (2 * count)


OBJECTIVES = named(
    *(
        of_pairs(
            loss,
            convention=convention,
            table="rpo",
            parameters=PARAMETERS | MANY,
            scored=True,
            of_differences=True,
            ignores=lambda own: ("responses",),
        )
        for loss, convention in (
            (rpo_squared, Convention(names=("rpo",))),
            (rpo_backward, Convention()),
            (rpo_forward, Convention()),
        )
    ),
    of_pairs(rpo_loo, table="rpo", parameters=PARAMETERS | MANY, scored=True, of_differences=True, ranked="responses"),
)
