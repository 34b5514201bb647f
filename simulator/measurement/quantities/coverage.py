"""How badly responses of the reference cover those of the policy: the concentrability coefficient E_pi[pi / pi_ref].

It is 1 at the reference, and 1 + chi². How many pairs offline learning needs grows with it (Huang et al. 2024,
arXiv:2407.13399, Sec. 2). Mean over prompts.
"""

from simulator.common.column import Column
from simulator.measurement.quantity import Quantity

QUANTITY = Quantity(
    column=Column(name="coverage", unit="", about="E_pi[pi / pi_ref]; 1 at the reference", tidied=False),
    of_sums=lambda sums: 1 + sums.chi2.mean(dim=-1),
)
