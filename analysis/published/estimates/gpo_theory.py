"""What the claims of Tang et al. 2024 (arXiv:2402.05749) on its theory are judged by: kappa, tails, worked examples.

The mixture, the bandit and the identity on pairs of the policy's own are computed, without data: their estimates have
no error.
"""

from itertools import combinations

import numpy as np
import pandas as pd

from analysis.published.claim import Finding, Records, UnknownError
from analysis.published.estimates.gpo import six
from analysis.published.measures import in_steps, log_kl_noise, loss_with_settings, mean_over_seeds, without_axes
from analysis.records.load import final_rows, variants
from analysis.records.number_format import number
from analysis.statistics.intervals import CORRELATION, Estimate
from analysis.theory.bandit import COMMON, RARE, descents, ends
from analysis.theory.gaussians import descend
from analysis.theory.kappa_collapse import Collapse, kappa_collapse
from analysis.theory.on_policy import deviations
from analysis.theory.six_losses import SIX, TAIL_ORDER

GRID = 51  # points of beta kappa, evenly in its logarithm


def with_kappa(records: Records) -> pd.DataFrame:
    """The rows of all losses that are an f of beta rho, families with a parameter as variants. Raises UnknownError."""
    curves = variants(records.curves)
    return without_axes(curves[curves["method"].eq("gpo") & (curves["kappa"] > 0)])


def collapse(records: Records) -> Collapse:
    """What kappa removes of the spread between losses. Raises UnknownError."""
    try:
        return kappa_collapse(with_kappa(records))
    except ValueError as error:
        raise UnknownError(str(error)) from None


def kappa(records: Records, which: str) -> Finding:
    """The share of the spread between losses that kappa removes, and how much more than kappa given to other losses."""
    found = records.once(collapse)
    if found.too_few_reason:
        raise UnknownError(found.too_few_reason)
    shift = found.kl if which == "kl" else found.best
    note = (
        f"the spread goes from {number(shift.before, 2)} to {number(shift.after, 2)} in the natural logarithm, over "
        f"{', '.join(map(loss_with_settings, found.losses))}; of {found.assignments:,} ways to give these kappa to "
        f"these losses, {100 * shift.p:.2g} % remove as much"
    )
    if which == "kl":
        note += f"; over one range, {number(found.low)} to {number(found.high)}, of beta and of beta kappa"
    if which == "best" and found.at_sweep_edge:
        edge = ", ".join(map(loss_with_settings, found.at_sweep_edge))
        raise UnknownError(f"the best beta of {edge} is the smallest or largest of the sweep")
    if which == "best":
        note += "; best beta: " + ", ".join(
            f"{loss_with_settings(loss)} {number(beta, 2)} "
            f"(in {100 * found.bootstrap_share[loss]:.0f} % of bootstrap samples)"
            for loss, beta in found.best_beta.items()
        )
    estimates = {"kappa against beta": shift.removed, "kappa against other assignments of it": shift.excess}
    return Finding(estimates=estimates, note=note)


def tail(records: Records) -> Finding:
    """log KL of the truncated quadratic loss less that of the squared loss, at equal beta, by seed."""
    last = final_rows(six(records))
    last = last[last["kl"] > 0].assign(log_kl=np.log(last["kl"]))
    groups = last.groupby("loss")
    tables = {loss: rows.pivot_table(index="seed", columns="beta", values="log_kl") for loss, rows in groups}
    if not {"squared", "truncated_quadratic"} <= tables.keys():
        raise UnknownError("squared and truncated_quadratic are not both there")
    gap = (tables["truncated_quadratic"] - tables["squared"]).dropna(axis="columns").mean(axis=1)
    noise = log_kl_noise(*(last[last["loss"] == loss] for loss in ("squared", "truncated_quadratic")))
    return Finding(estimates={"tail": mean_over_seeds(gap, noise)})


def kl_by_strength(records: Records) -> pd.DataFrame:
    """log KL at the end of training at equal beta kappa, a mean over the beta kappa that all six reach.

    One row a seed, one column a loss in the order of its tail. Raises UnknownError where one of the six is not there.
    """
    last = final_rows(six(records))
    last = last[(last["kl"] > 0) & last["beta"].notna()].assign(log_kl=lambda rows: np.log(rows["kl"]))
    tables = {
        str(loss): rows.pivot_table(index="seed", columns="beta", values="log_kl").dropna(axis="columns")
        for loss, rows in last.groupby("loss", sort=False)
    }
    missing = [loss for loss in TAIL_ORDER if loss not in tables or tables[loss].shape[1] < 2]
    if missing:
        raise UnknownError(f"there are no runs of {', '.join(missing)} at two betas")
    x = {loss: np.log(tables[loss].columns.to_numpy(float) * SIX[loss].matched_kappa) for loss in TAIL_ORDER}
    low, high = max(each[0] for each in x.values()), min(each[-1] for each in x.values())
    if not high > low:
        raise UnknownError("the losses have no beta kappa in common")
    grid = np.linspace(low, high, GRID)
    means = {
        loss: pd.Series(
            [np.interp(grid, x[loss], row).mean() for row in tables[loss].to_numpy(float)], index=tables[loss].index
        )
        for loss in TAIL_ORDER
    }
    return pd.DataFrame(means).dropna()


def tails(records: Records) -> Finding:
    """Kendall's correlation of the order of KL at equal beta kappa with the order that tails say, by seed."""
    table = kl_by_strength(records)
    pairs = list(combinations(TAIL_ORDER, 2))
    signs = np.array([np.sign(table[looser] - table[stricter]) for stricter, looser in pairs])
    found = ", ".join(table.mean().sort_values().index)
    note = f"from least KL to most: {found}; said: {', '.join(TAIL_ORDER)}"
    correlation = mean_over_seeds(signs.mean(axis=0), bounds=CORRELATION)
    return Finding(estimates={"tails": in_steps(correlation, 2 / len(pairs))}, note=note)


def mixture(records: Records) -> Finding:
    """KL that is gained while the squared loss is minimized, where everything is known in closed form."""
    six(records)
    path = descend()
    first, last = path.path["squared"].iloc[[0, -1]]
    highest = path.path["kl"].max()
    note = f"exact, no data; squared loss from {first:.3g} to {last:.2g} nats^2; KL at most {highest:.3g} on the way"
    return Finding(estimates={"mixture": Estimate(value=path.kl_gained)}, note=note)


def bandit(records: Records) -> Finding:
    """log of KL over half the mu-weighted squared loss where gradient descent on each loss ends in the bandit."""
    six(records)
    last = ends(descents()).set_index(["best", "loss"])
    rare, common = last.loc[RARE], last.loc[COMMON]
    note = (
        f"exact, no data; mu draws the best response in {100 * RARE:g} % of cases, and the policy ends with "
        f"{rare['kl'].min():.2g} to {rare['kl'].max():.2g} nats; where mu draws it in {100 * COMMON:g} % the same "
        f"training ends at {common['ratio'].min():.2g} to {common['ratio'].max():.2g} times half of the squared loss"
    )
    return Finding(
        estimates={str(loss): Estimate(value=float(np.log(ratio))) for loss, ratio in rare["ratio"].items()}, note=note
    )


def on_policy(records: Records) -> Finding:
    """The largest relative deviation between grad E 1/2 rho^2 on pairs of the policy's own and 2 grad KL."""
    six(records)
    found = deviations()
    note = (
        f"exact, no data; {len(found.on_policy)} random policies; on pairs from the reference the two differ by "
        f"{100 * found.from_reference.min():.2g} to {100 * found.from_reference.max():.2g} %"
    )
    return Finding(estimates={"on-policy": Estimate(value=float(found.on_policy.max()))}, note=note)
