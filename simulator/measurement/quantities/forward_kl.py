"""What the reference says and the policy no longer does: KL in the other direction."""

from simulator.common.column import Column
from simulator.measurement.quantity import Quantity

QUANTITY = Quantity(
    column=Column(name="forward_kl", unit="nats", about="KL(pi_ref ‖ pi), mean over prompts", squared=True),
    of_sums=lambda sums: -sums.at_reference.mean(dim=-1),
)
