"""What the claims of Gao et al. are judged by: laws, what optimizing spends, and how proxies rank policies."""

from collections.abc import Callable

import numpy as np
import pandas as pd

from analysis.published.claim import (
    Finding,
    Records,
    UnknownError,
)
from analysis.published.measures import (
    at_peak,
    fall,
    gold_at_others_peak,
    gold_by_seed,
    mean_difference_at_kl,
    mean_over_seeds,
    noise_of,
    require_columns,
    slope_by_seed,
    value_at_kl,
    without_axes,
)
from analysis.records.load import further_axes, without_diverged
from analysis.records.number_format import number
from analysis.statistics.intervals import CORRELATION
from analysis.statistics.law_fits import fit_laws, slopes_by_seed

ABOUT_EQUAL = round(float(np.log(1.5)), 3)


FEW = 2000  # comparisons


CHANCE = 0.05  # of accuracy above one half


RANKS = 0.1  # a small correlation by the convention of Cohen 1988


LARGEST_FITTED_KL = 6.0  # nats, up to which the paper fitted


def rows_of_method(records: Records, method: str, *allowed: str) -> pd.DataFrame:
    """The rows of one method; for reinforcement learning, without a penalty. Raises UnknownError."""
    rows = without_diverged(records.curves)
    rows = rows[rows["method"] == method]
    if method == "rl":
        rows = rows[rows["beta"] == 0.0]
    if rows.empty:
        raise UnknownError(f"there are no runs of {method}" + " without a penalty" * (method == "rl"))
    return without_axes(rows, *allowed)


def coefficient(method: str, name: str) -> Callable[[Records], Finding]:
    """How a coefficient of the law changes for each factor of ten in the parameters of proxies, by seed."""

    def estimate(records: Records) -> Finding:
        rows = require_columns(rows_of_method(records, method, "proxy_width"), "proxy_parameters")
        if rows["proxy_parameters"].nunique() < 3:
            raise UnknownError("there are fewer than three sizes of proxies")
        slopes = slopes_by_seed(rows, "proxy_parameters", [name])
        if slopes.empty:
            raise UnknownError("no law can be fitted")
        return Finding(estimates={method: mean_over_seeds(slopes["slope"])})

    return estimate


def better_form(method: str, field: str = "rmse") -> Callable[[Records], Finding]:
    """log of what the other form misses over what the method's own form misses, a mean over sizes, by seed."""

    def estimate(records: Records) -> Finding:
        rows = rows_of_method(records, method, "proxy_width")
        laws = fit_laws(rows, kl_below=LARGEST_FITTED_KL if field == "beyond_rmse" else None, by_seed=True)
        laws = laws.dropna(subset=[field]) if field in laws else laws
        if laws.empty:
            raise UnknownError("no law can be fitted")
        ratio = np.log(laws[f"rival_{field}"] / laws[field])
        each = mean_over_seeds(ratio.groupby(laws["seed"]).mean())
        return Finding(estimates={method: each}, note=f"the other form misses {np.exp(each.value):.2g} times as much")

    return estimate


def falls(method: str) -> Callable[[Records], Finding]:
    """The fall after the peak for each size of proxies."""

    def estimate(records: Records) -> Finding:
        rows = require_columns(rows_of_method(records, method, "proxy_width"), "proxy_parameters")
        groups = rows.groupby("proxy_parameters")
        return Finding(estimates={f"{size:,.0f} parameters": fall(table) for size, table in groups})

    return estimate


def best_of_n_and_rl(records: Records) -> list[tuple[pd.DataFrame, pd.DataFrame]]:
    """The rows of best-of-n and of reinforcement learning against the same proxies, size by size."""
    rows = [
        require_columns(rows_of_method(records, method, "proxy_width"), "proxy_parameters")
        for method in ("best_of_n", "rl")
    ]
    groups = [dict(iter(table.groupby("proxy_parameters"))) for table in rows]
    return [(groups[0][size], groups[1][size]) for size in groups[0] if size in groups[1]]


def kl_at_gold(points: pd.DataFrame, gold: float) -> float:
    """The KL at which a path first has this much gold; NaN if it never has."""
    kl = np.linspace(0.0, float(points["kl"].max()), 2001)
    reached = np.flatnonzero(value_at_kl(points, kl) >= gold)
    return float(kl[reached[0]]) if len(reached) else np.nan


def kl_ratio_at_half_peak(records: Records) -> Finding:
    """log of the KL of RL over that of best-of-n where each first has half of the lesser of the two peaks of gold."""
    ratios = []
    for bon, rl in best_of_n_and_rl(records):
        for seed, rows in bon.groupby("seed"):
            other = rl[rl["seed"] == seed]
            if other.empty:
                continue
            half = min(rows["gold"].max(), other["gold"].max()) / 2
            if not half > 0:
                continue
            ratios.append((seed, np.log(kl_at_gold(other, half) / kl_at_gold(rows, half))))
    table = pd.DataFrame(ratios, columns=["seed", "ratio"]).dropna()
    if table.empty:
        raise UnknownError("no seed has both methods")
    each = mean_over_seeds(table.groupby("seed")["ratio"].mean())
    return Finding(estimates={"rl": each}, note=f"{np.exp(each.value):.2g} times the KL")


def gold_difference_at_proxy(records: Records) -> Finding:
    """The mean difference in gold of RL and best-of-n at equal proxy score, as far as both go, for each size."""
    found = {}
    reaches = {}
    for bon, rl in best_of_n_and_rl(records):
        swapped = [require_columns(table, "proxy").assign(kl=table["proxy"].clip(lower=0.0)) for table in (rl, bon)]
        size = f"{bon['proxy_parameters'].iloc[0]:,.0f} parameters"
        each, reaches[size] = mean_difference_at_kl(*swapped)
        found[size] = mean_over_seeds(each, noise_of(rl, bon))
    far = ", ".join(f"{number(reach, 2)} ({size})" for size, reach in reaches.items())
    return Finding(estimates=found, note=f"compared from a proxy score of 0 up to {far}")


def accuracy_above_chance(records: Records) -> Finding:
    """How much more often than half proxies of fewer than 2,000 comparisons prefer what gold prefers, at each size."""
    rows_of_method(records, "best_of_n", "proxy_width", "pairs")
    proxies = require_columns(records.proxies, "pairs", "seed", "gold_accuracy", "parameters")
    few = proxies[proxies["pairs"] < FEW]
    if few.empty:
        raise UnknownError(f"no proxy learned from fewer than {FEW:,} comparisons")
    most = few[few["pairs"] == few["pairs"].max()]
    estimates = {
        f"{size:,.0f} parameters": mean_over_seeds(
            table.groupby("seed")["gold_accuracy"].mean() - 0.5, bounds=(-0.5, 0.5)
        )
        for size, table in most.groupby("parameters")
    }
    return Finding(estimates=estimates, note=f"from {most['pairs'].iloc[0]:,} comparisons")


def robustness(records: Records) -> Finding:
    """Spearman's correlation of a proxy's loss on fresh pairs and the peak of gold against it, by seed."""
    rows = rows_of_method(records, "best_of_n", "proxy_width", "pairs")
    if rows["pairs"].nunique() < 2:
        raise UnknownError("there is only one amount of data")
    proxies = require_columns(records.proxies, "gold_loss")
    keys = [name for name in ("proxy_width", "pairs", "seed") if name in proxies and name in rows]
    loss = proxies.groupby(keys)["gold_loss"].mean()
    peak = rows.groupby(keys)["gold"].max()
    table = pd.concat([loss, peak], axis=1).dropna().reset_index()
    each = {
        seed: some["gold_loss"].rank().corr(some["gold"].rank())
        for seed, some in table.groupby("seed")
        if len(some) > 2
    }
    if not each:
        raise UnknownError("there are fewer than three proxies for a seed")
    return Finding(estimates={"best_of_n": mean_over_seeds(list(each.values()), bounds=CORRELATION)})


def slope_over_policy_size(of_rows: Callable[[pd.DataFrame], pd.Series]) -> Callable[[Records], Finding]:
    """The slope of something over log10 of the policy's width under RL, by seed."""

    def estimate(records: Records) -> Finding:
        rows = rows_of_method(records, "rl", "policy_width")
        if "policy_width" not in further_axes(rows):
            raise UnknownError("there is only one size of policies")
        found = {np.log10(width): of_rows(table) for width, table in rows.groupby("policy_width")}
        return Finding(estimates={"rl": mean_over_seeds(slope_by_seed(pd.DataFrame(found)))})

    return estimate


def gold_peak(rows: pd.DataFrame) -> pd.Series:
    """The peak of gold, by seed."""
    return gold_at_others_peak(gold_by_seed(rows))


def difference_to_no_penalty(records: Records, column: str) -> Finding:
    """The mean difference to no penalty of a column at equal KL, for each penalty, by seed."""
    rows = without_diverged(records.curves)
    rows = require_columns(without_axes(rows[rows["method"] == "rl"]), column)
    least = rows[rows["beta"] == 0.0]
    others = sorted(beta for beta in rows["beta"].unique() if beta > 0)
    if least.empty or not others:
        raise UnknownError("there are no runs of rl with and without a penalty")
    found, reaches = {}, {}
    for beta in others:
        penalized, name = rows[rows["beta"] == beta], f"penalty {beta:g}"
        each, reaches[name] = mean_difference_at_kl(penalized, least, column)
        found[name] = mean_over_seeds(each, noise_of(penalized, least, column=column))
    far = ", ".join(f"{number(reach, 2)} ({name})" for name, reach in reaches.items())
    peak = at_peak(least, "kl").mean()
    return Finding(
        estimates=found,
        note=f"compared from 0 up to {far} nats, as far as all seeds go with the penalty; without one gold peaks at "
        f"{number(peak, 2)} nats",
    )


ALPHA, BETA = "alpha for each factor of ten in parameters", "beta for each factor of ten in parameters"


GOLD = "deviations of gold"


LOG_RMSE_RATIO = "log of the ratio of what the two forms miss"
