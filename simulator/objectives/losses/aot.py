"""Alignment via optimal transport: margins are compared rank by rank, not pair by pair.

AOT, Melnyk et al. 2024, arXiv:2406.05882, as TRL 1.16 has it. In one dimension optimal transport pairs the smallest
value of one law with the smallest of the other, and so on. So the loss asks that one sorted list lies above another at
every rank: the law of what should be larger dominates the other one. What a pair adds depends on the batch that it is
in; a loss over all pairs, as train_loss is measured, sorts over all that are measured. A batch of one pair has nothing
to sort, so batches must have at least 2. Pairs have no weights: ranks of pairs that count unequally do not match.

What earlier versions of TRL called `aot_pair` is `aot_unpaired` now: it never looked at pairs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulator.common.lazy import functional, torch
from simulator.objectives.objective import Convention, Pairs, Parameter, named, of_pairs

if TYPE_CHECKING:
    from torch import Tensor


def aot(pairs: Pairs) -> Tensor:
    """-log σ(β(m_(i) - m_ref(i))), m = log π(y_w)/π(y_l). AOT of pairs, Melnyk et al. 2024, arXiv:2406.05882.

    m_(i) is the i-th smallest of m in the batch, m_ref(i) that of the reference's, sorted on its own. ε is `epsilon`,
    TRL's label_smoothing: the loss is (1 - ε) times that, and ε times that of the other sign. Batches need at least 2
    pairs; train_loss sorts over all measured pairs.
    """
    margins, references = (values[:, 0] - values[:, -1] for values in (pairs.policy, pairs.reference))
    return smoothed(pairs, rising(margins, pairs.count) - rising(references, pairs.count))


def aot_unpaired(pairs: Pairs) -> Tensor:
    """-log σ(β(s_w(i) - s_l(i))). AOT without pairs, Melnyk et al. 2024, arXiv:2406.05882.

    s_w(i) and s_l(i) are the i-th smallest of the batch, each sorted on its own, so who was paired with whom says
    nothing. ε is as in `aot`, and so is what is said of batches. TRL once called it `aot_pair`.
    """
    return smoothed(pairs, rising(pairs.chosen, pairs.count) - rising(pairs.rejected, pairs.count))


def rising(values: Tensor, count: int) -> Tensor:
    """The first `count` of each row of values [r, N] in rising order, and what fills them up as it is."""
    return torch.cat([values[:, :count].sort(dim=1, stable=True).values, values[:, count:]], dim=1)


def smoothed(pairs: Pairs, gap: Tensor) -> Tensor:
    """-(1 - ε) log σ(β gap) - ε log σ(-β gap), [r, N]."""
    z, epsilon = pairs.beta * gap, pairs.hyperparameters["epsilon"]
    return (1 - epsilon) * functional.softplus(-z) + epsilon * functional.softplus(z)


PARAMETERS = {"epsilon": Parameter(default=0.0, most=0.49, about="share of labels that are taken for wrong")}

OBJECTIVES = named(
    *(
        of_pairs(loss, convention=convention, table="aot", parameters=PARAMETERS, sorts_pairs=True, weighable=False)
        for loss, convention in (
            (aot, Convention()),
            (aot_unpaired, Convention(names=("aot_pair",), relation="what TRL calls it now")),
        )
    ),
)
