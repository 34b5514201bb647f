"""Losses that look at single tokens: their log-probabilities one by one, or the laws that they are drawn from.

They need more of a policy than log pi of whole responses, and name it in `tokens`; it is read for runs of these losses
alone. A response ends with its end token, which counts as one; s is log pi - log pi_ref, in nats.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulator.common.column import Column
from simulator.common.lazy import functional, torch
from simulator.objectives.objective import Convention, Diagnostic, Pairs, Parameter, named, of_pairs

if TYPE_CHECKING:
    from torch import Tensor


def tails(pairs: Pairs) -> Tensor:
    """s of the tokens of each response behind the length of the shorter one, [r, K, N], nats."""
    assert pairs.token_log_probs is not None
    assert pairs.token_reference is not None
    shared = pairs.lengths.amin(dim=1)[:, None, :, None]
    place = torch.arange(pairs.token_log_probs.shape[3], device=shared.device)
    return (pairs.token_log_probs - pairs.token_reference).masked_fill(place < shared, 0.0).sum(dim=3)


def ld_dpo(pairs: Pairs) -> Tensor:
    """-log σ(β(ρ - (1 - α)(t_w - t_l))), t: s of the tokens behind the shorter length. LD-DPO, Liu et al. 2024.

    arXiv:2409.06411; α is `alpha`, the `ld_alpha` of TRL's DPOTrainer, which this agrees with: log pi of a response
    counts its tokens up to the length of the shorter response in full, and those behind it α times; so does log pi_ref.
    At α = 1, or where both responses are equally long, it is the logistic loss. Checked against TRL's code, and not
    against the paper's own text.
    """
    tail = tails(pairs)
    left_out = (1 - pairs.hyperparameters["alpha"]) * (tail[:, 0] - tail[:, -1])
    return functional.softplus(-(pairs.z - pairs.beta * left_out))


def pair_weight(pairs: Pairs) -> Tensor:
    """WPO's weight of each pair, without gradient, [r, N]."""
    assert pairs.token_alignment is not None
    mean = pairs.token_alignment.sum(dim=3) / pairs.lengths
    return torch.minimum(torch.exp(mean[:, 0] + mean[:, -1]), pairs.hyperparameters["cap"]).detach()


def wpo(pairs: Pairs) -> Tensor:
    """-w log σ(βρ), w = min(cap, exp(m_w + m_l)), m: the mean over tokens of log π(y_t) - log Σ_v π(v)². WPO, Zhou et
    al. 2024, arXiv:2406.11827, with its sampled alignment.

    No gradient flows through w. A cap of 1 is that of its authors' code. TRL's `use_weighting` had it too and has none
    in 1.16, which is a large `cap`. Checked against both codes, and not against the paper's own text.
    """
    return pair_weight(pairs) * functional.softplus(-pairs.z)


def mean_weight(pairs: Pairs) -> Tensor:
    """The mean of WPO's weights, [r]."""
    return pairs.mean(pair_weight(pairs))


SHARE = Parameter(default=0.5, most=1.0, about="α, what tokens behind the shorter length count")
CAP = Parameter(default=1.0, least=1e-3, most=1e6, about="the largest weight of a pair; a large one is none")
WEIGHT = Column(name="wpo_weight", unit="", about="mean weight of pairs in WPO", always=False, tidied=False)

OBJECTIVES = named(
    of_pairs(
        ld_dpo,
        convention=Convention(names=("lddpo",)),
        table="ld_dpo",
        parameters={"alpha": SHARE},
        tokens=("token_log_probs", "token_reference"),
        cost=lambda own: 2.3,
    ),
    of_pairs(
        wpo,
        table="wpo",
        parameters={"cap": CAP},
        tokens=("token_alignment",),
        cost=lambda own: 1.4,
        diagnostics=(Diagnostic(column=WEIGHT, value=mean_weight),),
    ),
)
