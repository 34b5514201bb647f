"""How undecided a policy is."""

from simulator.common.column import Column
from simulator.measurement.quantity import Quantity

QUANTITY = Quantity(
    column=Column(name="entropy", unit="nats", about="-E_pi log pi", error=True),
    of_sums=lambda sums: -sums.log_prob.mean(dim=-1),
    drawn=lambda draws: draws["entropy"],
)
