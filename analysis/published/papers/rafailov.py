"""Rafailov et al. 2024, Scaling Laws for Reward Model Overoptimization in Direct Alignment (arXiv:2406.02900).

One epoch of DPO, IPO and SLiC over a ladder of beta, for three sizes of policies.
"""

import numpy as np
import pandas as pd

from analysis.published.claim import (
    LEAST,
    LEAST_RATIO,
    Claim,
    Finding,
    Paper,
    Part,
    Records,
    UnknownError,
    above,
    below,
)
from analysis.published.measures import at_peak, fall, mean_over_seeds, weighted_falls, with_epochs, without_axes
from analysis.published.orders.rafailov import rafailov_orders
from analysis.records.load import without_diverged
from analysis.statistics.intervals import NOT_BELOW_0
from analysis.statistics.laws import misfits

NAMES = {"logistic": "DPO", "squared": "IPO", "hinge": "SLiC"}
QUARTER = 0.25
ONE = 1.05  # epochs
TINY = 1e-9  # deviations of gold; two forms that miss less fit alike


def direct(records: Records) -> pd.DataFrame:
    """The rows of DPO, IPO and SLiC. Raises UnknownError where one of them is not there."""
    rows = without_diverged(records.curves)
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


def better_form(records: Records) -> Finding:
    """log of what d (alpha - beta d) misses over what d (alpha - beta log d) does, a mean over beta, by seed."""
    rows = direct(records)
    found = []
    for (loss, _, seed), table in rows.groupby(["loss", "run_id", "seed"], sort=False):
        try:
            missed = misfits(np.sqrt(table["kl"].clip(lower=0.0)), table["gold"])
        except ValueError:
            continue
        found.append((loss, seed, np.log((missed["bon"] + TINY) / (missed["rl"] + TINY))))
    laws = pd.DataFrame(found, columns=["loss", "seed", "ratio"])
    if laws.empty:
        raise UnknownError("no law can be fitted")
    groups = laws.groupby("loss", sort=False)
    estimates = {NAMES[str(loss)]: mean_over_seeds(table.groupby("seed")["ratio"].mean()) for loss, table in groups}
    missed = np.exp(np.mean([estimate.value for estimate in estimates.values()]))
    return Finding(estimates=estimates, note=f"the quadratic form misses {missed:.2g} times as much on average")


def epochs(records: Records) -> pd.DataFrame:
    """The rows with the passes over the data of each step, at most one. Raises UnknownError where there are more."""
    rows = with_epochs(records, direct(records))
    most = float(rows["epochs"].max())
    if not most <= ONE:
        raise UnknownError(f"training went over the pairs {most:.3g} times, and the claim is about one epoch")
    return rows


def hump(records: Records) -> Finding:
    """The fall of DPO, IPO and SLiC at the smallest beta and the largest policy."""
    groups = weakest(epochs(records)).groupby("loss", sort=False)
    return Finding(estimates={NAMES[str(loss)]: fall(rows) for loss, rows in groups})


def epochs_at_peak(records: Records) -> Finding:
    """Passes over the data where gold peaks, at the smallest beta, by seed."""
    groups = weakest(epochs(records)).groupby("loss", sort=False)
    estimates = {
        NAMES[str(loss)]: mean_over_seeds(at_peak(rows, "epochs"), bounds=NOT_BELOW_0) for loss, rows in groups
    }
    return Finding(estimates=estimates)


def largest(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of the largest policy."""
    return rows[rows["policy_width"] == rows["policy_width"].max()] if "policy_width" in rows else rows


def least_prone(records: Records) -> Finding:
    """The fall of DPO and of SLiC less that of IPO, a mean over the betas that all have."""
    groups = dict(iter(largest(direct(records)).groupby(["loss", "beta"])))
    betas = [beta for loss, beta in groups if loss == "squared" and all((name, beta) in groups for name in NAMES)]
    if not betas:
        raise UnknownError("they have no beta in common")
    estimates = {}
    for loss in (name for name in NAMES if name != "squared"):
        terms = [
            (sign / len(betas), groups[name, beta]) for name, sign in ((loss, 1), ("squared", -1)) for beta in betas
        ]
        estimates[f"{NAMES[loss]} and IPO"] = weighted_falls(terms)
    return Finding(estimates=estimates)


def larger_less_prone(records: Records) -> Finding:
    """The slope of the fall at the smallest beta over log10 of the policy's width."""
    rows = direct(records)
    if "policy_width" not in rows or rows["policy_width"].nunique() < 2:
        raise UnknownError("there is only one size of policies")
    rows = rows[rows["beta"] == rows["beta"].min()]
    estimates = {}
    for loss, table in rows.groupby("loss"):
        groups = list(table.groupby("policy_width"))
        x = np.log10([width for width, _ in groups])
        slope = (x - x.mean()) / ((x - x.mean()) ** 2).sum()
        estimates[NAMES[str(loss)]] = weighted_falls(list(zip(slope, (rows for _, rows in groups), strict=True)))
    return Finding(estimates=estimates)


PAPER = Paper(
    title="Overoptimization in direct alignment algorithms (Rafailov et al. 2024, arXiv:2406.02900)",
    parts={
        "": Part(
            config="rafailov",
            quick=("sweep.seeds=3", "sweep.beta=[0.01,0.1,1.0]", "sweep.policy.width=[8,16]"),
        )
    },
    claims=(
        Claim(
            name="hump",
            statement=f"Gold falls after its peak by more than {LEAST:g} for each of DPO, IPO and SLiC, within one "
            "epoch",
            source="Rafailov et al., Sec. 3",
            unit="deviations of gold",
            rule=above(LEAST),
            estimate=hump,
        ),
        Claim(
            name="form",
            statement="d (alpha - beta log d) fits each of the three better than the quadratic form, which misses "
            "by at least 5 % more",
            source="Rafailov et al., Sec. 3",
            unit="log of the ratio of what the two forms miss",
            rule=above(LEAST_RATIO),
            estimate=better_form,
        ),
        Claim(
            name="quarter",
            statement="At the smallest beta gold peaks within the first quarter of one epoch, for each of the three",
            source="Rafailov et al., Sec. 3",
            unit="epochs",
            rule=below(QUARTER),
            estimate=epochs_at_peak,
        ),
        Claim(
            name="ipo",
            statement=f"Gold of IPO falls by at least {LEAST:g} less than that of DPO and of SLiC, a mean over "
            "beta, in the same steps",
            source="Rafailov et al., Sec. 3",
            unit="deviations of gold, fall less IPO's, mean over beta",
            rule=above(LEAST),
            estimate=least_prone,
        ),
        Claim(
            name="larger",
            statement=f"Gold of a ten times wider policy falls by at least {LEAST:g} less, for each of the three",
            source="Rafailov et al., Sec. 3",
            unit="deviations of gold for a factor of ten in width",
            rule=below(-LEAST),
            estimate=larger_less_prone,
        ),
        *rafailov_orders(direct),
    ),
)
