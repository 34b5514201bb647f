"""Value-incentivized preference optimization: DPO that is pessimistic about what no pair shows, or optimistic.

VPO, Cen et al. 2024, arXiv:2405.19320:

    L = E[-log σ(βρ)] + sign αβ E_{y∼π_cal}[log π(y|x) - log π_ref(y|x)]

Offline it is pessimistic, sign -1: for π_cal = π_ref the loss is DPO + αβ KL(π_ref ‖ π), and for π_cal the law of
chosen responses DPO + αβ NLL(y_w), up to a constant. Online it is optimistic, sign +1, and sends the policy away from
what it is calibrated by: for a tabular softmax the loss then has no lower bound.

The expectation under π_ref is exact where responses are listed, at `prompts` of the prompts in each step, in an order
of the run's own; elsewhere it is a mean over responses of the reference that are drawn beforehand. Those of chosen and
rejected responses are means over the batch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulator.common.lazy import functional
from simulator.objectives.objective import (
    BatchContext,
    Convention,
    Hyperparameters,
    Pairs,
    Parameter,
    Regularizer,
    RegularizerState,
    named,
    of_pairs,
)

if TYPE_CHECKING:
    from torch import Tensor


def sign(own: Hyperparameters, *, fresh: bool) -> float:
    """-1 for pessimism, +1 for optimism."""
    stance = own["stance"]
    optimistic = fresh if stance == "auto" else stance == "optimistic"
    return 1.0 if optimistic else -1.0


def vpo(pairs: Pairs) -> Tensor:
    """-log σ(βρ) ∓ αβ E_cal[log π/π_ref], calibrated by the reference, chosen or rejected. arXiv:2405.19320."""
    loss = functional.softplus(-pairs.z)
    if pairs.hyperparameters["calibration"] == "reference":
        return loss
    calibrated = pairs.chosen if pairs.hyperparameters["calibration"] == "chosen" else pairs.rejected
    return (
        loss
        + sign(pairs.hyperparameters, fresh=pairs.online) * pairs.hyperparameters["alpha"] * pairs.beta * calibrated
    )


def weight(context: BatchContext) -> Tensor:
    """What the expectation counts, [r]."""
    own: Hyperparameters = context.hyperparameters
    weights: Tensor = sign(own, fresh=context.online) * own["alpha"] * context.beta
    return weights[:, 0]


def step(context: BatchContext, memory: RegularizerState) -> tuple[Tensor, Tensor]:
    """The term at one step, and its gradient."""
    assert context.under_reference is not None
    value, gradient = context.under_reference.gradient(
        context.parameters, context.seeds, context.rows, step=context.step, prompts=context.hyperparameters["prompts"]
    )
    return weight(context) * value, weight(context).unsqueeze(1) * gradient


def value(context: BatchContext, memory: RegularizerState) -> Tensor:
    """The term over all prompts."""
    assert context.under_reference is not None
    return weight(context) * context.under_reference.value(context.parameters, context.rows)


TERM = Regularizer(start=lambda context: {}, step=step, value=value, of_pairs=False)

OBJECTIVES = named(
    of_pairs(
        vpo,
        convention=Convention(names=("xpo", "selm")),
        table="vpo",
        parameters={
            "alpha": Parameter(default=0.1, about="α, how pessimistic or optimistic"),
            "calibration": Parameter(
                default="reference",
                words=("reference", "chosen", "rejected"),
                about="π_cal, what values are set off by",
            ),
            "stance": Parameter(
                default="auto",
                words=("auto", "pessimistic", "optimistic"),
                about='"auto": pessimistic offline, optimistic online',
            ),
            "prompts": Parameter(default=4.0, least=1, whole=True, about='prompts a step at calibration = "reference"'),
        },
        term=lambda own: TERM if own["calibration"] == "reference" else None,
        ignores=lambda own: () if own["calibration"] == "reference" else ("prompts",),
        calibrates=lambda own: own["prompts"] if own["calibration"] == "reference" else 0,
    ),
)
