"""How long responses are."""

import torch

from simulator.common.column import Column
from simulator.measurement.quantity import Quantity

QUANTITY = Quantity(
    column=Column(name="length", unit="tokens", about="tokens of a response, its end token included", error=True),
    exact=lambda law: torch.full_like(law.log_probs[:, 0, 0], law.length),
    drawn=lambda draws: draws["length"],
)
