"""How far a policy moved, counted by its largest ratios: the chi-squared divergence."""

from simulator.common.column import Column
from simulator.measurement.quantity import Quantity

QUANTITY = Quantity(
    column=Column(name="chi2", unit="", about="chi²(pi ‖ pi_ref) = E_ref (pi / pi_ref - 1)²", squared=True),
    of_sums=lambda sums: sums.chi2.mean(dim=-1),
)
