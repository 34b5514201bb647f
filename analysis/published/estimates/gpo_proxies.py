"""What the claims on proxies that are trained with each of the six f are judged by.

Tang et al. 2024 (arXiv:2402.05749, Sec. 3) read reward modelling as binary classification, so that every f gives a
loss of reward models, E f(r(chosen) - r(rejected)). That such proxies are alike is not said there, as far as we know;
the claims are ours.
"""

from itertools import combinations

import pandas as pd

from analysis.published.claim import Finding, Records, UnknownError
from analysis.published.estimates.gpo import every_two_alike
from analysis.published.measures import difference, require_columns, without_axes
from analysis.records.about import GPO_LOSSES
from analysis.records.load import without_diverged
from analysis.statistics.frontier import families_of
from analysis.statistics.intervals import Estimate

LOSS = "proxy_loss"
METHODS = ("best_of_n", "gibbs")
POINT = 0.01  # of accuracy


def against_proxies(records: Records) -> pd.DataFrame:
    """The rows of best-of-n and of perfect RL against proxies of several f. Raises UnknownError without them."""
    rows = require_columns(without_diverged(records.curves), LOSS)
    rows = rows[rows["method"].isin(METHODS) & rows[LOSS].isin(GPO_LOSSES)]
    if lost := [loss for loss in GPO_LOSSES if loss not in set(rows[LOSS])]:
        raise UnknownError(f"there are no proxies of {', '.join(lost)}; the claim is of all six losses")
    return without_axes(rows, LOSS)


def alike(records: Records) -> Finding:
    """The difference in gold of every two f at ten KL, up to where all of a method reach, for each method."""
    rows, notes = against_proxies(records), list[str]()
    estimates: dict[str, Estimate] = {}
    for method in METHODS:
        some = rows[rows["method"] == method]
        if some.empty:
            raise UnknownError(f"there are no runs of {method}")
        found, note = every_two_alike(families_of(some, LOSS), "proxy")
        estimates |= {f"{method}, {name}": estimate for name, estimate in found.items()}
        notes.append(f"{method}: {note}")
    return Finding(estimates=estimates, note="; ".join(notes))


def accuracy(records: Records) -> Finding:
    """The difference between every two f in how often their proxies order fresh pairs as gold does, by seed."""
    against_proxies(records)  # nothing but the loss varies
    proxies = require_columns(records.proxies, LOSS, "gold_accuracy")
    by_loss = {
        str(loss): rows.groupby("seed")["gold_accuracy"].mean()
        for loss, rows in proxies[proxies[LOSS].isin(GPO_LOSSES)].groupby(LOSS, sort=False)
    }
    if len(by_loss) < 2:
        raise UnknownError("there are no proxies of two losses")
    means = ", ".join(f"{loss} {each.mean():.3f}" for loss, each in by_loss.items())
    estimates = {f"{a} and {b}": difference(by_loss[a], by_loss[b]) for a, b in combinations(by_loss, 2)}
    return Finding(estimates=estimates, note=f"on fresh pairs of the reference: {means}")
