"""Best-of-n from a pool of responses, for every n at once.

Draw n responses of the initial policy, and keep the one with the highest score. From N responses to a prompt, sorted by
rising score, the mean of any value v over the best of n has the unbiased estimator

    sum over i >= n of C(i - 1, n - 1) / C(N, n) v_(i)

(Nakano et al. 2021, arXiv:2112.09332, App. I): the mean over all subsets of n. Of responses with equal scores, chance
decides: v is then the mean over them. The KL of the best of n from the initial policy is

    log n - (n - 1) / n    nats,

exact where no two responses have the same score, and an upper bound otherwise (Stiennon et al. 2020, arXiv:2009.01325,
App. G.3; Beirami et al. 2024, arXiv:2401.01879, Thm. 1). Shapes: P prompts, N responses to each, Q values of n.
"""

from collections.abc import Sequence

import numpy as np
from scipy.special import gammaln

Array = np.ndarray


def kl_of(n: Array) -> Array:
    """log n - (n - 1) / n, nats."""
    n = np.asarray(n, dtype=float)
    return np.log(n) - (n - 1) / n


def n_of(kl: Array) -> Array:
    """The n, not a whole number, whose best of n has this KL; infinite for an infinite one."""
    kl = np.asarray(kl, dtype=float)
    known = np.isfinite(kl)
    safe = np.where(known, np.maximum(kl, 0.0), 0.0)
    x = safe + 1.0  # log n, by Newton's method on x + exp(-x) - 1 = kl from above, where it converges
    for _ in range(60):
        slope = -np.expm1(-x)
        x = np.maximum(x - (x + np.expm1(-x) - safe) / np.where(slope > 0, slope, 1.0), 0.0)
    with np.errstate(over="ignore"):
        return np.where(known, np.exp(np.where(safe > 0, x, 0.0)), kl)


def ladder(most: int) -> Array:
    """1, 2, 3, 4, 6, 8, 12, 16 and so on below `most`, and `most`."""
    steps = sorted({1, *(k * 2**power for power in range(int(most).bit_length() + 1) for k in (2, 3))})
    return np.array([*(n for n in steps if n < most), most])


def subset_weights(pool: int, n: Array) -> Array:
    """The weight of each response of a pool, sorted by rising score, in the mean over the best of n, [Q, N]."""
    i, n = np.arange(1, pool + 1, dtype=float), np.asarray(n, dtype=float)[:, None]
    log_all = gammaln(pool + 1) - gammaln(n + 1) - gammaln(pool - n + 1)
    inside = i >= n
    above = np.where(inside, i - n, 0.0)
    log_weight = gammaln(i) - gammaln(n) - gammaln(above + 1) - log_all
    return np.where(inside, np.exp(np.where(inside, log_weight, 0.0)), 0.0)


def best_of(scores: Array, values: Sequence[Array], n: Array) -> list[Array]:
    """The mean of each of `values` [P, N] over the best of n [Q] by scores [P, N], at each prompt: [P, Q] each."""
    order = np.argsort(scores, axis=1, kind="stable")
    level = levels(np.take_along_axis(scores, order, axis=1))
    count, weights = np.bincount(level.ravel()), subset_weights(scores.shape[1], n)
    found = []
    for each in values:
        ordered = np.take_along_axis(each, order, axis=1)
        mean = np.bincount(level.ravel(), weights=ordered.ravel()) / count
        found.append(mean[level] @ weights.T)
    return found


def levels(ordered: Array) -> Array:
    """Numbers [P, N] of groups of equal scores, for scores that rise along each row."""
    new = np.ones(ordered.shape, dtype=bool)
    new[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    return np.cumsum(new.ravel()).reshape(ordered.shape) - 1


def tied(scores: Array) -> float:
    """The share of responses whose score another response to the same prompt has, for scores [P, N]."""
    level = levels(np.sort(scores, axis=1)).ravel()
    return float((np.bincount(level)[level] > 1).mean())
