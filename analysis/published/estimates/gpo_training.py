"""What the claims of Tang et al. 2024 (arXiv:2402.05749) on KL and the squared loss are judged by.

At the end of training, and along it, at the smallest beta. The paper traces KL against the mu-weighted squared loss
along training; how it words what it saw there we know from a summary alone.
"""

import numpy as np
import pandas as pd

from analysis.published.claim import Finding, Records, UnknownError
from analysis.published.estimates.gpo import moved, of_each_loss, weakest_regularization
from analysis.published.measures import (
    gold_by_seed,
    in_steps,
    log_kl_noise,
    mean_over_seeds,
    others_peak_estimate,
    require_columns,
)
from analysis.records.load import final_rows
from analysis.statistics.intervals import SHARE, Estimate

FACTOR_OF_TWO = round(float(np.log(2)), 3)
TENTH = 0.1  # of the rise of KL


def not_kl(records: Records) -> Finding:
    """log of KL over half the mu-weighted squared loss at the end of training at the smallest beta."""

    def ratio(rows: pd.DataFrame) -> Estimate:
        last = final_rows(weakest_regularization(require_columns(rows, "mu_squared")))
        last = last[(last["kl"] > 0) & (last["mu_squared"] > 0)]
        return mean_over_seeds(np.log(2 * last["kl"] / last["mu_squared"]), log_kl_noise(last))

    return Finding(estimates=of_each_loss(records, ratio))


def suppressed(records: Records) -> Finding:
    """log of what suppressed responses give of the squared loss over what raised ones do, at the end, smallest beta.

    Raises UnknownError where one of the two is 0 in some run, and has no logarithm.
    """

    def ratio(rows: pd.DataFrame) -> Estimate:
        parts = ("mu_squared_suppressed", "mu_squared_raised")
        last = final_rows(weakest_regularization(require_columns(rows, *parts)))
        without = ~(last[list(parts)] > 0).all(axis=1)
        if without.any():
            lost = f"{int(without.sum())} of {len(last)} runs of {last['loss'].iloc[0]}"
            raise UnknownError(f"in {lost} raised or suppressed responses give nothing of the squared loss")
        return mean_over_seeds(np.log(last[parts[0]] / last[parts[1]]))

    return Finding(estimates=of_each_loss(records, ratio))


def outgrows(records: Records) -> Finding:
    """log of KL over half the squared loss at the smallest beta, at the checkpoint where it is largest for others.

    For each seed that checkpoint is the one of the mean of all other seeds; the first step aside, which is 0 over 0.
    """

    def largest(rows: pd.DataFrame) -> Estimate:
        weakest = moved(weakest_regularization(require_columns(rows, "mu_squared")))
        weakest = weakest[(weakest["kl"] > 0) & (weakest["mu_squared"] > 0)]
        ratio = np.log(2 * weakest["kl"] / weakest["mu_squared"])
        by_seed = gold_by_seed(weakest.assign(ratio=ratio), "ratio")
        return others_peak_estimate(by_seed, log_kl_noise(weakest))

    return Finding(estimates=of_each_loss(records, largest))


def apart(records: Records) -> Finding:
    """The share of the rise of KL along training that comes while the squared loss does not rise, smallest beta.

    The rise is the sum of what KL gains from checkpoint to checkpoint, where it gains. A share comes in steps of about
    one checkpoint's part.
    """

    def share(rows: pd.DataFrame) -> Estimate:
        weakest = weakest_regularization(require_columns(rows, "mu_squared"))
        kl, squared = (gold_by_seed(weakest, name).to_numpy(float) for name in ("kl", "mu_squared"))
        gained, flat = np.clip(np.diff(kl, axis=1), 0.0, None), np.diff(squared, axis=1) <= 0
        rise = gained.sum(axis=1)
        there = rise > 0
        shares = (gained * flat).sum(axis=1)[there] / rise[there]
        return in_steps(mean_over_seeds(shares, bounds=SHARE), 1 / gained.shape[1])

    return Finding(estimates=of_each_loss(records, share))
