"""Where probability goes along training, and which part of the responses takes gold away again.

From `ledger.parquet`: every response is in one part, and `gold_change` of all parts adds up to gold. What a part gives
of the fall of gold is its `gold_change` at the peak less that at the end; the peak of each seed is where the mean of
the other seeds is highest, as in analysis/statistics/peaks.py, so that the parts add up to `falls` there. Errors are
those of the jackknife over seeds (Tukey 1958). Shapes: S seeds, K checkpoints, Q parts.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from analysis.records.load import load_table
from analysis.statistics.intervals import Estimate, over_seeds
from analysis.statistics.peaks import by_seed, jackknife_error, others_peak

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
    gold = by_seed(ledger[ledger["part"] == PARTS[0]])
    change = np.stack([_table(ledger, part, gold) for part in PARTS], axis=2)
    own = _lost(gold.to_numpy(), change)
    seeds = len(gold)
    left = np.array([_lost(*(np.delete(each, i, axis=0) for each in (gold.to_numpy(), change))) for i in range(seeds)])
    return {
        part: Estimate(
            value=float(own[place]),
            error=jackknife_error(left[:, place]) if seeds > 1 else float("nan"),
            degrees_of_freedom=seeds - 1,
        )
        for place, part in enumerate(PARTS)
    }


def _lost(gold: Array, change: Array) -> Array:
    """What each part loses from the peak to the end, a mean over seeds, [Q], for [S, K] and [S, K, Q]."""
    if not len(gold):
        return np.full(change.shape[2], np.nan)
    return (change[np.arange(len(gold)), others_peak(gold)] - change[:, -1]).mean(axis=0)


def _table(ledger: pd.DataFrame, part: str, gold: pd.DataFrame) -> Array:
    """gold_change of a part, [S, K], for the seeds and checkpoints of `gold`."""
    return by_seed(ledger[ledger["part"] == part], "gold_change").loc[gold.index, gold.columns].to_numpy()


def parts_with_mass(means: pd.DataFrame, least: float = 1e-4) -> list[str]:
    """The parts that have some mass somewhere along a path, in the order of PARTS."""
    most = means.groupby("part")["mass"].max()
    return [part for part in PARTS if most.get(part, 0.0) > least]
