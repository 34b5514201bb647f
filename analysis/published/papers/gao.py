"""Gao, Schulman & Hilton 2023, Scaling Laws for Reward Model Overoptimization (arXiv:2210.10760).

Four sweeps: the size of proxies, the amount of their data, the size of the policy, and the KL penalty.
"""

import numpy as np

from analysis.published.claim import (
    LEAST,
    LEAST_RATIO,
    Claim,
    Paper,
    Part,
    above,
    below,
    within,
)
from analysis.published.estimates.gao import (
    ABOUT_EQUAL,
    ALPHA,
    BETA,
    CHANCE,
    FEW,
    GOLD,
    LOG_RMSE_RATIO,
    RANKS,
    accuracy_above_chance,
    better_form,
    coefficient,
    difference_to_no_penalty,
    falls,
    gold_difference_at_proxy,
    gold_peak,
    kl_ratio_at_half_peak,
    robustness,
    slope_over_policy_size,
)
from analysis.published.measures import (
    at_peak,
)
from analysis.published.orders.gao import ORDERS
from analysis.statistics.comparison import SIMILAR

RL_QUICK = ("sweep.seeds=3", "train.steps=60", "train.checkpoints=12", "proxy.steps=400", "best_of_n.largest=4096")
LAW = "Gao et al., Sec. 3.1 and 3.2"


PAPER = Paper(
    title="Scaling laws for reward model overoptimization (Gao, Schulman & Hilton 2023, arXiv:2210.10760)",
    parts={
        "size": Part(config="gao_size", quick=(*RL_QUICK, "data.pairs=2048", "sweep.proxy.width=[8,32,128]")),
        "data": Part(
            config="gao_data",
            quick=(*RL_QUICK, "sweep.proxy.width=[8,32]", "sweep.data.pairs=[128,1024,4096]"),
        ),
        "policy": Part(config="gao_policy", quick=(*RL_QUICK, "data.pairs=1024", "sweep.policy.width=[8,16,32]")),
        "penalty": Part(config="gao_penalty", quick=(*RL_QUICK, "data.pairs=1024", "sweep.penalty=[0.0,0.2,1.0]")),
    },
    claims=(
        Claim(
            part="size",
            name="fall-bon",
            statement=f"Gold falls after its peak as best-of-n goes on, by more than {LEAST:g}, at every size of "
            "the proxy",
            source=LAW,
            unit=GOLD,
            rule=above(LEAST),
            estimate=falls("best_of_n"),
        ),
        Claim(
            part="size",
            name="fall-rl",
            statement=f"Gold falls after its peak as RL goes on, by more than {LEAST:g}, at every size of the proxy",
            source=LAW,
            unit=GOLD,
            rule=above(LEAST),
            estimate=falls("rl"),
        ),
        Claim(
            part="size",
            name="form-bon",
            statement="d (alpha - beta d) fits best-of-n better than d (alpha - beta log d): that misses by at "
            "least 5 % more",
            source=LAW,
            unit=LOG_RMSE_RATIO,
            rule=above(LEAST_RATIO),
            estimate=better_form("best_of_n"),
        ),
        Claim(
            part="size",
            name="form-rl",
            statement="d (alpha - beta log d) fits RL better than d (alpha - beta d): that misses by at least 5 % more",
            source=LAW,
            unit=LOG_RMSE_RATIO,
            rule=above(LEAST_RATIO),
            estimate=better_form("rl"),
        ),
        Claim(
            part="size",
            name="predicts",
            statement="The form for best-of-n, fitted up to 6 nats, predicts what comes beyond better than the "
            "other, which misses by at least 5 % more",
            source="Gao et al., Sec. 3.1",
            unit=LOG_RMSE_RATIO,
            rule=above(LEAST_RATIO),
            estimate=better_form("best_of_n", "beyond_rmse"),
        ),
        Claim(
            part="size",
            name="alpha-bon",
            statement=f"alpha of best-of-n rises by at least {LEAST:g} for each factor of ten in the proxy's "
            "parameters",
            source="Gao et al., Sec. 3.2",
            unit=ALPHA,
            rule=above(LEAST),
            estimate=coefficient("best_of_n", "law_alpha"),
        ),
        Claim(
            part="size",
            name="beta-bon",
            statement=f"beta of best-of-n falls by at least {LEAST:g} for each factor of ten in the proxy's parameters",
            source="Gao et al., Sec. 3.2",
            unit=BETA,
            rule=below(-LEAST),
            estimate=coefficient("best_of_n", "law_beta"),
        ),
        Claim(
            part="size",
            name="beta-rl",
            statement=f"beta of RL falls by at least {LEAST:g} for each factor of ten in the proxy's parameters",
            source="Gao et al., Sec. 3.2",
            unit=BETA,
            rule=below(-LEAST),
            estimate=coefficient("rl", "law_beta"),
        ),
        Claim(
            part="size",
            name="spending",
            statement="RL spends at least 5 % more KL than best-of-n for the same gain of gold, half of the "
            "lesser peak",
            source="Gao et al., Sec. 3.5",
            unit="log of the ratio of KL where each first has half of the lesser peak",
            rule=above(LEAST_RATIO),
            estimate=kl_ratio_at_half_peak,
        ),
        Claim(
            part="size",
            name="alike",
            statement=f"At equal proxy score, RL and best-of-n have the same gold within {SIMILAR:g}, at every size",
            source="Gao et al., Sec. 3.5",
            unit="deviations of gold at equal proxy score, mean over it",
            rule=within(SIMILAR),
            estimate=gold_difference_at_proxy,
        ),
        Claim(
            part="data",
            name="few",
            statement=f"With fewer than {FEW:,} comparisons a proxy of every size orders fresh pairs at most "
            f"{CHANCE:g} better than chance",
            source="Gao et al., Sec. 3.3",
            unit="accuracy on gold's preferences above one half",
            rule=below(CHANCE),
            estimate=accuracy_above_chance,
        ),
        Claim(
            part="data",
            name="validation",
            statement="Proxies with less loss on fresh comparisons lead to more gold: their ranks correlate below "
            f"{-RANKS:g}",
            source="Gao et al., Sec. 3.3",
            unit="Spearman's correlation of loss and peak of gold",
            rule=below(-RANKS),
            estimate=robustness,
        ),
        Claim(
            part="policy",
            name="policy-gain",
            statement=f"A larger policy gains less gold, by at least {LEAST:g} for a factor of ten in width",
            source="Gao et al., Sec. 3.4",
            unit="deviations of gold at the peak for a factor of ten in width",
            rule=below(-LEAST),
            estimate=slope_over_policy_size(gold_peak),
        ),
        Claim(
            part="policy",
            name="policy-kl",
            statement="A ten times wider policy peaks at the same KL within a factor of 1.5",
            source="Gao et al., Sec. 3.4",
            unit="log of KL at the peak for a factor of ten in width",
            rule=within(ABOUT_EQUAL),
            estimate=slope_over_policy_size(lambda rows: np.log(at_peak(rows[rows["kl"] > 0], "kl"))),
        ),
        Claim(
            part="penalty",
            name="penalty-proxy",
            statement=f"A KL penalty raises the proxy's score at equal KL by at least {LEAST:g}",
            source="Gao et al., Sec. 3.6",
            unit="deviations of proxy at equal KL, mean over KL",
            rule=above(LEAST),
            estimate=lambda records: difference_to_no_penalty(records, "proxy"),
        ),
        Claim(
            part="penalty",
            name="penalty-gold",
            statement=f"A KL penalty improves gold at equal KL by less than {LEAST:g}, as far as it lets policies go",
            source="Gao et al., Sec. 3.6: it does not improve the frontier of gold over KL",
            unit="deviations of gold at equal KL, mean over KL",
            rule=below(LEAST),
            estimate=lambda records: difference_to_no_penalty(records, "gold"),
        ),
        *ORDERS,
    ),
)
