"""Binary classifier optimization on pairs: each response is judged on its own, against a threshold that moves.

BCO, Jung et al. 2024, arXiv:2404.04656. A classifier with the logit β s - δ calls chosen responses good and rejected
ones bad. The shift δ, half the sum of the mean rewards of both kinds, tightens the bound on DPO's loss. TRL took for δ
the running mean of the rewards β s of all batches so far, that of the step included, each batch counting alike, until
it rewrote its DPO trainer; TRL 1.16 has δ = 0. Both are here, by `threshold`. Checked against TRL's code, and for how
the authors average δ not against the paper's own text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulator.common.column import Column
from simulator.common.lazy import functional, torch
from simulator.objectives.objective import (
    Convention,
    Diagnostic,
    Hyperparameters,
    Memory,
    Pairs,
    Parameter,
    RegularizerState,
    named,
    of_pairs,
)

if TYPE_CHECKING:
    from torch import Tensor

MEAN, BATCHES = "bco_mean", "bco_batches"  # of rewards β s so far, and how many batches they are from


def bco_pair(pairs: Pairs) -> Tensor:
    """-log σ(β s_w - δ) - log σ(-(β s_l - δ)). BCO, Jung et al. 2024, arXiv:2404.04656; δ has no gradient.

    δ is the running mean of β s over all batches so far, this one included; it is 0 before the first, and where
    `threshold` is "zero", as in TRL 1.16. It is part of what a run saves; measurements read it as it stands. Pairs may
    have weights, and so ties: the two responses of a pair count alike in δ. The column bco_threshold shows δ.
    """
    delta = threshold(pairs)
    return functional.softplus(delta - pairs.beta * pairs.chosen) + functional.softplus(
        pairs.beta * pairs.rejected - delta
    )


def threshold(pairs: Pairs) -> Tensor:
    """δ, [r, 1]."""
    mean = pairs.remembered.get(MEAN)
    return torch.zeros_like(pairs.beta) if mean is None else mean.to(pairs.policy.dtype)


def start(beta: Tensor) -> RegularizerState:
    """No reward yet: float64 [r, 1] each."""
    return {name: torch.zeros_like(beta, dtype=torch.float64) for name in (MEAN, BATCHES)}


def update(pairs: Pairs) -> None:
    """Take the rewards of a batch into their running mean."""
    mean, batches = pairs.remembered[MEAN], pairs.remembered[BATCHES]
    rewards = pairs.mean(pairs.beta * (pairs.chosen + pairs.rejected).double() / 2).unsqueeze(1)
    batches += 1
    mean += (rewards - mean) / batches


RUNNING = Memory(start=start, update=update)
COLUMN = Column(name="bco_threshold", unit="nats", about="δ of BCO", always=False, tidied=False)


def remembers(own: Hyperparameters) -> Memory | None:
    """The running mean, where δ is that."""
    return RUNNING if own["threshold"] == "running" else None


OBJECTIVES = named(
    of_pairs(
        bco_pair,
        convention=Convention(names=("bco",)),
        table="bco_pair",
        parameters={
            "threshold": Parameter(default="running", words=("running", "zero"), about="δ: running mean of βs, or 0")
        },
        remembers=remembers,
        diagnostics=(Diagnostic(column=COLUMN, value=lambda pairs: threshold(pairs)[:, 0]),),
    )
)
