"""Where probability goes along training, and which part of the responses takes gold away again.

From `ledger.parquet`: every response is in one part, and `gold_change` of all parts adds up to gold. What a part gives
of the fall of gold is its `gold_change` at the peak less that at the end. The estimator is that of the fall in the
table of `peaks` of analysis/statistics/peaks.py: each seed's peak is where bootstrap samples of the other seeds have
theirs, a mean over these, and errors are those of the jackknife over seeds (Tukey 1958). So the parts add up to that
fall, and a part that gives all of it has its interval. Shapes: S seeds, K checkpoints, Q parts.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from analysis.records.load import load_table
from analysis.statistics.intervals import Estimate, over_seeds, resamples
from analysis.statistics.peaks import PLACES, by_seed, in_groups, jackknife_error, others_peak, sampled_peaks

PARTS = ("chosen", "rejected", "seen", "unseen", "ungrammatical")

Array = np.ndarray


def ledger_of(folder: str | Path, runs: pd.DataFrame) -> pd.DataFrame:
    """The ledger of these rows of curves, with their seed, kl and gold; no rows where there is none.

    Raises ResultsError.
    """
    rows = runs[["run_id", "seed", "step", "kl", "gold"]]
    table = load_table(folder, "ledger", sorted(rows["run_id"].unique()))
    return table.rename(columns={"gold": "gold_inside"}).merge(rows, on=["run_id", "step"])


def mass_along(ledger: pd.DataFrame) -> pd.DataFrame:
    """Means over seeds, with intervals, of mass and gold_change of each part at every step that all seeds reached.

    ledger: that of runs that differ in nothing but their seed, see `ledger_of`. Columns: step, part, seeds, kl, gold,
    mass and gold_change, the last two with NAME_low and NAME_high.
    """
    means = over_seeds(ledger, ["step", "part"], ["mass", "gold_change", "kl", "gold"])
    whole = means["seeds"] == ledger["seed"].nunique()
    return means[whole].sort_values("step", kind="stable", ignore_index=True)


def falls_by_part(ledger: pd.DataFrame) -> dict[str, Estimate]:
    """What each part gives of the fall of gold from its peak to the end, a mean over seeds.

    ledger: that of runs that differ in nothing but their seed. The parts add up to the fall.
    """
    table = by_seed(ledger[ledger["part"] == PARTS[0]])
    gold = in_groups(table.to_numpy())
    change = in_groups(np.stack([_table(ledger, part, table) for part in PARTS], axis=2))
    own, seeds = _lost(_peak_shares(gold), change), len(gold)
    left = np.zeros((seeds, len(PARTS)))
    if seeds > 1:
        shares = _peak_shares_without_each(gold)
        left = np.array([_lost(shares[i], np.delete(change, i, axis=0)) for i in range(seeds)])
    return {
        part: Estimate(
            value=float(own[place]),
            error=jackknife_error(left[:, place]) if seeds > 1 else float("nan"),
            degrees_of_freedom=seeds - 1,
        )
        for place, part in enumerate(PARTS)
    }


def _lost(shares: Array, change: Array) -> Array:
    """What each part loses from the peak to the end, a mean over seeds, [Q], for [S, K] and [S, K, Q]."""
    return (np.einsum("sk,skq->sq", shares, change) - change[:, -1]).mean(axis=0)


def _peak_shares(gold: Array) -> Array:
    """In what share of bootstrap samples of the other seeds gold peaks at each checkpoint, [S, K], for gold [S, K].

    Of fewer than three seeds, whether the others peak there.
    """
    if len(gold) < 3:
        return np.eye(gold.shape[1])[others_peak(gold)]
    weights = resamples(len(gold) - 1, times=PLACES)
    return np.array([_shares(sampled_peaks(gold, [i], weights), gold.shape[1]) for i in range(len(gold))])


def _peak_shares_without_each(gold: Array) -> Array:
    """The same with a seed left out, [S, S - 1, K], S > 1: as in `smooth_peak_golds_without_each` of peaks.py."""
    seeds, steps = gold.shape
    if seeds < 4:
        return np.array([np.eye(steps)[others_peak(np.delete(gold, i, axis=0))] for i in range(seeds)])
    found, weights = np.zeros((seeds, seeds, steps)), resamples(seeds - 2, times=PLACES)
    for i in range(seeds):
        for j in range(i):
            found[i, j] = found[j, i] = _shares(sampled_peaks(gold, [i, j], weights), steps)
    return found[~np.eye(seeds, dtype=bool)].reshape(seeds, seeds - 1, steps)


def _shares(places: Array, steps: int) -> Array:
    """How often each checkpoint is among places [B], as a share, [K]."""
    return np.bincount(places, minlength=steps) / len(places)


def _table(ledger: pd.DataFrame, part: str, gold: pd.DataFrame) -> Array:
    """gold_change of a part, [S, K], for the seeds and checkpoints of `gold`."""
    return by_seed(ledger[ledger["part"] == part], "gold_change").loc[gold.index, gold.columns].to_numpy()


def parts_with_mass(means: pd.DataFrame, least: float = 1e-4) -> list[str]:
    """The parts that have some mass somewhere along a path, in the order of PARTS."""
    most = means.groupby("part")["mass"].max()
    return [part for part in PARTS if most.get(part, 0.0) > least]
