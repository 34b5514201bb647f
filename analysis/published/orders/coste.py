"""The orders of Coste et al. 2023 (arXiv:2310.02743): one proxy and three ways to combine five.

Final gold stands in the paper as bars (Figures 8 and 9) and curves (Figures 3 to 5) without numbers. Ranks are what its
Sec. 5, 5.1 and 5.2 say of them, which were read in the paper; what it does not tell apart is tied.
"""

from collections.abc import Callable, Mapping

import pandas as pd

from analysis.published.claim import Claim, Records
from analysis.published.measures import end_by_seed, fall_by_seed
from analysis.published.ordering import Ordering, order_claim

LABELS = ("one proxy", "mean", "worst_case", "uncertainty_weighted")
NOISE = 0.25
BON, PPO = "of best-of-n at the largest n", "at the end of PPO without a penalty"
ALIKE = "our members differ in little but their first weights and see all pairs, so that they may err alike"
NEAR = f"PPO may go less far here, where a conservative proxy gains less and need not have lost less; {ALIKE}."
SAME = f"All members learn from the same flipped labels, and {ALIKE}."

Groups = Callable[[Records, str, float], Mapping[str, pd.DataFrame]]


def ranked(*ranks: float) -> dict[str, float]:
    """The ranks of the four labels."""
    return dict(zip(LABELS, ranks, strict=True))


def mapping(method: str, noise: float, measured: str = "gold") -> str:
    """What stands for the four here."""
    labels = "a quarter of labels flipped" if noise else "no label flipped"
    return (
        f"One proxy, and five that differ in their seed, combined by their mean, the least (WCO) or the mean less a "
        f"multiple of the variance (UWO), with {labels}; measured is {measured} {method}."
    )


def table(
    groups: Groups, measure: Callable[[pd.DataFrame], pd.Series], method: str, noise: float
) -> Callable[[Records], pd.DataFrame]:
    """A measure of each label of one setting, by seed."""
    return lambda records: pd.DataFrame({name: measure(rows) for name, rows in groups(records, method, noise).items()})


def coste_orders(groups: Groups) -> tuple[Claim, ...]:
    """The claims. groups(records, method, noise): the rows of one setting for each label. Raises UnknownError."""
    return (*of_best_of_n(groups), *of_rl(groups))


def of_best_of_n(groups: Groups) -> tuple[Claim, ...]:
    """Final gold, and its fall, of best-of-n."""
    return (
        order_claim(
            name="bon",
            what="final gold of best-of-n with one proxy and three ensembles, labels without noise, is",
            source="Coste et al., Sec. 5.1, Figure 3: all three ensembles end above one proxy; read in the paper",
            ordering=Ordering(
                published=ranked(0, 1, 1, 1),
                ranks=True,
                mapping=mapping(BON, 0.0),
                why=f"Without noise there is little to average away, and {ALIKE}.",
            ),
            ours=table(groups, end_by_seed, "best_of_n", 0.0),
        ),
        order_claim(
            name="bon-noise",
            what="final gold of best-of-n with one proxy and three ensembles, a quarter of labels flipped, is",
            source="Coste et al., Sec. 5.1, Figure 3: all three ensembles end above one proxy; read in the paper",
            ordering=Ordering(published=ranked(0, 1, 1, 1), ranks=True, mapping=mapping(BON, NOISE), why=SAME),
            ours=table(groups, end_by_seed, "best_of_n", NOISE),
        ),
        order_claim(
            name="bon-fall",
            what="the fall of gold of best-of-n with one proxy and three ensembles, a quarter of labels flipped, is",
            source="Coste et al., Sec. 5.1, Figure 3: one proxy and the mean overoptimize, WCO and UWO do not; read in "
            "the paper",
            ordering=Ordering(
                published=ranked(1, 1, 0, 0),
                ranks=True,
                mapping=mapping(BON, NOISE, "what gold loses from its peak to the end"),
                why=f"{SAME} n goes further here than their 12,500.",
            ),
            ours=table(groups, fall_by_seed, "best_of_n", NOISE),
        ),
    )


def of_rl(groups: Groups) -> tuple[Claim, ...]:
    """Final gold of RL without a penalty, without noise and with it."""
    settings = (("", "labels without noise", "5a", 0.0), ("-noise", "a quarter of labels flipped", "5b", NOISE))
    return tuple(
        order_claim(
            name=f"rl{end}",
            what=f"final gold of RL with one proxy and three ensembles, {labels}, is",
            source=f"Coste et al., Sec. 5.2, Figure {figure}: WCO and UWO outperform the other two; read in the paper",
            ordering=Ordering(published=ranked(0, 0, 1, 1), ranks=True, mapping=mapping(PPO, noise), why=NEAR),
            ours=table(groups, end_by_seed, "rl", noise),
        )
        for end, labels, figure, noise in settings
    )
