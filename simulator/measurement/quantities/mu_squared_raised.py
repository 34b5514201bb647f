"""What of the squared loss lies in responses that the policy raised: s = log pi - log pi_ref above 0.

½ E_mu rho² = Var_mu(s) is a sum over responses of mu (s - E_mu s)²; those with s > 0 are the raised ones.
"""

from simulator.common.column import Column
from simulator.measurement.quantity import Quantity

QUANTITY = Quantity(
    column=Column(
        name="mu_squared_raised",
        unit="nats²",
        about="what raised responses, pi > pi_ref, give of mu_squared",
        squared=True,
        always=False,
    ),
    of_sums=lambda sums: sums.raised.mean(dim=-1),
)
