"""Tang et al. 2024, on the gap between online and offline alignment algorithms (arXiv:2405.08448).

IPO, and beside it DPO, SLiC and best-of-2 SFT: offline on the reference's pairs, online, and offline on the pairs that
an online run drew, in their order or shuffled. The paper measures win rates against one fixed policy; here it is gold.
"""

import numpy as np
import pandas as pd

from analysis.published.claim import (
    LEAST,
    Claim,
    Finding,
    Paper,
    Part,
    Records,
    UnknownError,
    above,
    below,
    within,
)
from analysis.published.measures import (
    difference,
    fall,
    gold_by_seed,
    mean_over_seeds,
    require_columns,
    slope_by_seed,
    without_axes,
)
from analysis.published.path_measures import gap, gap_by_seed, gap_note, of_strengths, peak_by_seed, rank_correlation
from analysis.records.load import final_rows, without_diverged

SAME = 0.1  # deviations of gold at equal KL; curves that differ by less are the same
POINTS = 0.05  # of accuracy
CORRELATED = 0.3
KINDS = {"offline": "none", "online": "none", "ordered": "ordered", "shuffled": "shuffled"}
AXES = ("online_refresh", "online_replay")


def of_kind(records: Records, kind: str, loss: str = "squared") -> pd.DataFrame:
    """The rows of a loss: offline, online, or on an online run's pairs, ordered or shuffled. Raises UnknownError."""
    rows = without_diverged(require_columns(records.curves, "online_refresh"))
    rows = without_axes(rows[rows["method"].eq("gpo") & rows["loss"].eq(loss)], *AXES)
    fresh = rows["online_refresh"] > 0
    if kind == "offline":
        found = rows[~fresh]
    else:
        replay = rows["online_replay"] if "online_replay" in rows else pd.Series("none", index=rows.index)
        found = rows[fresh & replay.eq(KINDS[kind])]
    if found.empty:
        raise UnknownError(f"there are no runs of {loss} {kind}")
    return found


def compare(records: Records, a: str, b: str, *losses: str) -> Finding:
    """Gold of one kind of training less that of another at equal KL, for each loss."""
    both = {loss: (of_kind(records, a, loss), of_kind(records, b, loss)) for loss in losses}
    return Finding(estimates={loss: gap(*rows) for loss, rows in both.items()}, note=gap_note(both))


def peaks(records: Records) -> Finding:
    """The highest gold of online IPO, over steps and strengths, less that of offline IPO."""
    of_online, of_offline = (peak_by_seed(of_kind(records, kind)) for kind in ("online", "offline"))
    return Finding(estimates={"peak": difference(of_online, of_offline)})


def humps(records: Records) -> Finding:
    """The fall of gold at the smallest strength."""

    def weakest(kind: str) -> pd.DataFrame:
        rows = of_kind(records, kind)
        return rows[rows["beta"] == rows["beta"].min()]

    return Finding(estimates={kind: fall(weakest(kind)) for kind in ("online", "offline")})


def accuracy_at_end(rows: pd.DataFrame) -> pd.Series:
    """Accuracy on held-out pairs at the end, a mean over strengths, by seed."""
    last = final_rows(require_columns(rows, "held_out_accuracy"))
    return last.groupby("seed")["held_out_accuracy"].mean()


def classify(records: Records) -> Finding:
    """Accuracy of offline IPO on held-out pairs at the end less that of online IPO."""
    offline, online = (accuracy_at_end(of_kind(records, kind)) for kind in ("offline", "online"))
    note = f"offline {offline.mean():.3g}, online {online.mean():.3g}"
    return Finding(estimates={"accuracy": difference(offline, online)}, note=note)


def accuracy_and_gold(records: Records) -> Finding:
    """Rank correlation of held-out accuracy and gold over the checkpoints of offline runs, a mean over strengths."""
    found = {}
    for beta, rows in of_strengths(of_kind(records, "offline")).items():
        gold, accuracy = (
            gold_by_seed(rows),
            gold_by_seed(require_columns(rows, "held_out_accuracy"), "held_out_accuracy"),
        )
        steps = [step for step in gold if step > 0 and step in accuracy]
        found[beta] = {
            seed: rank_correlation(gold.loc[seed, steps].to_numpy(float), accuracy.loc[seed, steps].to_numpy(float))
            for seed in gold.index
        }
    return Finding(estimates={"offline": mean_over_seeds(pd.DataFrame(found).mean(axis=1))})


def chosen_falls(records: Records) -> Finding:
    """The mean log-ratio of chosen responses at the end of offline IPO, at every strength."""
    groups = of_strengths(of_kind(records, "offline"))
    estimates = {
        f"beta {beta:g}": mean_over_seeds(final_rows(rows).groupby("seed")["chosen_logratio"].mean())
        for beta, rows in groups.items()
    }
    return Finding(estimates=estimates)


def of_data(records: Records, behaviour: str, one: bool) -> pd.DataFrame:
    """The rows on pairs of one behaviour policy, with one side of the reference or none. Raises UnknownError."""
    rows = without_diverged(require_columns(records.curves, "behaviour"))
    rows = without_axes(rows[rows["method"].eq("gpo")], "behaviour", "one_from_reference")
    rows = rows[rows["behaviour"].eq(behaviour)]
    if behaviour != "reference":
        rows = rows[require_columns(rows, "one_from_reference")["one_from_reference"].astype(str).eq(str(one))]
    if rows.empty:
        raise UnknownError(f"there are no runs on pairs of {behaviour}")
    return rows


def data(records: Records, a: tuple[str, bool], b: tuple[str, bool]) -> Finding:
    """Gold on one kind of pairs less that on another at equal KL."""
    both = of_data(records, *a), of_data(records, *b)
    return Finding(estimates={"pairs": gap(*both)}, note=gap_note({"pairs": both}))


def by_width(records: Records) -> pd.DataFrame:
    """The gap between online and offline, a row a seed and a column a width. Raises UnknownError."""
    rows = without_diverged(require_columns(records.curves, "online_refresh", "policy_width"))
    rows = without_axes(rows[rows["method"].eq("gpo")], "online_refresh", "policy_width")
    found = {
        width: gap_by_seed(some[some["online_refresh"] > 0], some[some["online_refresh"] == 0])[0]
        for width, some in rows.groupby("policy_width")
    }
    return pd.DataFrame(found)


def sizes(records: Records) -> Finding:
    """The gap between online and offline at every width."""
    table = by_width(records)
    return Finding(estimates={f"width {width}": mean_over_seeds(table[width]) for width in table})


def size_trend(records: Records) -> Finding:
    """The slope of the gap over log10 of the width."""
    table = by_width(records)
    table.columns = np.log10(np.asarray(table.columns, dtype=float))
    return Finding(estimates={"width": mean_over_seeds(slope_by_seed(table))})


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
            statement="Offline on the same pairs, shuffled, gold at equal KL is at least "
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
            f"training is within {CORRELATED:g} of 0",
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
            statement=f"The gap shrinks as the policy grows, by at least {LEAST:g} for a factor of ten in width",
            source="Tang et al., Sec. 5.5, Figure 11",
            unit="deviations of gold at equal KL for a factor of ten in width",
            rule=below(-LEAST),
            estimate=size_trend,
            part="size",
        ),
    ),
)
