"""What of the squared loss lies in responses that the policy suppressed, or left alone; see mu_squared_raised.py."""

from simulator.common.column import Column
from simulator.measurement.quantity import Quantity

QUANTITY = Quantity(
    column=Column(
        name="mu_squared_suppressed",
        unit="nats²",
        about="what suppressed responses, pi < pi_ref, give of mu_squared",
        squared=True,
        always=False,
    ),
    of_sums=lambda sums: (sums.behaviour_variance - sums.raised).mean(dim=-1),
)
