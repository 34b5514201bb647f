"""The strengths that policies without training are recorded at: n of best-of-n, tau of Gibbs."""

import numpy as np


def ladder(largest: int) -> list[int]:
    """The n that are recorded: about two for each factor of two, from 1 to `largest`."""
    halves = {round(2 ** (k / 2)) for k in range(2 * largest.bit_length() + 1)}
    return sorted({1, largest} | {n for n in halves if n <= largest})


TEMPERATURES = np.geomspace(100.0, 0.01, 97)
