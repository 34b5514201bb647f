"""Tang et al. 2024, on the gap between online and offline alignment algorithms (arXiv:2405.08448).

IPO, and beside it DPO, SLiC and best-of-2 SFT: offline on the reference's pairs, online, and offline on the pairs that
an online run drew, in their order or shuffled. The paper measures win rates against one fixed policy; here it is gold.
"""

from analysis.published.claim import LEAST, Claim, Paper, Part, above, below, within
from analysis.published.estimates.tang import (
    accuracy_and_gold,
    chosen_falls,
    classify,
    compare,
    data,
    humps,
    peaks,
    size_trend,
    sizes,
)
from analysis.published.orders.tang import ORDERS

SAME = 0.1  # deviations of gold at equal KL; curves that differ by less are the same
POINTS = 0.05  # of accuracy
CORRELATED = 0.3
GOLD = "deviations of gold at equal KL"
GOOD, HALF, REFERENCE = ("best_of_n", False), ("best_of_n", True), ("reference", False)

PAPER = Paper(
    title="Online and offline alignment (Tang et al. 2024, arXiv:2405.08448)",
    parts={
        "": Part(
            config="tang",
            quick=("sweep.seeds=3", "sweep.beta=[0.03,0.3]", "train.steps=200", "train.checkpoints=12"),
        ),
        "data": Part(config="tang_data", quick=("sweep.seeds=3", "sweep.beta=[0.03,0.3]", "train.steps=200")),
        "size": Part(
            config="tang_size",
            quick=("sweep.seeds=3", "sweep.beta=[0.1]", "sweep.policy.width=[8,16]", "train.steps=160"),
        ),
    },
    claims=(
        Claim(
            name="online",
            statement=f"At equal KL online IPO has at least {LEAST:g} more gold than offline IPO",
            source="Tang et al., Sec. 2, Figure 1",
            unit=GOLD,
            rule=above(LEAST),
            estimate=lambda records: compare(records, "online", "offline", "squared"),
        ),
        Claim(
            name="peak",
            statement=f"The highest gold of online IPO is at least {LEAST:g} above that of offline IPO",
            source="Tang et al., Sec. 2, Figure 1",
            unit="deviations of gold",
            rule=above(LEAST),
            estimate=peaks,
        ),
        Claim(
            name="fall",
            statement=f"At the smallest beta gold falls after its peak by more than {LEAST:g}, online and offline",
            source="Tang et al., Sec. 2, Figure 1",
            unit="deviations of gold",
            rule=above(LEAST),
            estimate=humps,
        ),
        Claim(
            name="ordered",
            statement="Offline on the pairs of an online run in their order, gold at equal KL is that of online "
            f"training, within {SAME:g}",
            source="Tang et al., Sec. 5.1",
            unit=GOLD,
            rule=within(SAME),
            estimate=lambda records: compare(records, "ordered", "online", "squared"),
        ),
        Claim(
            name="shuffled",
            statement="Offline on the shuffled pairs of an online run, gold at equal KL is at least "
            f"{LEAST:g} less than that of online training",
            source="Tang et al., Sec. 5.1, Figure 4",
            unit=GOLD,
            rule=above(LEAST),
            estimate=lambda records: compare(records, "online", "shuffled", "squared"),
        ),
        Claim(
            name="coverage",
            statement=f"Shuffled pairs of an online run are not {LEAST:g} better than the reference's pairs",
            source="Tang et al., Sec. 5.1, Figure 4",
            unit=GOLD,
            rule=below(LEAST),
            estimate=lambda records: compare(records, "shuffled", "offline", "squared"),
        ),
        Claim(
            name="classify",
            statement="Offline IPO classifies held-out pairs better than online IPO, by at least 5 points",
            source="Tang et al., Sec. 5.3, Figure 8",
            unit="share of held-out pairs",
            rule=above(POINTS),
            estimate=classify,
        ),
        Claim(
            name="correlation",
            statement="Within offline runs held-out accuracy and gold are not correlated: the rank correlation along "
            f"training is within {CORRELATED:g} of 0, at every beta",
            source="Tang et al., Sec. 5.3, Figure 7",
            unit="rank correlation",
            rule=within(CORRELATED),
            estimate=accuracy_and_gold,
        ),
        Claim(
            name="chosen",
            statement=f"Offline IPO makes chosen responses less likely, by at least {LEAST:g} nats, at every beta",
            source="Tang et al., Sec. 5.3, Figure 8",
            unit="nats, log-ratio of chosen responses",
            rule=below(-LEAST),
            estimate=chosen_falls,
        ),
        Claim(
            name="bo2",
            statement=f"At equal KL online best-of-2 SFT has at least {LEAST:g} more gold than offline best-of-2 SFT",
            source="Tang et al., Sec. 5.4, Figure 9",
            unit=GOLD,
            rule=above(LEAST),
            estimate=lambda records: compare(records, "online", "offline", "sft"),
        ),
        Claim(
            name="bo2-shuffled",
            statement=f"With best-of-2 SFT shuffled pairs of an online run are as good as online, within {SAME:g}",
            source="Tang et al., Sec. 5.4, Figure 9",
            unit=GOLD,
            rule=within(SAME),
            estimate=lambda records: compare(records, "shuffled", "online", "sft"),
        ),
        Claim(
            name="losses",
            statement=f"Online is better at equal KL with DPO and with SLiC, too, by at least {LEAST:g}",
            source="Tang et al., abstract (contrastive losses); SLiC is ours",
            unit=GOLD,
            rule=above(LEAST),
            estimate=lambda records: compare(records, "online", "offline", "logistic", "hinge"),
        ),
        Claim(
            name="quality",
            statement="Pairs of two good responses, each the best of 16, are not "
            f"{LEAST:g} better to learn from offline than the reference's pairs",
            source="Tang et al., Sec. 5.2, Figure 5",
            unit=GOLD,
            rule=below(LEAST),
            estimate=lambda records: data(records, GOOD, REFERENCE),
            part="data",
        ),
        Claim(
            name="one-side",
            statement="Pairs with one response of the reference and a good one are at least "
            f"{LEAST:g} better to learn from than pairs of two good ones",
            source="Tang et al., Sec. 6, Figure 12",
            unit=GOLD,
            rule=above(LEAST),
            estimate=lambda records: data(records, HALF, GOOD),
            part="data",
        ),
        Claim(
            name="size",
            statement=f"Online IPO is better at equal KL by at least {LEAST:g} at every size of the policy",
            source="Tang et al., Sec. 5.5, Figure 10",
            unit=GOLD,
            rule=above(LEAST),
            estimate=sizes,
            part="size",
        ),
        Claim(
            name="size-trend",
            statement="The advantage of online IPO (gold of online less that of offline training at equal KL) falls as "
            f"the policy grows, by at least {LEAST:g} for a factor of ten in width",
            source="Tang et al., Sec. 5.5, Figure 11",
            unit="deviations of gold at equal KL for a factor of ten in width",
            rule=below(-LEAST),
            estimate=size_trend,
            part="size",
        ),
        *ORDERS,
    ),
)
