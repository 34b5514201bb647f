"""DPO with an adversarial regularizer on hidden states, and two controls.

GANPO, Jiang et al. 2026, arXiv:2601.22083. Let h_θ± be what the last layer of the policy, and h_r± that of the frozen
reference, says along the chosen (+) and the rejected (-) response. Two discriminators D± read a whole response and give
a score. With B(x, 1) = softplus(-x), B(x, 0) = softplus(x), and m(.) the moving average (0.9) of a batch's mean score:

    L_D+ = ¼ { B(D+(h_r+) - m(h_θ+), 1) + B(D+(h_θ+) - m(h_r+), 0)
             + B(D+(h_θ+) - m(h_r-), 1) + B(D+(h_r-) - m(h_θ+), 0) },    L_D- with + and - exchanged
    L = E[-log σ(βρ)] + λ ½ { B(D+(h_θ+) - m(h_r+), 1) + B(D-(h_θ-) - m(h_r-), 1) }

Discriminators take one step at half of the policy's learning rate, and then the policy takes one. As in the authors'
code a discriminator projects the states, sends them through a transformer that looks both ways, averages over the
tokens of the response and reads a score from an MLP; at the sizes here it has one block, of the policy's width and
heads, and neither dropout nor spectral normalization. Its optimizer is Adam.

The controls say what is the adversary's doing: `ganpo_frozen` has random discriminators that never learn, and
`ganpo_l2` adds λ ½ { |h_θ+ - h_r+|² + |h_θ- - h_r-|² } instead, each a mean over tokens and channels.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from simulator.objectives.losses.gpo import logistic
from simulator.objectives.objective import Objective, Pairs, Parameter, Regularizer, named

if TYPE_CHECKING:
    from torch import Tensor


def dpo(pairs: Pairs) -> Tensor:
    """-log σ(βρ), to which the term is added."""
    return logistic(pairs.z)


def adversary() -> Regularizer:
    """Discriminators that learn."""
    from simulator.objectives.discriminators import adversary

    return adversary(frozen=False)


def frozen_adversary() -> Regularizer:
    """Discriminators that stay as they began."""
    from simulator.objectives.discriminators import adversary

    return adversary(frozen=True)


def l2() -> Regularizer:
    """The distance of hidden states from the reference's."""
    from simulator.objectives.discriminators import l2

    return l2()


PARAMETERS = {"weight": Parameter(default=1.0, about="λ")}


def regularized(name: str, formula: str, term: Callable[[], Regularizer], cost: float) -> Objective:
    """DPO with a term on hidden states."""
    return Objective(
        name=name,
        loss=dpo,
        formula=formula,
        table="ganpo",
        parameters=PARAMETERS,
        term=lambda own: term(),
        cost=lambda own: cost,
        weighable=False,
        reads_states=True,
    )


OBJECTIVES = named(
    regularized(
        "ganpo",
        "-log σ(βρ) + λ × what two discriminators of hidden states say",
        adversary,
        4.0,
    ),
    regularized("ganpo_frozen", "the same with random discriminators that never learn", frozen_adversary, 3.0),
    regularized("ganpo_l2", "-log σ(βρ) + λ × squared distance of hidden states from the reference's", l2, 2.3),
)
