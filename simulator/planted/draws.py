"""Random numbers that follow from a key and from tokens, not from an order: each response has its own.

Shapes: n prompts, L prompt length, K responses to each, T response length.

The tokens are folded into a state of 64 bits, one after the other, by the finalizer of SplitMix64 (Steele, Lea & Flood
2014, "Fast splittable pseudorandom number generators", Fig. 15), a bijection whose every bit depends on every bit. The
top 53 bits of the last state are a uniform number, and quantile functions make other laws of it. One bit decides the
sign of a symmetric law, so that its two tails are equally fine; they end at the quantile of 2^-54.
"""

import numpy as np

Array = np.ndarray

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
FIRST, SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
HALF = 1 << 63


def mixed(state: Array) -> Array:
    """The finalizer of SplitMix64, of states uint64."""
    state = (state ^ (state >> np.uint64(30))) * FIRST
    state = (state ^ (state >> np.uint64(27))) * SECOND
    return state ^ (state >> np.uint64(31))


def states(key: int, prompts: Array, tokens: Array) -> Array:
    """A state uint64 [n, K] for each response, of a key of 64 bits and of tokens [n, L] and [n, K, T]."""
    state = np.full(len(prompts), key, dtype=np.uint64)
    for token in prompts.astype(np.int64).T:
        state = mixed((state ^ token.astype(np.uint64)) + GOLDEN)
    state = np.broadcast_to(mixed(state + GOLDEN)[:, None], tokens.shape[:2])
    for token in np.moveaxis(tokens.astype(np.int64), 2, 0):
        state = mixed((state ^ token.astype(np.uint64)) + GOLDEN)
    return state


def halves(key: int, prompts: Array, tokens: Array) -> tuple[Array, Array]:
    """A sign and a number uniform on (0, 1/2) for each response, [n, K] both."""
    state = states(key, prompts, tokens)
    sign = np.where(state >= np.uint64(HALF), 1.0, -1.0)
    below = ((state << np.uint64(1)) >> np.uint64(11)).astype(np.float64)
    return sign, (below + 0.5) * 2.0**-54


def normal(key: int, prompts: Array, tokens: Array) -> Array:
    """A standard normal number for each response, [n, K]."""
    from scipy.special import ndtri

    sign, tail = halves(key, prompts, tokens)
    return -sign * ndtri(tail)


def student(key: int, prompts: Array, tokens: Array, degrees: float) -> Array:
    """A number of Student's law with these degrees of freedom for each response, [n, K]."""
    from scipy.special import stdtrit

    sign, tail = halves(key, prompts, tokens)
    return -sign * stdtrit(degrees, tail)
