"""How much probability moved: the total variation.

Of a response y drawn from pi, max(0, 1 - pi_ref(y) / pi(y)) has the total variation as its mean, and lies in [0, 1].
"""

import torch

from simulator.common.column import Column
from simulator.measurement.quantity import Quantity

QUANTITY = Quantity(
    column=Column(name="total_variation", unit="probability", about="half the sum of |pi - pi_ref|", error=True),
    of_sums=lambda sums: sums.total_variation.mean(dim=-1),
    drawn=lambda draws: -torch.expm1(-draws["ratio"].clamp(min=0.0)),
)
