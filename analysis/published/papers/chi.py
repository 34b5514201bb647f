"""Huang et al. 2024, Correcting the Mythos of KL-Regularization: χPO beside DPO (arXiv:2407.13399).

Win rates after 1, 2 and 4 epochs at two strengths (Table 1), and regret over the number of pairs. The table was read as
others quote it, not in the paper. One implementer of χPO reported that they could not get the paper's numbers
(huggingface/trl, issue 3573, as quoted by others); whatever is found here is about this world.
"""

from analysis.published.claim import LEAST, Claim, Paper, Part, above, below
from analysis.published.estimates.chi import (
    after,
    end_at_smallest,
    every_cell,
    loses_more,
    regret_falls,
    regret_smaller,
)
from analysis.published.orders.chi import cells_order

RATE = "win rate against the reference"

PAPER = Paper(
    title="χPO and DPO over epochs and pairs (Huang et al. 2024, arXiv:2407.13399)",
    parts={
        "": Part(config="chi", quick=("sweep.seeds=3",)),
        "pairs": Part(
            config="chi_pairs",
            quick=("sweep.seeds=3", "train.steps=200", "sweep.data.pairs=[256,2048]", "sweep.beta=[0.01,0.1,1.0]"),
        ),
    },
    claims=(
        Claim(
            name="every-cell",
            statement="χPO has a higher win rate than DPO at beta 0.05 and 0.005 after 1, 2 and 4 epochs",
            source="Huang et al., Table 1, whose smallest difference is 0.007",
            unit=f"{RATE}, χPO's less DPO's",
            rule=above(0.0),
            estimate=lambda records: every_cell(records, "logistic"),
        ),
        Claim(
            name="every-cell-ipo",
            statement="Ours, not the paper's: "
            "χPO has a higher win rate than IPO at beta 0.05 and 0.005 after 1, 2 and 4 epochs",
            source="ours, beside Huang et al., Table 1",
            unit=f"{RATE}, χPO's less IPO's",
            rule=above(0.0),
            estimate=lambda records: every_cell(records, "squared"),
            ours=True,
        ),
        Claim(
            name="loses-more",
            statement=f"From the first epoch to the fourth the win rate of DPO falls by at least {LEAST:g} more than "
            "that of χPO, at beta 0.05 and 0.005",
            source="Huang et al., Table 1: 0.093 and 0.152 more",
            unit=f"{RATE}, what DPO loses less what χPO loses",
            rule=above(LEAST),
            estimate=loses_more,
        ),
        Claim(
            name="dpo-below",
            statement="At beta 0.005 DPO ends below a win rate of one half after four epochs",
            source="Huang et al., Table 1: 0.005",
            unit=RATE,
            rule=below(0.5),
            estimate=lambda records: end_at_smallest(records, "logistic"),
        ),
        Claim(
            name="chi-above",
            statement="At beta 0.005 χPO ends above a win rate of one half after four epochs",
            source="Huang et al., Table 1: 0.516",
            unit=RATE,
            rule=above(0.5),
            estimate=lambda records: end_at_smallest(records, "chi_po"),
        ),
        cells_order(after),
        Claim(
            name="regret-falls",
            statement=f"With ten times as many pairs regret is smaller by at least {LEAST:g}, for χPO and for DPO, at "
            "the best beta of each",
            source="Huang et al., the bound on regret, which is one of χPO",
            unit="deviations of gold for a factor of ten in pairs",
            rule=below(-LEAST),
            estimate=regret_falls,
            part="pairs",
        ),
        Claim(
            name="regret-smaller",
            statement=f"The regret of χPO is smaller than that of DPO by at least {LEAST:g}, a mean over numbers of "
            "pairs, at the best beta of each",
            source="Huang et al., the bound on regret, and that DPO has no such one",
            unit="deviations of gold, DPO's regret less χPO's",
            rule=above(LEAST),
            estimate=regret_smaller,
            part="pairs",
        ),
    ),
)
