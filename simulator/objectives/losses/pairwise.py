"""Further losses of a pair that look at both log-ratios, not at their difference alone.

s_w and s_l are log pi - log pi_ref of the chosen and the rejected response, in nats over the whole response.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from simulator.common.column import Column
from simulator.common.lazy import functional, torch
from simulator.objectives.objective import Convention, Diagnostic, Pairs, Parameter, named, of_pairs

if TYPE_CHECKING:
    from torch import Tensor

WEIGHT = Parameter(default=1.0, about="weight")
LARGEST = 20.0  # nats; of a ratio that is exponentiated


def nca_pair(pairs: Pairs) -> Tensor:
    """-log σ(β s_w) - ½ log σ(-β s_w) - ½ log σ(-β s_l). NCA, Chen et al. 2024, arXiv:2402.05369, Eq. 11."""
    chosen, rejected = pairs.beta * pairs.chosen, pairs.beta * pairs.rejected
    return functional.softplus(-chosen) + 0.5 * functional.softplus(chosen) + 0.5 * functional.softplus(rejected)


def sppo_hard(pairs: Pairs) -> Tensor:
    """(s_w - 1/2β)² + (s_l + 1/2β)². SPPO, Wu et al. 2024, arXiv:2405.00675, Eq. 4.7, with P = 1 and 0.

    TRL's convention; with η = 1/β it is the paper's.
    """
    target = 0.5 / pairs.beta
    return (pairs.chosen - target).square() + (pairs.rejected + target).square()


def apo_zero(pairs: Pairs) -> Tensor:
    """1 - σ(β s_w) + σ(β s_l). APO-zero, D'Oosterlinck et al. 2024, arXiv:2408.06266, Eq. 7."""
    return torch.sigmoid(-pairs.beta * pairs.chosen) + torch.sigmoid(pairs.beta * pairs.rejected)


def apo_down(pairs: Pairs) -> Tensor:
    """σ(β s_w) + 1 - σ(β ρ). APO-down, D'Oosterlinck et al. 2024, arXiv:2408.06266, Eq. 8."""
    return torch.sigmoid(pairs.beta * pairs.chosen) + torch.sigmoid(-pairs.z)


def kto(pairs: Pairs) -> Tensor:
    """λ_D (1 - σ(β(s_w - z₀))) + λ_U (1 - σ(β(z₀ - s_l))). KTO, Ethayarajh et al. 2024, arXiv:2402.01306, Eq. 7.

    z₀ = max(0, mean of s over mismatched pairs), without a gradient: the responses of each pair of the batch, to the
    prompt of the pair before it. The two responses of a pair are two examples here, one desirable and one not, and
    their losses are added; TRL's mean over examples is half of it. Responses to other prompts are mostly far less
    likely under the policy than under the reference, so z₀ is mostly 0. Columns show it, on the pairs that train_loss
    is measured on: kto_mismatched_logratio, the mean of s over mismatched pairs, and kto_reference_point, z₀, in nats.
    """
    origin = reference_point(pairs).unsqueeze(1)
    desirable = torch.sigmoid(-pairs.beta * (pairs.chosen - origin))
    undesirable = torch.sigmoid(-pairs.beta * (origin - pairs.rejected))
    return pairs.hyperparameters["desirable"] * desirable + pairs.hyperparameters["undesirable"] * undesirable


def mismatched_logratio(pairs: Pairs) -> Tensor:
    """The mean of s over mismatched pairs, [r], nats."""
    assert pairs.mismatched is not None
    if pairs.weights is not None:
        return pairs.mean(pairs.mismatched.mean(dim=1))
    return pairs.mismatched[..., : pairs.count].mean(dim=2).mean(dim=1)


def reference_point(pairs: Pairs) -> Tensor:
    """KTO's z₀, [r], nats."""
    return mismatched_logratio(pairs).clamp(min=0.0)


def chi_po(pairs: Pairs) -> Tensor:
    """-log σ(clip_{±2R} β(φ(u_w) - φ(u_l))), u = π/π_ref, φ(u) = u + log u. χPO, Huang et al. 2024, arXiv:2407.13399.

    R is `bound`, how far rewards lie apart at most. Ratios above exp(20) count as that: the clip has cut them off long
    before. Checked against other people's implementations, which agree on φ, and not against the paper's own text. They
    differ in where the clip is: of the difference, as here, or of each response's βφ.
    """
    gap, bound = linked_gap(pairs), 2 * pairs.hyperparameters["bound"]
    return functional.softplus(-torch.minimum(torch.maximum(gap, -bound), bound))


def linked_gap(pairs: Pairs) -> Tensor:
    """β(φ(u_w) - φ(u_l)), [r, N]."""
    link = pairs.ratios + torch.exp(pairs.ratios.clamp(max=LARGEST))
    return pairs.beta * (link[:, 0] - link[:, -1])


def share_of(pairs: Pairs, which: Tensor) -> Tensor:
    """The share of the pairs, [r], that are among `which` [r, N]."""
    return pairs.mean(which.to(pairs.policy.dtype))


def dpop(pairs: Pairs) -> Tensor:
    """-log σ(β(ρ - λ max(0, -s_w))). DPO-Positive, Pal et al. 2024, arXiv:2402.13228, Eq. 3; λ is `weight`.

    Agrees with Eq. 3 as others quote it. The paper's λ is 50. Implementations differ in whether β multiplies the
    penalty, as it does in Eq. 3 and here.
    """
    lost = torch.relu(-pairs.chosen)
    return functional.softplus(-pairs.beta * (pairs.chosen - pairs.rejected - pairs.hyperparameters["weight"] * lost))


def clipped_share(pairs: Pairs) -> Tensor:
    """The share of pairs that χPO clips, [r]."""
    return share_of(pairs, linked_gap(pairs).abs() >= 2 * pairs.hyperparameters["bound"])


def penalized_share(pairs: Pairs) -> Tensor:
    """The share of pairs whose chosen response DPOP penalizes, [r]."""
    return share_of(pairs, pairs.chosen < 0)


def diagnostic(name: str, unit: str, about: str, value: Callable[[Pairs], Tensor]) -> Diagnostic:
    """A column of what is inside a loss."""
    return Diagnostic(column=Column(name=name, unit=unit, about=about, always=False, tidied=False), value=value)


def dpo_sft(pairs: Pairs) -> Tensor:
    """-log σ(β ρ) - λ log π(y_w) / |y_w|. DPO with an SFT term, Pang et al. 2024, arXiv:2404.19733; λ is `weight`.

    The term is a mean over tokens, as in TRL's `loss_type=["sigmoid", "sft"]`; there it is the mean over all tokens of
    the batch, here that of each response, which is the same where responses are equally long. The sum
    "logistic + 0.5 sft" is this loss at λ = 0.5.
    """
    return functional.softplus(-pairs.z) - pairs.hyperparameters["weight"] * pairs.per_token[:, 0]


OBJECTIVES = named(
    of_pairs(nca_pair, convention=Convention(names=("nca",))),
    of_pairs(sppo_hard, convention=Convention(names=("sppo",))),
    of_pairs(apo_zero, convention=Convention(names=("apo",))),
    of_pairs(apo_down),
    of_pairs(
        kto,
        table="kto",
        parameters={"desirable": WEIGHT, "undesirable": WEIGHT},
        mismatched=True,
        cost=lambda own: 1.7,
        diagnostics=(
            diagnostic("kto_mismatched_logratio", "nats", "mean of s over mismatched pairs", mismatched_logratio),
            diagnostic("kto_reference_point", "nats", "z₀ of KTO", reference_point),
        ),
    ),
    of_pairs(
        chi_po,
        convention=Convention(names=("chipo", "χpo")),
        table="chi_po",
        parameters={"bound": Parameter(default=4.0, least=1e-3, about="R, in deviations of gold")},
        diagnostics=(diagnostic("chi_po_clipped", "share", "of pairs that χPO clips", clipped_share),),
    ),
    of_pairs(
        dpop,
        table="dpop",
        parameters={"weight": Parameter(default=50.0, about="λ")},
        diagnostics=(diagnostic("dpop_penalized", "share", "of pairs that DPOP penalizes", penalized_share),),
    ),
    of_pairs(
        dpo_sft,
        length_normalized=True,
        table="dpo_sft",
        parameters={"weight": WEIGHT},
    ),
)
