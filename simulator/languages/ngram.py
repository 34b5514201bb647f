"""A language model of bytes that is counted, not trained: interpolated n-grams.

Shapes: N texts, L prompt length, T response length.

The probability of byte w after the k - 1 bytes c is, by the rule of Witten & Bell 1991 (Bell, Cleary & Witten 1990,
method C, interpolated),

    p_k(w | c) = [ count(c w) + kinds(c) p_(k-1)(w | c') ] / [ count(c) + kinds(c) ]

with kinds(c) the number of different bytes seen after c and c' = c without its first byte; p_0 is uniform over all 256
bytes, and a context that was never seen leaves p_(k-1) as it is. On a megabyte of text such a model is better, and has
more parameters, than any network that trains in minutes; and it is the same on every machine.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

Array = np.ndarray

ORDER = 6  # bytes of an n-gram; eight fit into one 64-bit number


@dataclass(frozen=True, kw_only=True)
class Grams:
    """All n-grams of one order: their sorted codes and counts, and for each sorted context its total and kinds."""

    codes: Array
    counts: Array
    contexts: Array
    totals: Array
    kinds: Array


def encode(data: Array, order: int) -> Array:
    """Every run of `order` bytes along the last axis of `data` as one number, first byte most significant."""
    width = data.shape[-1] - order + 1
    code = np.zeros((*data.shape[:-1], width), dtype=np.uint64)
    for k in range(order):
        code = (code << np.uint64(8)) | data[..., k : k + width].astype(np.uint64)
    return code


def count_grams(data: Array, order: int) -> Grams:
    """The n-grams of `order` bytes in `data`."""
    codes, counts = np.unique(encode(data, order), return_counts=True)
    contexts, first, kinds = np.unique(codes >> np.uint64(8), return_index=True, return_counts=True)
    return Grams(codes=codes, counts=counts, contexts=contexts, totals=np.add.reduceat(counts, first), kinds=kinds)


def fit(data: Array) -> tuple[Grams, ...]:
    """The n-grams of orders 1 to ORDER in `data`, or as far as it reaches."""
    return tuple(count_grams(data, order) for order in range(1, min(ORDER, len(data)) + 1))


def parameters(model: Sequence[Grams]) -> int:
    """How many numbers the model holds: a count for every n-gram."""
    return sum(len(grams.codes) for grams in model)


def log_probs(model: Sequence[Grams], data: Array, first: int) -> Array:
    """log p(byte | all earlier bytes that the model looks at), in nats, for `data` [N, L + T] from place `first` on."""
    p = np.full((len(data), data.shape[1] - first), 1 / 256)
    for order, grams in enumerate(model[: data.shape[1]], start=1):
        begin = max(first, order - 1)  # places before it have no context of this length
        code = encode(data[:, begin - order + 1 :], order)
        count = _looked_up(code, grams.codes, grams.counts)
        context = code >> np.uint64(8)
        total, kinds = (_looked_up(context, grams.contexts, column) for column in (grams.totals, grams.kinds))
        here = p[:, begin - first :]
        here[:] = np.where(total > 0, (count + kinds * here) / np.maximum(total + kinds, 1), here)
    return np.log(p)


def _looked_up(codes: Array, known: Array, values: Array) -> Array:
    """`values` of `codes` among the sorted `known`, 0 for a code that is not there."""
    at = np.minimum(np.searchsorted(known, codes), len(known) - 1)
    return np.where(known[at] == codes, values[at], 0)
