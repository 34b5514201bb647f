"""Zero-sum games of two players, by a linear program."""

import numpy as np
import pytest
from scipy.optimize import linprog


def solved(payoffs: np.ndarray) -> np.ndarray:
    """What a player of a zero-sum game with these payoffs [G, G] does, [G]: x that has the most of min_j (xᵀM)_j."""
    count = len(payoffs)
    found = linprog(
        np.r_[np.zeros(count), -1.0],
        A_ub=np.hstack([-payoffs.T, np.ones((count, 1))]),
        b_ub=np.zeros(count),
        A_eq=np.r_[np.ones(count), 0.0][None],
        b_eq=[1.0],
        bounds=[(0, None)] * count + [(None, None)],
    )
    assert found.x[-1] == pytest.approx(0.0, abs=1e-9)
    return found.x[:count]
