"""How gold labels a pair: which of two responses is called the chosen one.

Shapes: N pairs. `deterministic`: the response with more gold (a fair coin on a tie), as in Gao et al. 2023,
arXiv:2210.10760, Sec. 2. `bradley_terry`: the first with probability sigma((gold_1 - gold_2) / temperature),
Bradley & Terry 1952. Either label is then flipped with probability `noise` (the label noise of Coste et al.
2023, arXiv:2310.02743).
"""

from typing import Literal

import numpy as np

Labels = Literal["deterministic", "bradley_terry"]
"""How labels follow from gold: with Bradley-Terry probabilities, or always the better response."""


def preference_probability(
    first: np.ndarray, second: np.ndarray, *, labels: Labels, temperature: float, noise: float
) -> np.ndarray:
    """Probability [N] that the first response is labelled chosen, for gold scores `first`, `second` [N]."""
    from scipy.special import expit

    gap = first - second
    clean = expit(gap / temperature) if labels == "bradley_terry" else (np.sign(gap) + 1) / 2
    return (1 - noise) * clean + noise * (1 - clean)
