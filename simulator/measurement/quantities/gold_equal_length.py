"""Gold at the reference's lengths: what a policy gains otherwise than by longer, or shorter, responses."""

import torch
from torch import Tensor

from simulator.common.column import Column
from simulator.measurement.quantity import PolicyDistribution, Quantity

NEVER = -5000.0  # nats; what is less likely stands for what is never said, as in simulator/api/measuring.py


def gold_equal_length(law: PolicyDistribution) -> Tensor | None:
    """sum over l of P_ref(l | x) E_pi[gold | length l, x], mean over prompts, [R]; None where lengths do not differ.

    At a length that a policy never says, its gold is that of the reference at this length: that policy is taken to have
    learned nothing there. What is said however rarely counts with the policy's own law.
    """
    if law.lengths is None:
        return None
    total = torch.zeros_like(law.log_probs[:, :, 0])
    for length in law.lengths.unique():
        where = torch.nonzero(law.lengths == length)[:, 0]
        reference, gold = law.log_reference[:, where], law.gold[:, where]
        own = law.log_probs[:, :, where]
        mass = own.logsumexp(dim=-1, keepdim=True)
        there = ((own - mass).exp() * gold).sum(dim=-1)
        usual = (reference.softmax(dim=-1) * gold).sum(dim=-1)
        total += reference.exp().sum(dim=-1) * torch.where(mass[..., 0] < NEVER, usual, there)
    return total.mean(dim=-1)


QUANTITY = Quantity(
    column=Column(
        name="gold_equal_length",
        unit="deviations of gold under the reference",
        about="gold at the reference's distribution of lengths, where responses may end early",
        always=False,
    ),
    exact=gold_equal_length,
)
