"""What four neighbouring systems say of themselves: VPO, RPO, SimPER and GANPO, beside DPO and IPO.

Cen et al. 2024 (arXiv:2405.19320), Sun et al. 2025 (arXiv:2502.00203), Xiao et al. 2025 (arXiv:2502.00883), Jiang et
al. 2026 (arXiv:2601.22083). Claims are judged at the middle learning rate, except for the one on tuning.
"""

import numpy as np
import pandas as pd

from analysis.claim import Claim, Finding, Paper, Part, Records, UnknownError, above, below, within
from analysis.comparison import SIMILAR, compare
from analysis.papers.measures import (
    fall,
    log_kl_noise,
    mean_over_seeds,
    noise_of,
    weighed_falls,
    without_axes,
)
from analysis.results import ends, variants, whole

RATE = "train_learning_rate"
LITTLE = round(float(np.log(1.25)), 3)


def objectives(records: Records) -> pd.DataFrame:
    """The rows of all objectives, variants named. Raises UnknownError where nothing trains on pairs."""
    rows = whole(records.curves)
    rows = variants(rows[rows["method"] == "gpo"])
    if rows.empty:
        raise UnknownError("nothing trains on pairs")
    return without_axes(rows, RATE)


def middle(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows at the middle learning rate."""
    if RATE not in rows:
        return rows
    rates = sorted(rows[RATE].unique())
    return rows[rows[RATE] == rates[len(rates) // 2]].drop(columns=RATE)


def of(rows: pd.DataFrame, *losses: str) -> list[pd.DataFrame]:
    """The rows of each loss. Raises UnknownError where one is not there."""
    there = set(rows["loss"].unique())
    for loss in losses:
        if loss not in there:
            raise UnknownError(f"there are no runs of {loss}")
    return [rows[rows["loss"] == loss] for loss in losses]


def weakest(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows at the smallest beta."""
    return rows[rows["beta"] == rows["beta"].min()]


def vpo_names(rows: pd.DataFrame) -> list[str]:
    """The variants of VPO. Raises UnknownError."""
    names = [str(name) for name in rows["loss"].unique() if str(name).split(",")[0] == "vpo"]
    if not names:
        raise UnknownError("there are no runs of vpo")
    return names


def vpo_avoids(records: Records) -> Finding:
    """The falls of DPO and IPO at the smallest beta less that of each variant of VPO."""
    rows = middle(objectives(records))
    found = {}
    for name in vpo_names(rows):
        for loss, called in (("logistic", "DPO"), ("squared", "IPO")):
            vpo, other = (weakest(table) for table in of(rows, name, loss))
            found[f"{called} and {name}"] = weighed_falls([(1.0, other), (-1.0, vpo)])
    return Finding(estimates=found)


def vpo_falls(records: Records) -> Finding:
    """The fall of each variant of VPO at the smallest beta."""
    rows = middle(objectives(records))
    return Finding(estimates={name: fall(weakest(of(rows, name)[0])) for name in vpo_names(rows)})


def backward_stable(records: Records) -> Finding:
    """The falls of RPO's squared and forward forms at the smallest beta less that of its backward form."""
    forms = ("rpo_backward", "rpo_squared", "rpo_forward")
    backward, *others = (weakest(rows) for rows in of(middle(objectives(records)), *forms))
    return Finding(
        estimates={
            name: weighed_falls([(1.0, other), (-1.0, backward)]) for name, other in zip(forms[1:], others, strict=True)
        }
    )


def no_tuning(records: Records) -> Finding:
    """Gold at the end of SimPER at its best learning rate less that at its worst, by seed."""
    rows = objectives(records)
    (simper,) = of(rows, "simper")
    if RATE not in simper or simper[RATE].nunique() < 2:
        raise UnknownError("there is only one learning rate")
    table = ends(simper).pivot_table(index="seed", columns=RATE, values="gold").dropna()
    mean = table.mean()
    gap = table[mean.idxmax()] - table[mean.idxmin()]
    return Finding(
        estimates={"simper": mean_over_seeds(gap, noise_of(simper, simper))},
        note=f"best at {mean.idxmax():g}, worst at {mean.idxmin():g}",
    )


def ganpo_over(records: Records, *others: str) -> Finding:
    """The mean difference in gold at equal KL of GANPO and others, across beta."""
    rows = middle(objectives(records))
    of(rows, "ganpo", *others)
    return Finding(estimates={f"ganpo and {other}": compare(rows, "ganpo", other).estimate for other in others})


def ganpo_kl(records: Records) -> Finding:
    """log of GANPO's KL over DPO's at the end at equal beta, a mean over beta, by seed."""
    each = of(middle(objectives(records)), "ganpo", "logistic")
    tables = [
        ends(rows).assign(log_kl=lambda t: np.log(t["kl"])).pivot_table(index="seed", columns="beta", values="log_kl")
        for rows in each
    ]
    gap = (tables[0] - tables[1]).dropna(axis="columns").mean(axis=1).dropna()
    return Finding(estimates={"ganpo": mean_over_seeds(gap, log_kl_noise(*map(ends, each)))})


NEIGHBOURS = Paper(
    title="Neighbours of GPO: VPO, RPO, SimPER and GANPO, by their own words",
    parts={
        "": Part(
            config="neighbours.toml",
            quick=(
                *("sweep.seeds=3", "train.steps=150", "train.checkpoints=10", "sweep.beta=[0.03,0.3]"),
                *("sweep.train.learning_rate=[0.003,0.01]", "data.pairs=256"),
                'sweep.loss=["logistic","squared","vpo","rpo_squared","rpo_backward","rpo_forward","simper","ganpo",'
                '"ganpo_frozen","ganpo_l2"]',
            ),
        )
    },
    claims=(
        Claim(
            name="vpo-less",
            statement="Offline VPO overoptimizes less than DPO and IPO at the smallest beta, with every alpha",
            source="Cen et al., offline experiments",
            unit="deviations of gold, fall less VPO's",
            rule=above(0),
            estimate=vpo_avoids,
        ),
        Claim(
            name="vpo-none",
            statement="Offline VPO avoids overoptimization at the smallest beta, with every alpha",
            source="Cen et al., offline experiments",
            unit="deviations of gold",
            rule=below(SIMILAR),
            estimate=vpo_falls,
        ),
        Claim(
            name="rpo-backward",
            statement="The backward KL is the stable form of RPO: it falls less than the squared and the forward form",
            source="Sun et al., experiments",
            unit="deviations of gold, fall less that of the backward form",
            rule=above(0),
            estimate=backward_stable,
        ),
        Claim(
            name="simper",
            statement="SimPER needs no tuning: the learning rate makes little difference",
            source="Xiao et al., abstract",
            unit="deviations of gold, best less worst learning rate",
            rule=below(SIMILAR),
            estimate=no_tuning,
        ),
        Claim(
            name="ganpo-better",
            statement="GANPO has more gold than DPO at equal KL",
            source="Jiang et al., experiments",
            unit="deviations of gold at equal KL, mean over KL",
            rule=above(0),
            estimate=lambda records: ganpo_over(records, "logistic"),
        ),
        Claim(
            name="ganpo-cost",
            statement="GANPO comes at no cost in KL: it ends as far as DPO at equal beta",
            source="Jiang et al., experiments",
            unit="log of the ratio of KL",
            rule=within(LITTLE),
            estimate=ganpo_kl,
        ),
        Claim(
            name="ganpo-adversary",
            statement="GANPO's gain is the adversary's: a frozen discriminator and an L2 penalty have less gold",
            source="Jiang et al., motivation; the controls are ours",
            unit="deviations of gold at equal KL, mean over KL",
            rule=above(0),
            estimate=lambda records: ganpo_over(records, "ganpo_frozen", "ganpo_l2"),
        ),
    ),
)
