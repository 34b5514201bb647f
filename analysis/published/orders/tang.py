"""The orders of Tang et al. 2024 (arXiv:2405.08448): kinds of training and kinds of pairs.

The paper draws win rates over KL and prints no table of them. Ranks are what its Sec. 5.1, 5.4, 5.5 and 6 say of
Figures 4, 9, 11 and 12, which were read in the paper; what it does not tell apart is tied.
"""

from collections.abc import Callable

import pandas as pd

from analysis.published.claim import Claim, Records
from analysis.published.estimates.tang import by_width, of_data, of_kind
from analysis.published.ordering import Ordering, order_claim
from analysis.published.path_measures import levels_at_kl

KINDS = ("online", "shuffled", "offline")
SETS = {  # behaviour, and whether one side is of the reference
    "reference and reference": ("reference", False),
    "reference and good": ("best_of_n", True),
    "good and good": ("best_of_n", False),
}
WIDTHS = (8, 16, 32, 64)


def of_kinds(loss: str) -> Callable[[Records], pd.DataFrame]:
    """Gold at equal KL of three kinds of training with a loss, by seed."""
    return lambda records: levels_at_kl({kind: of_kind(records, kind, loss) for kind in KINDS})


def of_sets(records: Records) -> pd.DataFrame:
    """Gold at equal KL of offline training on three kinds of pairs, by seed."""
    return levels_at_kl({name: of_data(records, *made) for name, made in SETS.items()})


def gaps(records: Records) -> pd.DataFrame:
    """Gold of online less that of offline training at equal KL, at each width, by seed."""
    return by_width(records).rename(columns=lambda width: f"width {width:g}")


KIND = (
    "Online, a proxy labels fresh pairs of the policy; offline, gold labels pairs of the reference; shuffled are the "
    "pairs of an online run. Win rates against one policy are here gold at equal KL, a mean over KL and four strengths"
)
ORDERS: tuple[Claim, ...] = (
    order_claim(
        name="ipo",
        what="gold at equal KL of online, shuffled and offline IPO is",
        source="Tang et al., Sec. 5.1, Figure 4: online is best, shuffled little better than offline; read in the "
        "paper",
        ordering=Ordering(
            published={"online": 1.0, "shuffled": 0.0, "offline": 0.0},
            ranks=True,
            mapping=f"{KIND}, with IPO.",
            why="Prompts are few and responses short, so pairs of the reference may cover nearly all that an online "
            "run visits.",
        ),
        ours=of_kinds("squared"),
    ),
    order_claim(
        name="bo2",
        what="gold at equal KL of online, shuffled and offline best-of-2 SFT is",
        source="Tang et al., Sec. 5.4, Figure 9: shuffled is like online, offline worse, on two tasks of three; read "
        "in the paper",
        ordering=Ordering(
            published={"online": 1.0, "shuffled": 1.0, "offline": 0.0},
            ranks=True,
            mapping=f"{KIND}, with the log-probability of the better response as the loss.",
            why="On the reference's own pairs best-of-2 SFT hardly goes further than best-of-2 does, so all are "
            "compared over little KL.",
        ),
        ours=of_kinds("sft"),
    ),
    order_claim(
        part="data",
        name="pairs",
        what="gold at equal KL of offline IPO on three kinds of pairs is",
        source="Tang et al., Sec. 6, Figure 12: pairs with a side of the reference beat those of two good policies; "
        "which of the first two is better differs between tasks; read in the paper",
        ordering=Ordering(
            published={"reference and reference": 1.0, "reference and good": 1.0, "good and good": 0.0},
            ranks=True,
            mapping="A good response is here the best of 16 by gold, and there one of an online policy after training; "
            "gold labels all pairs. Win rates are here gold at equal KL, a mean over KL and four strengths.",
            why="The best of 16 is still often a response of the reference, so that all three kinds are near to it.",
        ),
        ours=of_sets,
    ),
    order_claim(
        part="size",
        name="gap",
        what="the advantage of online IPO (gold of online less that of offline training at equal KL) at four sizes of "
        "the policy is",
        source="Tang et al., Sec. 5.5, Figure 11, of three sizes: the gap decreases slowly with size; read in the "
        "paper",
        ordering=Ordering(
            published={f"width {width}": float(-rank) for rank, width in enumerate(WIDTHS)},
            ranks=True,
            mapping="Policies of 0.77, 3 and 11 billion parameters are here networks of widths 8 to 64; the best win "
            "rate relative to online is here gold of online less offline at equal KL, a mean over KL and two "
            "strengths.",
            why="Each size has a world of its own, so gaps are in other deviations of gold, and they shrink slowly "
            "there, too.",
        ),
        ours=gaps,
    ),
)
