"""The orders of VPO (arXiv:2405.19320) and SimPER (arXiv:2502.00883) beside DPO and IPO.

VPO: the caption of Figure 2 says that VPO is strong throughout on ARC-Challenge and avoids overoptimization, and a
review that DPO and IPO do not; both as others quote them. SimPER: its abstract says that it is better than what there
was. Its review says that the other numbers of its Table 2 are those of SimPO's authors; in the README of
princeton-nlp/SimPO DPO is above IPO with each of four models (v0.1, length-controlled win rates on AlpacaEval 2, of
25.1 and 20.5 on average).
"""

from collections.abc import Callable

import pandas as pd

from analysis.published.claim import Claim, Records, UnknownError
from analysis.published.measures import end_by_seed, loss_with_settings
from analysis.published.ordering import Ordering, order_claim
from analysis.records.load import final_rows
from analysis.statistics.peaks import peak_golds

LOSSES = {"simper": "SimPER", "logistic": "DPO", "squared": "IPO"}
VPO = ("vpo (alpha 0.1)", "vpo (alpha 1)")

Rows = Callable[[Records], pd.DataFrame]


def of_losses(rows: pd.DataFrame) -> pd.DataFrame:
    """Gold of each loss at the end, at the beta that is best for the other seeds. Raises UnknownError."""
    found = {}
    for loss, called in LOSSES.items():
        if not rows["loss"].eq(loss).any():
            continue
        last = final_rows(rows[rows["loss"] == loss]).fillna({"beta": -1.0})
        table = last.pivot_table(index="seed", columns="beta", values="gold").dropna()
        if len(table) > 1:
            found[called] = pd.Series(peak_golds(table.to_numpy(float)), index=table.index)
    if not found:
        raise UnknownError("fewer than two seeds are there")
    return pd.DataFrame(found)


def with_vpo(rows: pd.DataFrame) -> pd.DataFrame:
    """Gold at the end at the smallest beta, of DPO, IPO and the variants of VPO."""
    rows = rows[rows["beta"] == rows["beta"].min()]
    names = {"logistic": "DPO", "squared": "IPO"}
    names |= {str(loss): loss_with_settings(str(loss)) for loss in rows["loss"].unique() if str(loss)[:4] == "vpo,"}
    there = [loss for loss in names if rows["loss"].eq(loss).any()]
    return pd.DataFrame({names[loss]: end_by_seed(rows[rows["loss"] == loss]) for loss in there})


def neighbours_orders(middle: Rows) -> tuple[Claim, ...]:
    """The claims. middle: the rows of all objectives at the middle learning rate, variants named."""
    return (
        order_claim(
            name="simper",
            what="gold at the end of SimPER, DPO and IPO is",
            source="Xiao et al., abstract and Table 2: SimPER first, then DPO and IPO as in SimPO's README; as others "
            "quote it",
            ordering=Ordering(
                published={"SimPER": 2.0, "DPO": 1.0, "IPO": 0.0},
                ranks=True,
                mapping="The tuned baselines are here DPO and IPO, each at the beta that is best for the other seeds; "
                "SimPER has none. All are at the middle learning rate; gold at the end stands for the win rate.",
                why="Gold here falls when a policy goes too far, SimPER has nothing that holds it back, and training "
                "is many passes over few pairs instead of one.",
            ),
            ours=lambda records: of_losses(middle(records)),
        ),
        order_claim(
            name="vpo",
            what="gold at the end of offline VPO, DPO and IPO at the smallest beta is",
            source="Cen et al., offline experiments, Figure 2: VPO above DPO and IPO; as others quote it",
            ordering=Ordering(
                published=dict.fromkeys(VPO, 1.0) | {"DPO": 0.0, "IPO": 0.0},
                ranks=True,
                mapping="VPO offline is pessimistic with the reference as its calibration, at alpha 0.1 and 1; "
                "accuracy on ARC-Challenge late in training is here gold at the end at the smallest beta.",
                why="The pessimism of VPO is a small term beside many passes over few pairs; and answers that are "
                "right or wrong are not a gold that falls far from the reference.",
            ),
            ours=lambda records: with_vpo(middle(records)),
        ),
    )
