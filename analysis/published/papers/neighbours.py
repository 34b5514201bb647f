"""What four neighbouring systems say of themselves: VPO, RPO, SimPER and GANPO, beside DPO and IPO.

Cen et al. 2024 (arXiv:2405.19320), Sun et al. 2025 (arXiv:2502.00203), Xiao et al. 2025 (arXiv:2502.00883), Jiang et
al. 2026 (arXiv:2601.22083). Claims are judged at the middle learning rate, except for the one on tuning.
"""

import numpy as np
import pandas as pd

from analysis.published.claim import LEAST, Claim, Finding, Paper, Part, Records, UnknownError, above, below, within
from analysis.published.measures import (
    best_minus_worst,
    ends_note,
    fall,
    log_kl_noise,
    loss_with_settings,
    mean_over_seeds,
    noise_of,
    weighted_falls,
    without_axes,
)
from analysis.published.orders.neighbours import neighbours_orders
from analysis.records.load import final_rows, variants, without_diverged
from analysis.records.number_format import number
from analysis.statistics.comparison import SIMILAR, compare
from analysis.statistics.intervals import Estimate
from analysis.statistics.peaks import jackknife

RATE = "train_learning_rate"
LITTLE = round(float(np.log(1.25)), 3)


def objectives(records: Records) -> pd.DataFrame:
    """The rows of all objectives, variants named. Raises UnknownError where nothing trains on pairs."""
    rows = without_diverged(records.curves)
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
    found, far = {}, dict[str, pd.DataFrame]()
    for name in vpo_names(rows):
        for loss, called in (("logistic", "DPO"), ("squared", "IPO")):
            vpo, other = (weakest(table) for table in of(rows, name, loss))
            found[f"{called} and {loss_with_settings(name)}"] = weighted_falls([(1.0, other), (-1.0, vpo)])
            far |= {called: other, loss_with_settings(name): vpo}
    return Finding(estimates=found, note=ends_note(far))


def vpo_falls(records: Records) -> Finding:
    """The fall of each variant of VPO at the smallest beta."""
    rows = middle(objectives(records))
    return Finding(estimates={loss_with_settings(name): fall(weakest(of(rows, name)[0])) for name in vpo_names(rows)})


def backward_stable(records: Records) -> Finding:
    """The falls of RPO's squared and forward forms at the smallest beta less that of its backward form."""
    forms = ("rpo_backward", "rpo_squared", "rpo_forward")
    each = {name: weakest(rows) for name, rows in zip(forms, of(middle(objectives(records)), *forms), strict=True)}
    estimates = {name: weighted_falls([(1.0, each[name]), (-1.0, each[forms[0]])]) for name in forms[1:]}
    return Finding(estimates=estimates, note=ends_note(each))


def no_tuning(records: Records) -> Finding:
    """Gold at the end of SimPER at its best learning rate less that at its worst, both those of the other seeds."""
    rows = objectives(records)
    (simper,) = of(rows, "simper")
    if RATE not in simper or simper[RATE].nunique() < 2:
        raise UnknownError("there is only one learning rate")
    table = final_rows(simper).pivot_table(index="seed", columns=RATE, values="gold").dropna()
    mean = table.mean()
    value, error = jackknife(best_minus_worst, table.to_numpy(float))
    return Finding(
        estimates={
            "simper": Estimate(
                value=value, error=error, degrees_of_freedom=len(table) - 1, shared_error=noise_of(simper, simper)
            )
        },
        note=f"best at {mean.idxmax():g}, worst at {mean.idxmin():g}; each seed is taken at the best and the worst of "
        "the others",
    )


def ganpo_over(records: Records, *others: str) -> Finding:
    """The mean difference in gold at equal KL of GANPO and others, across beta."""
    rows = middle(objectives(records))
    of(rows, "ganpo", *others)
    found = {f"ganpo and {other}": compare(rows, "ganpo", other) for other in others}
    far = ", ".join(f"{number(each.reach, 2)} ({name})" for name, each in found.items())
    return Finding(
        estimates={name: each.estimate for name, each in found.items()},
        note=f"compared from 0 up to {far} nats, as far as all seeds of both go",
    )


def ganpo_kl(records: Records) -> Finding:
    """log of GANPO's KL over DPO's at the end at equal beta, a mean over beta, by seed."""
    each = of(middle(objectives(records)), "ganpo", "logistic")
    tables = [
        final_rows(rows)
        .assign(log_kl=lambda t: np.log(t["kl"]))
        .pivot_table(index="seed", columns="beta", values="log_kl")
        for rows in each
    ]
    gap = (tables[0] - tables[1]).dropna(axis="columns").mean(axis=1).dropna()
    return Finding(estimates={"ganpo": mean_over_seeds(gap, log_kl_noise(*map(final_rows, each)))})


PAPER = Paper(
    title="Neighbours of GPO: VPO, RPO, SimPER and GANPO, by their own words",
    parts={
        "": Part(
            config="neighbours",
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
            statement=f"At the smallest beta gold of offline VPO falls by at least {LEAST:g} less than that of DPO "
            "and of IPO, with every alpha, in the same steps",
            source="Cen et al., offline experiments, as reviews and a caption describe them",
            unit="deviations of gold, fall less VPO's",
            rule=above(LEAST),
            estimate=vpo_avoids,
        ),
        Claim(
            name="vpo-none",
            statement=f"At the smallest beta gold of offline VPO falls by less than {SIMILAR:g}, with every alpha",
            source="Cen et al., offline experiments, as reviews and a caption describe them",
            unit="deviations of gold",
            rule=below(SIMILAR),
            estimate=vpo_falls,
        ),
        Claim(
            name="rpo-backward",
            statement="The backward KL is the stable form of RPO: at the smallest beta its gold falls by at least "
            f"{LEAST:g} less than that of the squared and the forward form, in the same steps",
            source="Sun et al., abstract",
            unit="deviations of gold, fall less that of the backward form",
            rule=above(LEAST),
            estimate=backward_stable,
        ),
        Claim(
            name="simper",
            statement=f"SimPER needs no tuning: its best learning rate ends with less than {SIMILAR:g} more gold "
            "than its worst",
            source="Xiao et al., abstract",
            unit="deviations of gold, best less worst learning rate",
            rule=below(SIMILAR),
            estimate=no_tuning,
        ),
        Claim(
            name="ganpo-better",
            statement=f"GANPO has at least {LEAST:g} more gold than DPO at equal KL",
            source="Jiang et al., experiments",
            unit="deviations of gold at equal KL, mean over KL",
            rule=above(LEAST),
            estimate=lambda records: ganpo_over(records, "logistic"),
        ),
        Claim(
            name="ganpo-cost",
            statement="GANPO comes at no cost in KL: at equal beta it ends with the KL of DPO within a factor of 1.25",
            source="Jiang et al., experiments",
            unit="log of the ratio of KL",
            rule=within(LITTLE),
            estimate=ganpo_kl,
        ),
        Claim(
            name="ganpo-adversary",
            statement=f"GANPO's gain is the adversary's: it has at least {LEAST:g} more gold at equal KL than with "
            "a frozen discriminator, and than with an L2 penalty",
            source="Jiang et al., motivation; the controls are ours",
            unit="deviations of gold at equal KL, mean over KL",
            rule=above(LEAST),
            estimate=lambda records: ganpo_over(records, "ganpo_frozen", "ganpo_l2"),
        ),
        *neighbours_orders(lambda records: middle(objectives(records))),
    ),
)
