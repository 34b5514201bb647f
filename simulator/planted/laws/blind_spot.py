"""A motif that gold dislikes and the proxy does not see: adversarial Goodhart (arXiv:1803.04585), an exploit to find.

A motif is two tokens in order, next to each other. With h = 1 for responses that have it and 0 for others,

    slope = Cov(gold, h) / Var(h),    error = -slope h,

covariance and variance being those within prompts under the reference, means over prompts. At one prompt, slope is the
mean of gold with the motif less that without it. With noise = 1, what the proxy says has no covariance with h left: it
is blind to just that. The key chooses the motif, among those that gold dislikes, slope < 0, and that at least LEAST and
at most MOST of the reference's responses have.
"""

import numpy as np

from simulator.planted.law import Answers, Array, ErrorLaw, Listed, Parameters, PlantedError

LEAST, MOST = 0.01, 0.5


def motifs_of(tokens: Array, size: int) -> Array:
    """The number of the motif at each place of responses [K, T], [K, T - 1]; -1 past the end, and for repeats."""
    first, second = tokens[:, :-1], tokens[:, 1:]
    found = np.where((first >= 0) & (second >= 0), first.astype(np.int64) * size + second, -1)
    for place in range(1, found.shape[1]):
        again = (found[:, :place] == found[:, place : place + 1]).any(axis=1)
        found[:, place] = np.where(again, -1, found[:, place])
    return found


def disliked(listed: Listed) -> tuple[Array, Array]:
    """The two tokens [M, 2] of each motif that may be chosen, and its slope [M]."""
    tokens, gold = listed.answers.tokens, listed.within(listed.answers.gold)
    size = int(tokens.max()) + 1
    share, variance, covariance = (np.zeros(size * size) for _ in range(3))
    for said, law, score in zip(tokens, listed.law, gold, strict=True):
        found = motifs_of(said, size)
        there = found >= 0
        weights = np.broadcast_to(law[:, None], found.shape)[there]
        p = np.bincount(found[there], weights=weights, minlength=size * size)
        of_gold = np.broadcast_to((law * score)[:, None], found.shape)[there]
        covariance += np.bincount(found[there], weights=of_gold, minlength=size * size)
        variance += p * (1 - p)
        share += p / len(tokens)
    number = np.flatnonzero((share >= LEAST) & (share <= MOST) & (covariance < 0) & (variance > 0))
    return np.column_stack([number // size, number % size]), covariance[number] / variance[number]


def has(tokens: Array, motif: Array) -> Array:
    """Whether responses [n, K, T] have a motif [2], [n, K]."""
    return ((tokens[..., :-1] == motif[0]) & (tokens[..., 1:] == motif[1])).any(axis=2)


def plant(listed: Listed, parameters: Parameters, key: int) -> PlantedError:
    """What hides one motif. Raises ValueError where gold dislikes none."""
    motifs, slopes = disliked(listed)
    if not len(motifs):
        raise ValueError(
            f"gold dislikes no two tokens in order that {LEAST:.0%} to {MOST:.0%} of the reference's responses have"
        )
    chosen = key % len(motifs)
    motif, slope = motifs[chosen], float(slopes[chosen])

    def of(answers: Answers) -> Array:
        return -slope * has(answers.tokens, motif)

    return PlantedError(of=of, facts={"motif": " ".join(map(str, motif)), "motif_slope": slope})


def refuses(ends: bool, response_length: int) -> str:
    """Where a response has one token."""
    return "" if response_length > 1 else f"needs world.response_length (={response_length}) of at least 2"


LAW = ErrorLaw(name="blind_spot", plant=plant, scaled=False, refuses=refuses)
