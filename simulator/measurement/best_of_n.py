"""Best-of-n: draw n responses of the reference and keep the one with the largest score.

Shapes: P prompts, G responses, Q values of n, N samples of a pool.

Where responses can be listed, the result has a law in closed form. With F(y) the reference's probability of a score of
at most that of y and F(y-) of a smaller one, the best of n has a score equal to y's with probability F(y)^n - F(y-)^n;
responses of equal score share it in proportion to the reference. For a score without ties under the reference its KL
would be log n - (n - 1)/n (Stiennon et al. 2020, arXiv:2009.01325, App. G.3), and for every finite set of responses it
is at most that (Beirami et al. 2024, arXiv:2401.01879, Thm. 1).

From a pool of N samples sorted by score, the mean of any value v over the best of n has the unbiased estimator

    sum over i >= n of C(i - 1, n - 1) / C(N, n) v_(i)

(Nakano et al. 2021, arXiv:2112.09332, App. I): the mean over all subsets of n.
"""

import numpy as np
import torch
from torch import Tensor

from simulator.measurement.probability_mass import checked_mass

Array = np.ndarray


def kl_bound(n: Array) -> Array:
    """log n - (n - 1)/n, nats."""
    return np.log(n) - (n - 1) / n


def log_best_of_n(log_reference: Tensor, scores: Tensor, n: Tensor) -> Tensor:
    """log of the law of the best of n, float64 [Q, P, G], for log pi_ref and scores [P, G] and n [Q]."""
    rows = []
    for log_p, score in zip(log_reference.double(), scores, strict=True):
        checked_mass(log_p.exp(), "the reference")
        level, where = score.unique(return_inverse=True)
        mass = log_p.new_zeros(len(level)).index_add_(0, where, log_p.exp())
        mass = mass / mass.sum()
        above = torch.cat([mass[1:].flip(0).cumsum(0).flip(0), mass.new_zeros(1)])
        log_at_most = torch.where(above < 0.5, torch.log1p(-above), mass.cumsum(0).log())  # either way to all digits
        log_share = mass.log() - log_at_most  # of the level, among those up to it
        least = torch.arange(len(level), device=score.device) == 0  # where F(y-) is 0
        below = torch.where(least, -torch.inf, torch.log1p(-log_share.exp().clamp(max=1.0)))
        times = n.to(log_p).unsqueeze(1)
        won = times * log_at_most + torch.log(-torch.expm1(times * below))
        rows.append((won - mass.log())[:, where] + log_p)
    return torch.stack(rows, dim=1)


def subset_weights(pool: int, n: int) -> Array:
    """The weight of each sample of a pool, sorted by rising score, in the mean over the best of n, [N]."""
    from scipy.special import gammaln  # a tenth of what the command imports

    i = np.arange(1, pool + 1, dtype=float)
    log_all = gammaln(pool + 1) - gammaln(n + 1) - gammaln(pool - n + 1)
    with np.errstate(invalid="ignore"):
        log_weight = gammaln(i) - gammaln(n) - gammaln(i - n + 1) - log_all
    return np.where(i >= n, np.exp(np.where(i >= n, log_weight, -np.inf)), 0.0)


def estimate(values: Array, n: int) -> tuple[Array, Array]:
    """The mean of `values` [..., N], sorted by rising score, over the best of n, and the variance of each mean, [...].

    The variance is the delete-one jackknife's (Efron & Stein 1981). It is taken at n = N - 1 where n is N, since no
    subset of n is left without one sample. Raises ValueError where n is larger than the pool.
    """
    pool = values.shape[-1]
    if not 1 <= n <= pool:
        raise ValueError(f"n (={n}) must be at least 1 and at most the pool (={pool})")
    mean = values @ subset_weights(pool, n)
    weights = subset_weights(pool - 1, min(n, pool - 1))
    kept_place = np.concatenate([np.zeros((*values.shape[:-1], 1)), (values[..., :-1] * weights).cumsum(axis=-1)], -1)
    moved = values[..., 1:] * weights
    moved_place = np.concatenate([moved[..., ::-1].cumsum(axis=-1)[..., ::-1], np.zeros((*values.shape[:-1], 1))], -1)
    without = kept_place + moved_place
    return mean, (pool - 1) / pool * ((without - without.mean(axis=-1, keepdims=True)) ** 2).sum(axis=-1)
