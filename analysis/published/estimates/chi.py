"""What the claims of Huang et al. 2024 (arXiv:2407.13399) are judged by: win rates after epochs, and regret over pairs.

Win rates are those of runs at the checkpoints next to the ends of epochs. The regret of a setting is the gold of the
oracle at one KL less the gold at the end of training, with the beta that is best on the other seeds. That KL is where
the setting with the most gold ends, of all losses, betas and numbers of pairs. So all are compared with one policy, as
in the paper's bound. Another one would move every regret alike, and no claim. Shapes: S seeds, N numbers of pairs, B
betas; 2 losses.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd

from analysis.published.claim import Finding, Records, UnknownError
from analysis.published.measures import (
    difference,
    mean_over_seeds,
    noise_of,
    require_columns,
    with_epochs,
    without_axes,
)
from analysis.records.load import final_rows, oracle_rows, without_diverged
from analysis.records.number_format import number
from analysis.statistics.intervals import SHARE, Estimate
from analysis.statistics.peaks import jackknife, peak_golds

NAMES = {"chi_po": "χPO", "logistic": "DPO", "squared": "IPO"}
EPOCHS = (1, 2, 4)
BETAS = (0.005, 0.05)
NEAR = 1.05  # times the steps of an epoch, or as much less: a checkpoint is at its end
POWER = -0.5  # of the number of pairs, in the paper's bound

Array = np.ndarray


def offline(records: Records) -> pd.DataFrame:
    """The rows of χPO, DPO and IPO. Raises UnknownError where χPO is not there."""
    rows = without_diverged(records.curves)
    rows = rows[rows["method"].eq("gpo") & rows["loss"].isin(NAMES)]
    if not (rows["loss"] == "chi_po").any():
        raise UnknownError("there are no runs of chi_po")
    return rows


def win_rates(records: Records) -> pd.DataFrame:
    """Win rates against the reference, a row a seed, and a column for each loss, beta of BETAS and number of EPOCHS.

    Raises UnknownError where no checkpoint is next to the end of an epoch.
    """
    rows = with_epochs(records, without_axes(require_columns(offline(records), "win_rate")))
    found = {}
    for (loss, beta), table in rows[rows["beta"].isin(BETAS) & (rows["epochs"] > 0)].groupby(["loss", "beta"]):
        for epochs in EPOCHS:
            away = np.log(table["epochs"] / epochs).abs()
            if away.min() > np.log(NEAR):
                raise UnknownError(f"no checkpoint is at the end of epoch {epochs}")
            found[str(loss), float(beta), epochs] = table[away == away.min()].groupby("seed")["win_rate"].mean()
    if not found:
        raise UnknownError(f"there are no runs at beta {' or '.join(f'{beta:g}' for beta in BETAS)}")
    return pd.DataFrame(found)


def after(records: Records, loss: str, beta: float, epochs: int) -> pd.Series:
    """The win rate of one cell, by seed. Raises UnknownError where it is not there."""
    rates = records.once(win_rates)
    if (loss, beta, epochs) not in rates:
        raise UnknownError(f"there are no runs of {loss} at beta {beta:g}")
    return rates[loss, beta, epochs].dropna()


def noise(records: Records, cells: int) -> float:
    """The standard error that measuring gives to a sum or difference of so many win rates."""
    return float(np.sqrt(cells)) * noise_of(offline(records), column="win_rate")


def every_cell(records: Records, other: str) -> Finding:
    """The win rate of χPO less that of another loss, for each beta and number of epochs."""
    return Finding(
        estimates={
            f"beta {beta:g} after epoch {epochs}": difference(
                after(records, "chi_po", beta, epochs), after(records, other, beta, epochs), noise(records, 2)
            )
            for beta in BETAS
            for epochs in EPOCHS
        }
    )


def lost(records: Records, loss: str, beta: float) -> pd.Series:
    """By how much the win rate is lower after the last of EPOCHS than after the first, by seed."""
    return after(records, loss, beta, EPOCHS[0]) - after(records, loss, beta, EPOCHS[-1])


def loses_more(records: Records) -> Finding:
    """What DPO loses less what χPO loses, for each beta."""
    found = {
        f"beta {beta:g}": difference(lost(records, "logistic", beta), lost(records, "chi_po", beta), noise(records, 4))
        for beta in BETAS
    }
    cells = [(loss, beta) for loss in ("logistic", "chi_po") for beta in BETAS]
    each = {f"{NAMES[loss]} at {beta:g}": lost(records, loss, beta).mean() for loss, beta in cells}
    told = ", ".join(f"{name} {number(value)}" for name, value in each.items())
    return Finding(estimates=found, note=f"lost from epoch {EPOCHS[0]} to {EPOCHS[-1]}: {told}")


def end_at_smallest(records: Records, loss: str) -> Finding:
    """The win rate at the smaller of BETAS after the last of EPOCHS."""
    rates = after(records, loss, min(BETAS), EPOCHS[-1])
    return Finding(estimates={NAMES[loss]: mean_over_seeds(rates, noise(records, 1), SHARE)})


def ends(records: Records) -> tuple[Array, pd.DataFrame]:
    """Gold at the end of training, [S, 2, N, B], of χPO and DPO; and its mean and that of KL over seeds.

    The means have a row for each loss, number of pairs and beta. Raises UnknownError where there are fewer than two
    numbers of pairs or betas, or where one is missing.
    """
    rows = without_axes(offline(records), "pairs")
    rows = final_rows(rows[rows["loss"].isin(("chi_po", "logistic"))])
    keys = ["loss", "pairs", "beta"]
    sizes = [rows[key].nunique() for key in keys]
    if min(sizes) < 2:
        raise UnknownError("there are no runs of chi_po and logistic at two numbers of pairs and two betas")
    table = rows.pivot_table(index="seed", columns=keys, values="gold").sort_index(axis=1).dropna()
    if table.empty or table.shape[1] < np.prod(sizes):
        raise UnknownError("chi_po and logistic do not have all numbers of pairs and betas in common, with one seed")
    kept = rows[rows["seed"].isin(table.index)]
    return table.to_numpy(float).reshape(len(table), *sizes), kept.groupby(keys)[["gold", "kl"]].mean()


def compared_with(records: Records, means: pd.DataFrame) -> tuple[float, float]:
    """Gold and KL of the policy that all are compared with; see the module. Raises UnknownError."""
    oracle = oracle_rows(records.curves)
    if oracle.empty:
        raise UnknownError("there is no oracle to compare with")
    kl = float(means.loc[means["gold"].idxmax(), "kl"])
    return float(np.interp(kl, oracle["kl"], oracle["gold"])), kl


def best_golds(gold: Array) -> Array:
    """Gold with the beta that is best on the other seeds, [S, 2, N], of gold [S, 2, N, B]."""
    _, losses, sizes, _ = gold.shape
    return np.stack([[peak_golds(gold[:, i, n]) for n in range(sizes)] for i in range(losses)]).transpose(2, 0, 1)


def over_seeds_of(gold: Array, of: Callable[[Array], Array]) -> Estimate:
    """The mean over seeds of `of`, from best golds [S, 2, N] to [S], with its jackknife error."""
    value, error = jackknife(lambda kept: of(best_golds(kept)), gold)
    return Estimate(value=value, error=error, degrees_of_freedom=len(gold) - 1)


def regret_note(records: Records, gold: Array, means: pd.DataFrame) -> str:
    """The regrets of both losses, the best betas, and how regret goes with the number of pairs."""
    most, kl = compared_with(records, means)
    pairs = means.index.unique("pairs").to_numpy(float)
    regret = most - best_golds(gold).mean(axis=0)
    betas = means.index.unique("beta").to_numpy(float)[gold.mean(axis=0).argmax(axis=-1)]
    told = []
    for row, name in enumerate(("χPO", "DPO")):
        power = np.polyfit(np.log(pairs), np.log(regret[row]), 1)[0] if (regret[row] > 0).all() else np.nan
        as_power = f", as pairs to the power {number(power)}" if np.isfinite(power) else ""
        told.append(
            f"{name} {', '.join(map(number, regret[row]))}{as_power}, at beta {', '.join(f'{b:g}' for b in betas[row])}"
        )
    far = ", ".join(f"{each:,.0f}" for each in pairs)
    return (
        f"regret to the best policy of {number(kl, 2)} nats, of gold {number(most)}, from {far} pairs: "
        f"{'; '.join(told)}; the bound has {POWER:g}"
    )


def regret_falls(records: Records) -> Finding:
    """The slope of regret over log10 of the number of pairs."""
    gold, means = ends(records)
    x = np.log10(means.index.unique("pairs").to_numpy(float))
    slope = (x - x.mean()) / ((x - x.mean()) ** 2).sum()
    found = {
        "χPO": over_seeds_of(gold, lambda best: -best[:, 0] @ slope),
        "DPO": over_seeds_of(gold, lambda best: -best[:, 1] @ slope),
    }
    return Finding(estimates=found, note=regret_note(records, gold, means))


def regret_smaller(records: Records) -> Finding:
    """The regret of DPO less that of χPO, a mean over numbers of pairs."""
    gold, means = ends(records)
    apart = over_seeds_of(gold, lambda best: (best[:, 0] - best[:, 1]).mean(axis=1))
    each = (best_golds(gold)[:, 0] - best_golds(gold)[:, 1]).mean(axis=0)
    told = ", ".join(f"{number(value)} from {n:,}" for value, n in zip(each, means.index.unique("pairs"), strict=True))
    return Finding(estimates={"DPO and χPO": apart}, note=f"each: {told} pairs{edge_note(gold, means)}")


def edge_note(gold: Array, means: pd.DataFrame) -> str:
    """Where the best beta is the least or largest one, so that a better one may lie beyond; nothing if nowhere."""
    betas = means.index.unique("beta").to_numpy(float)
    place = gold.mean(axis=0).argmax(axis=-1)
    found = [
        f"{name} with {pairs:,.0f} pairs ({betas[place[row, column]]:g})"
        for row, name in enumerate(("χPO", "DPO"))
        for column, pairs in enumerate(means.index.unique("pairs"))
        if place[row, column] in (0, len(betas) - 1)
    ]
    where = "; the best beta is at the end of the ladder, and a better one may lie beyond, for "
    return f"{where}{', '.join(found)}" if found else ""
