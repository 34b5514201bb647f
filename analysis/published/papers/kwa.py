"""Kwa et al. 2024, Catastrophic Goodhart (arXiv:2407.14503), and Laidlaw et al. 2024 (arXiv:2403.03185).

Planted errors of heavy and light tails, and the policies that are exactly the best under KL and under χ². What Kwa et
al. state was read as others quote it: with an error of heavy tails and a penalty on KL, some policies have as much
proxy as one likes and no more gold than the reference. That is a limit. Here it is the smallest tau, and responses are
finitely many. Laidlaw et al. penalize the root of χ², which at one prompt has the same policies at other strengths.
"""

from analysis.published.claim import LEAST, Claim, Paper, Part, above, below, within
from analysis.published.estimates.gao import RANKS
from analysis.published.estimates.kwa import HEAVY, LIGHT, end, keeps_more, lower_peak, tails
from analysis.statistics.comparison import SIMILAR

GOLD = "deviations of gold under the reference"

PAPER = Paper(
    title="Errors of heavy tails, KL and χ² (Kwa et al. 2024, arXiv:2407.14503)",
    parts={"": Part(config="kwa", quick=("sweep.seeds=4", "world.prompts=2"))},
    claims=(
        Claim(
            name="heavy-end",
            statement="With heavy tails and KL, gold at the smallest penalty is less than "
            f"{LEAST:g} above the reference's",
            source="Kwa et al., abstract: no more utility than the base model",
            unit=GOLD,
            rule=below(LEAST),
            estimate=lambda records: end(records, HEAVY),
        ),
        Claim(
            name="heavy-near",
            statement=f"With heavy tails and KL, gold at the smallest penalty is within {SIMILAR:g} of the reference's",
            source="Kwa et al., the limit in which only the error counts, as quoted by others",
            unit=GOLD,
            rule=within(SIMILAR),
            estimate=lambda records: end(records, HEAVY),
        ),
        Claim(
            name="light-end",
            statement="With light tails and KL, gold at the smallest penalty is at least "
            f"{LEAST:g} above the reference's",
            source="Kwa et al., on errors of light tails, as quoted by others",
            unit=GOLD,
            rule=above(LEAST),
            estimate=lambda records: end(records, LIGHT),
        ),
        Claim(
            name="heavy-peak",
            statement="Ours, not the paper's: "
            f"under KL the most gold along the penalty is at least {LEAST:g} lower with heavy tails than "
            "with light ones",
            source="ours, after Kwa et al.",
            unit=f"{GOLD}, light less heavy tails",
            rule=above(LEAST),
            estimate=lower_peak,
            ours=True,
        ),
        Claim(
            name="chi2-keeps",
            statement=f"With heavy tails χ², and χ² + KL, leave at least {LEAST:g} more gold than KL, at the best "
            "penalty of each",
            source="Laidlaw et al., abstract: χ² can be more effective than KL",
            unit=f"{GOLD}, peak less that of KL",
            rule=above(LEAST),
            estimate=lambda records: keeps_more(records, HEAVY, ("chi2", "chi2_kl"), "kl"),
        ),
        Claim(
            name="no-winner",
            statement="Ours, not the paper's: "
            f"no divergence is the best for every error: with light tails KL leaves at least {LEAST:g} more "
            "gold than χ² at the best penalty of each",
            source="ours",
            unit=f"{GOLD}, peak of KL less that of χ²",
            rule=above(LEAST),
            estimate=lambda records: keeps_more(records, LIGHT, ("kl",), "chi2"),
            ours=True,
        ),
        Claim(
            name="tails",
            statement="Ours, not the paper's: "
            "the lighter the tail of the error, by Hill's estimate, the more gold KL leaves at the best "
            f"penalty: the correlation is above {RANKS:g}",
            source="ours, after Kwa et al., who estimate tails of reward models so",
            unit="Spearman's correlation of tail index and peak of gold, over laws",
            rule=above(RANKS),
            estimate=tails,
            ours=True,
        ),
    ),
)
