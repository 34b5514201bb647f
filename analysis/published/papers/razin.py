"""Razin et al. 2024, Unintentional Unalignment: Likelihood Displacement in DPO (arXiv:2410.08847).

Whether chosen responses become less likely, which ones, and where the probability goes. Places and measures were read
in the README and the code of the authors (princeton-nlp/unintentional-unalignment), not in the paper. They train on
subsets of 512 pairs of one similarity; here all pairs are trained on at once, and compared with each other.
"""

from analysis.published.claim import LEAST, LEAST_RATIO, Claim, Paper, Part, above, below, within
from analysis.published.estimates.gao import RANKS
from analysis.published.estimates.razin import (
    displaced,
    filter_less,
    filter_removes,
    gone_outside,
    linear_less,
    loss_falls,
    ranks,
)

CHOSEN = "nats, mean log-ratio of chosen responses"
RANK = "Spearman's correlation with the log-ratio of the chosen response"

PAPER = Paper(
    title="Likelihood displacement (Razin et al. 2024, arXiv:2410.08847)",
    parts={
        "": Part(
            config="razin",
            quick=("sweep.seeds=3", "train.steps=200", "data.pairs=512", "measure.pairs=512", "train.checkpoints=10"),
        ),
        "filter": Part(
            config="razin_filter",
            quick=("sweep.seeds=3", "train.steps=200", "train.checkpoints=6", "sweep.data.pairs=[128,2560]"),
        ),
    },
    claims=(
        Claim(
            name="displaced",
            statement=f"Chosen responses of DPO and of IPO are less likely at the end of training, by at least "
            f"{LEAST:g} nats",
            source="Razin et al., Section 3 (DPO) and Table 3 (IPO)",
            unit=CHOSEN,
            rule=below(-LEAST),
            estimate=displaced,
        ),
        Claim(
            name="loss-falls",
            statement="The loss of DPO and of IPO falls by at least 5 % over training",
            source="Razin et al., abstract: while margins grow",
            unit="log of the ratio, end over reference",
            rule=below(-LEAST_RATIO),
            estimate=loss_falls,
        ),
        Claim(
            name="linear",
            statement="Ours, not the paper's: "
            f"at equal KL chosen responses of policies linear in fixed features lose at least {LEAST:g} nats "
            "less than those of transformers, with DPO and with IPO",
            source="ours, after Razin et al., who explain displacement by hidden embeddings",
            unit=f"{CHOSEN}, linear less transformer, mean over KL",
            rule=above(LEAST),
            estimate=linear_less,
            ours=True,
        ),
        Claim(
            name="ches-ranks",
            statement=f"The higher CHES of a pair, the more its chosen response loses: the correlation is below "
            f"-{RANKS:g}, with DPO and with IPO",
            source="Razin et al., Section 5, Figure 2",
            unit=RANK,
            rule=below(-RANKS),
            estimate=lambda records: ranks(records, "ches"),
        ),
        Claim(
            name="edit-distance",
            statement="The edit distance of the responses of a pair does not tell how far its chosen one falls: the "
            f"correlation is between -{RANKS:g} and {RANKS:g}, with DPO and with IPO",
            source="Razin et al., Section 5",
            unit=f"{RANK}, of less the normalized edit distance",
            rule=within(RANKS),
            estimate=lambda records: ranks(records, "similarity"),
        ),
        Claim(
            name="outside",
            statement=f"Responses that no pair has gain at least {LEAST:g} of probability, with DPO and with IPO",
            source="Razin et al., Section 3: probability goes to other responses",
            unit="probability, end less reference",
            rule=above(LEAST),
            estimate=gone_outside,
        ),
        Claim(
            name="filter-removes",
            statement="Trained on the 5 % of the pairs of lowest CHES, chosen responses do not become less likely by "
            f"{LEAST:g} nats or more, with DPO and with IPO",
            source="Razin et al., Section 6, Figure 3",
            unit=CHOSEN,
            rule=above(-LEAST),
            estimate=filter_removes,
            part="filter",
        ),
        Claim(
            name="filter-less",
            statement=f"Chosen responses lose at least {LEAST:g} nats less after training on the 5 % of pairs of "
            "lowest CHES than on as many random pairs, with DPO and with IPO",
            source="Razin et al., Section 6; the control is ours",
            unit=f"{CHOSEN}, filtered less not filtered",
            rule=above(LEAST),
            estimate=filter_less,
            part="filter",
        ),
    ),
)
