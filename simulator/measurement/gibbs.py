"""The best that any policy can do: the Gibbs frontier.

Of all policies with a given KL to the reference, the one with the most expected reward r is, at each prompt,

    pi(y | x) = pi_ref(y | x) exp(r(x, y) / tau) / Z(x)

for some tau > 0, the optimum of E_pi r - tau KL(pi || pi_ref) (e.g. Rafailov et al. 2023, arXiv:2305.18290,
Eq. 4). With r = gold and tau from large to small, these policies trace the oracle frontier. One tau serves all
prompts, since the objective is a mean over them. Shapes: P prompts, G responses, Q temperatures.
"""

import pandas as pd
import torch
from torch import Tensor

from simulator.measurement.exact import ReferenceLaw, measure_distribution
from simulator.measurement.ladder import TEMPERATURES


def gibbs(reference: Tensor, reward: Tensor, temperature: Tensor) -> Tensor:
    """log pi of the Gibbs policies, [Q, P, G], from log pi_ref and reward [P, G] and temperature [Q]."""
    tilted = reference + reward / temperature[:, None, None]
    return torch.log_softmax(tilted, dim=-1)


def oracle_rows(reference_law: ReferenceLaw, name: str) -> pd.DataFrame:
    """Records of the oracle frontier, one row a temperature, which stands in the column `beta`.

    There are no pairs, no training and no seed behind these rows, so those columns are empty.
    """
    rows = []
    for temperature in TEMPERATURES:
        log_probs = gibbs(reference_law.reference, reference_law.gold, torch.tensor([temperature]))
        measured = measure_distribution(log_probs, reference_law, reference_law.reference.exp())
        rows.append({"beta": temperature} | {column: value.item() for column, value in measured.items()})
    table = pd.DataFrame(rows).drop(columns=["mu_squared", "mu_squared_raised", "mu_squared_suppressed"])
    return table.assign(run_id=[f"oracle-{name}-{t:.4g}" for t in TEMPERATURES], method="oracle", step=0, status="ok")


def no_rows() -> pd.DataFrame:
    """The records of a world whose oracle is not known."""
    return pd.DataFrame({"run_id": [], "method": [], "status": []}, dtype="str").assign(step=0)
