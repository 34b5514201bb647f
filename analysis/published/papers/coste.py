"""Coste et al. 2023, Reward Model Ensembles Help Mitigate Overoptimization (arXiv:2310.02743).

One proxy against ensembles of five, combined by their mean, worst case and mean less variance, with and without label
noise, by best-of-n and by RL with and without a small KL penalty.
"""

import numpy as np
import pandas as pd

from analysis.published.claim import LEAST, Claim, Finding, Paper, Part, Records, UnknownError, above, below
from analysis.published.measures import (
    difference,
    ends_note,
    fall,
    mean_over_seeds,
    noise_of,
    weighted_falls,
    without_axes,
)
from analysis.published.orders.coste import coste_orders
from analysis.records.load import without_diverged
from analysis.statistics.comparison import SIMILAR

NOISE = 0.25
CONSERVATIVE = ("worst_case", "uncertainty_weighted")
READ = 1.5  # times the true KL


def against(records: Records, method: str, noise: float, penalty: float = 0.0) -> pd.DataFrame:
    """The rows of a method at one share of flipped labels. Raises UnknownError."""
    rows = without_diverged(records.curves)
    rows = rows[(rows["method"] == method) & (rows["label_noise"] == noise)]
    if method == "rl":
        rows = rows[rows["beta"] == penalty]
    if rows.empty or "proxy_members" not in rows or "proxy_combine" not in rows:
        raise UnknownError(f"there are no ensembles against which {method} went on labels of noise {noise:g}")
    return without_axes(rows, "proxy_members", "proxy_combine")


def alone(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows against one proxy. Raises UnknownError."""
    rows = rows[rows["proxy_members"] == 1]
    if rows.empty:
        raise UnknownError("there are no runs against a single proxy")
    return rows


def ensembles(rows: pd.DataFrame, *combined: str) -> dict[str, pd.DataFrame]:
    """The rows against ensembles that are combined so. Raises UnknownError."""
    found = {how: rows[(rows["proxy_members"] > 1) & (rows["proxy_combine"] == how)] for how in combined}
    for how, table in found.items():
        if table.empty:
            raise UnknownError(f"there are no runs against an ensemble combined by {how}")
    return found


def four(records: Records, method: str, noise: float) -> dict[str, pd.DataFrame]:
    """The rows of a method against one proxy and against each ensemble, at one share of flipped labels."""
    rows = against(records, method, noise)
    return {"one proxy": alone(rows), **ensembles(rows, "mean", *CONSERVATIVE)}


def single_falls(records: Records) -> Finding:
    """The fall of best-of-n against one proxy that learned from noisy labels."""
    return Finding(estimates={"one proxy": fall(alone(against(records, "best_of_n", NOISE)))})


def reduce(records: Records, method: str) -> Finding:
    """The fall against one proxy less that against conservative ensembles, by seed."""
    rows = against(records, method, NOISE)
    one, found = alone(rows), ensembles(rows, *CONSERVATIVE)
    estimates = {how: weighted_falls([(1.0, one), (-1.0, table)]) for how, table in found.items()}
    return Finding(estimates=estimates, note=ends_note({"one proxy": one} | found))


def nearly_removed(records: Records) -> Finding:
    """The fall of best-of-n against conservative ensembles."""
    found = ensembles(against(records, "best_of_n", NOISE), *CONSERVATIVE)
    return Finding(estimates={how: fall(table) for how, table in found.items()})


def mean_helps(records: Records) -> Finding:
    """Gold at the end of best-of-n against the mean of an ensemble less that against one proxy, by seed."""
    rows = against(records, "best_of_n", NOISE)
    ends = {}
    for name, table in {"one": alone(rows), **ensembles(rows, "mean")}.items():
        ends[name] = table[table["step"] == table["step"].max()].groupby("seed")["gold"].mean()
    return Finding(estimates={"mean": difference(ends["mean"], ends["one"], noise_of(rows, rows))})


def k2_reads(records: Records) -> Finding:
    """log of what the estimator k2 expects over the true KL, at the end of best-of-n, by seed."""
    rows = without_diverged(records.curves)
    if "kl_k2" not in rows:
        raise UnknownError("the estimator k2 was not recorded; measure.kl_estimators does so")
    rows = rows[rows["method"].eq("best_of_n") & (rows["kl_source"] == "exact")]
    rows = rows[rows["step"] == rows["step"].max()]
    if rows.empty:
        raise UnknownError("there is no best-of-n with an exact KL")
    ratio = np.log(rows["kl_k2"] / rows["kl"]).groupby(rows["seed"]).mean()
    true, read = rows["kl"].mean(), rows["kl_k2"].mean()
    return Finding(
        estimates={"k2": mean_over_seeds(ratio)}, note=f"it reads {read:.3g} at a true KL of {true:.3g} nats"
    )


PAPER = Paper(
    title="Reward model ensembles (Coste et al. 2023, arXiv:2310.02743)",
    parts={
        "": Part(
            config="coste_ensembles",
            quick=(
                *("sweep.seeds=3", "train.steps=60", "train.checkpoints=12", "proxy.steps=400", "data.pairs=1024"),
                *("best_of_n.largest=4096", "sweep.data.label_noise=[0.25]"),
            ),
        )
    },
    claims=(
        Claim(
            name="single",
            statement="With a quarter of labels flipped, gold falls after its peak as best-of-n goes on against "
            f"one proxy, by more than {LEAST:g}",
            source="Coste et al., Sec. 5.1",
            unit="deviations of gold",
            rule=above(LEAST),
            estimate=single_falls,
        ),
        Claim(
            name="reduce-bon",
            statement=f"Against conservative ensembles (WCO, UWO) gold of best-of-n falls by at least {LEAST:g} "
            "less than against one proxy, up to the same n",
            source="Coste et al., Sec. 5.1",
            unit="deviations of gold, fall against one proxy less that against the ensemble",
            rule=above(LEAST),
            estimate=lambda records: reduce(records, "best_of_n"),
        ),
        Claim(
            name="remove-bon",
            statement=f"Against conservative ensembles gold of best-of-n falls by less than {SIMILAR:g}",
            source="Coste et al., abstract",
            unit="deviations of gold",
            rule=below(SIMILAR),
            estimate=nearly_removed,
        ),
        Claim(
            name="reduce-rl",
            statement=f"Against conservative ensembles gold of RL falls by at least {LEAST:g} less than against "
            "one proxy, in the same steps",
            source="Coste et al., Sec. 5.2",
            unit="deviations of gold, fall against one proxy less that against the ensemble",
            rule=above(LEAST),
            estimate=lambda records: reduce(records, "rl"),
        ),
        Claim(
            name="mean",
            statement="At the largest n, best-of-n against the mean of an ensemble, too, has more gold than "
            f"against one proxy, by at least {LEAST:g}",
            source="Coste et al., Sec. 5.1",
            unit="deviations of gold",
            rule=above(LEAST),
            estimate=mean_helps,
        ),
        Claim(
            name="k2",
            statement=f"The estimator of KL used there, k2, reads more than {READ:g} times the true KL at the end",
            source="Coste et al., App., as examined by Schulman 2020",
            unit="log of the ratio",
            rule=above(round(float(np.log(READ)), 3)),
            estimate=k2_reads,
        ),
        *coste_orders(four),
    ),
)
