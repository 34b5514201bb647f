"""The orders of Rafailov et al. 2024 (arXiv:2406.02900): how much each loss and each size overoptimizes.

The paper draws win rates over KL and prints no table of them. Its Sec. 3.1 was read as others quote it.
"""

from collections.abc import Callable, Iterable

import pandas as pd

from analysis.published.claim import Claim, Records, UnknownError
from analysis.published.measures import fall_by_seed
from analysis.published.ordering import Ordering, order_claim

WIDTHS = (8, 16, 32)
NAMES = {"logistic": "DPO", "squared": "IPO", "hinge": "SLiC"}

Rows = Callable[[Records], pd.DataFrame]


def mean_fall(settings: Iterable[pd.DataFrame]) -> pd.Series:
    """The mean over settings of what gold loses, by seed; seeds that lack one have none."""
    return pd.DataFrame({i: fall_by_seed(rows) for i, rows in enumerate(settings)}).mean(axis=1, skipna=False)


def falls_of_losses(rows: pd.DataFrame) -> pd.DataFrame:
    """What gold loses with each loss, a mean over the betas that all have, of the widest policy.

    Raises UnknownError.
    """
    rows = rows[rows["policy_width"] == rows["policy_width"].max()] if "policy_width" in rows else rows
    groups = dict(iter(rows.groupby(["loss", "beta"])))
    betas = [beta for loss, beta in groups if loss == "squared" and all((name, beta) in groups for name in NAMES)]
    if not betas:
        raise UnknownError("they have no beta in common")
    return pd.DataFrame({called: mean_fall(groups[name, beta] for beta in betas) for name, called in NAMES.items()})


def falls_of_sizes(rows: pd.DataFrame) -> pd.DataFrame:
    """What gold loses at the smallest beta at each width, a mean over the three losses. Raises UnknownError."""
    rows = rows[rows["beta"] == rows["beta"].min()]
    if "policy_width" not in rows:
        raise UnknownError("there is only one size of policies")
    each = {width: (some for _, some in table.groupby("loss")) for width, table in rows.groupby("policy_width")}
    return pd.DataFrame({f"width {width:g}": mean_fall(tables) for width, tables in each.items()})


def rafailov_orders(direct: Rows) -> tuple[Claim, ...]:
    """The claims. direct: the rows of DPO, IPO and SLiC. Raises UnknownError where one of them is not there."""
    return (
        order_claim(
            name="losses",
            what="the fall of gold with DPO, IPO and SLiC is",
            source="Rafailov et al., Sec. 3.1, Figure 1: IPO overoptimizes less than DPO and SLiC; as others quote it",
            ordering=Ordering(
                published={"DPO": 1.0, "SLiC": 1.0, "IPO": 0.0},
                ranks=True,
                mapping="One epoch on pairs that gold labels by Bradley and Terry; the fall is what gold loses from "
                "its peak to the end, a mean over seven betas, of the widest policy.",
                why="At the same beta the three regularize unlike: their curvature differs, and so does how far they "
                "go; a loss that never gets far enough to fall has the least fall.",
            ),
            ours=lambda records: falls_of_losses(direct(records)),
        ),
        order_claim(
            name="sizes",
            what="the fall of gold at three sizes of the policy is",
            source="Rafailov et al., Sec. 3.1, Figure 1: the 1B model degrades most, the 6.9B model least; as others "
            "quote it",
            ordering=Ordering(
                published={f"width {width}": float(-rank) for rank, width in enumerate(WIDTHS)},
                ranks=True,
                mapping="Policies of 1, 2.8 and 6.9 billion parameters are here networks of widths 8, 16 and 32; the "
                "fall is what gold loses from its peak to the end of one epoch at the smallest beta, a mean over DPO, "
                "IPO and SLiC.",
                why="Each size has a reference and a world of its own, and the same number of steps takes a wider "
                "policy further.",
            ),
            ours=lambda records: falls_of_sizes(direct(records)),
        ),
    )
