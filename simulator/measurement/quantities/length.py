"""How long responses are."""

import torch
from torch import Tensor

from simulator.common.column import Column
from simulator.measurement.quantity import PolicyDistribution, Quantity


def mean_length(law: PolicyDistribution) -> Tensor:
    """E_pi of the number of tokens, [R]."""
    if law.lengths is None:
        return torch.full_like(law.log_probs[:, 0, 0], law.length)
    return law.mean(law.lengths.double()).mean(dim=-1)


QUANTITY = Quantity(
    column=Column(name="length", unit="tokens", about="tokens of a response, its end token included", error=True),
    exact=mean_length,
    drawn=lambda draws: draws["length"],
)
