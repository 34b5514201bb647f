"""Rafailov et al. 2024, Scaling Laws for Reward Model Overoptimization in Direct Alignment (arXiv:2406.02900).

One epoch of DPO, IPO and SLiC over a ladder of beta, for three sizes of policies.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd

from analysis.claim import Claim, Finding, Paper, Part, Records, UnknownError, above, below
from analysis.intervals import Estimate
from analysis.laws import misfits
from analysis.papers.measures import (
    at_peak,
    difference,
    fall,
    falls_by_seed,
    mean_over_seeds,
    slope_by_seed,
    without_axes,
)
from analysis.results import trained

NAMES = {"logistic": "DPO", "squared": "IPO", "hinge": "SLiC"}
QUARTER = 0.25


def direct(records: Records) -> pd.DataFrame:
    """The rows of DPO, IPO and SLiC. Raises UnknownError where one of them is not there."""
    rows = trained(records.curves)
    rows = rows[rows["method"].eq("gpo") & rows["loss"].isin(NAMES)]
    there = set(rows["loss"].unique())
    missing = [name for name in NAMES if name not in there]
    if missing:
        raise UnknownError(f"there are no runs of {', '.join(missing)}")
    return without_axes(rows, "policy_width")


def weakest(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows at the smallest beta, of the largest policy."""
    rows = rows[rows["beta"] == rows["beta"].min()]
    return rows[rows["policy_width"] == rows["policy_width"].max()] if "policy_width" in rows else rows


def each_loss(of_rows: Callable[[pd.DataFrame], Estimate]) -> Callable[[Records], Finding]:
    """An estimate for DPO, IPO and SLiC each, at the smallest beta and the largest policy."""

    def estimate(records: Records) -> Finding:
        groups = weakest(direct(records)).groupby("loss", sort=False)
        return Finding(estimates={NAMES[str(loss)]: of_rows(rows) for loss, rows in groups})

    return estimate


def better_form(records: Records) -> Finding:
    """log of what d (alpha - beta d) misses over what d (alpha - beta log d) does, a mean over beta, by seed."""
    rows = direct(records)
    found = []
    for (loss, _, seed), table in rows.groupby(["loss", "run_id", "seed"], sort=False):
        try:
            missed = misfits(np.sqrt(table["kl"].clip(lower=0.0)), table["gold"])
        except ValueError:
            continue
        found.append((loss, seed, np.log(missed["bon"] / missed["rl"])))
    laws = pd.DataFrame(found, columns=["loss", "seed", "ratio"])
    if laws.empty:
        raise UnknownError("no law can be fitted")
    groups = laws.groupby("loss", sort=False)
    estimates = {NAMES[str(loss)]: mean_over_seeds(table.groupby("seed")["ratio"].mean()) for loss, table in groups}
    missed = np.exp(np.mean([estimate.value for estimate in estimates.values()]))
    return Finding(estimates=estimates, note=f"the quadratic form misses {missed:.2g} times as much on average")


def epochs_at_peak(records: Records) -> Finding:
    """Passes over the data where gold peaks, at the smallest beta, by seed."""
    runs = records.runs
    batch, pairs = int(runs["train.batch"].iloc[0]), int(runs["data.pairs"].iloc[0])
    rows = direct(records)
    rows = rows.assign(epochs=rows["step"] * batch / pairs)

    def passes(table: pd.DataFrame) -> Estimate:
        return mean_over_seeds(at_peak(table, "epochs"))

    groups = weakest(rows).groupby("loss", sort=False)
    return Finding(estimates={NAMES[str(loss)]: passes(table) for loss, table in groups})


def least_prone(records: Records) -> Finding:
    """The fall of DPO and of SLiC less that of IPO, a mean over beta, by seed."""
    rows = direct(records)
    if "policy_width" in rows:
        rows = rows[rows["policy_width"] == rows["policy_width"].max()]
    found = {
        str(loss): pd.concat([falls_by_seed(each) for _, each in table.groupby("beta")], axis=1).mean(axis=1)
        for loss, table in rows.groupby("loss")
    }
    others = [loss for loss in NAMES if loss != "squared"]
    return Finding(estimates={f"{NAMES[loss]} and IPO": difference(found[loss], found["squared"]) for loss in others})


def larger_less_prone(records: Records) -> Finding:
    """The slope of the fall at the smallest beta over log10 of the policy's width, by seed."""
    rows = direct(records)
    if "policy_width" not in rows or rows["policy_width"].nunique() < 2:
        raise UnknownError("there is only one size of policies")
    rows = rows[rows["beta"] == rows["beta"].min()]
    estimates = {}
    for loss, table in rows.groupby("loss"):
        found = {np.log10(width): falls_by_seed(each) for width, each in table.groupby("policy_width")}
        estimates[NAMES[str(loss)]] = mean_over_seeds(slope_by_seed(pd.DataFrame(found)))
    return Finding(estimates=estimates)


RAFAILOV = Paper(
    title="Overoptimization in direct alignment algorithms (Rafailov et al. 2024, arXiv:2406.02900)",
    parts={
        "": Part(
            config="rafailov.toml",
            quick=("sweep.seeds=3", "sweep.beta=[0.01,0.1,1.0]", "sweep.policy.width=[8,16]"),
        )
    },
    claims=(
        Claim(
            name="hump",
            statement="Gold falls after its peak for DPO, IPO and SLiC alike, within one epoch",
            source="Rafailov et al., Sec. 3",
            unit="deviations of gold",
            rule=above(0),
            estimate=each_loss(fall),
        ),
        Claim(
            name="form",
            statement="d (alpha - beta log d) fits better than the quadratic form, for each of the three",
            source="Rafailov et al., Sec. 3",
            unit="log of the ratio of what the two forms miss",
            rule=above(0),
            estimate=better_form,
        ),
        Claim(
            name="quarter",
            statement="With a wide KL budget gold peaks within the first quarter of one epoch",
            source="Rafailov et al., Sec. 3",
            unit="epochs",
            rule=below(QUARTER),
            estimate=epochs_at_peak,
        ),
        Claim(
            name="ipo",
            statement="IPO is less prone to overoptimization than DPO and SLiC",
            source="Rafailov et al., Sec. 3",
            unit="deviations of gold, fall less IPO's, mean over beta",
            rule=above(0),
            estimate=least_prone,
        ),
        Claim(
            name="larger",
            statement="Larger policies are less prone to overoptimization",
            source="Rafailov et al., Sec. 3",
            unit="deviations of gold for a factor of ten in width",
            rule=below(0),
            estimate=larger_less_prone,
        ),
    ),
)
