"""What theory says of the losses of Generalized Preference Optimization, beside what a sweep found.

To second order in z = beta rho, a loss E f(z) is f(0) + |f'(0)| beta (-E rho + 1/2 beta kappa E rho^2), kappa =
f''(0) / |f'(0)|: losses act alike at equal beta kappa (Tang et al. 2024, arXiv:2402.05749, Sec. 4). `kappa_collapse`
asks how much of the spread between losses goes when beta is replaced by beta kappa.

Under Bradley-Terry labels, p = sigma(gap), the margin that minimizes p f(z) + (1 - p) f(-z) is a function of the gap of
gold alone, the population link of the loss; `LINKS` has it in closed form, and `margins_by_gap` what policies came to.

The gradient of a pair is beta |f'(z)| times that of its margin; `gradient_weights` says how large |f'| is over the
margins that a sweep saw. Shapes: S draws, n betas, G points.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.frontier import DRAWS
from analysis.intervals import Estimate, over_seeds, resamples, spread_of
from analysis.results import ends, variants

POINTS = 101
RESAMPLED = 400
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
MARGIN_COLUMNS = tuple(f"margin_q{round(100 * level):02d}" for level in QUANTILES)

Array = np.ndarray
LINKS: dict[str, Callable[[Array], Array]] = {
    "logistic": lambda gap: gap,
    "savage": lambda gap: gap,
    "exponential": lambda gap: gap / 2,
    "squared": lambda gap: np.tanh(gap / 2),
    "truncated_quadratic": lambda gap: np.tanh(gap / 2),
    "hinge": np.sign,
}


@dataclass(frozen=True, kw_only=True)
class Collapse:
    """How far losses agree over beta, and over beta kappa.

    kl_spread_beta, kl_spread_kappa: the standard deviation over losses of log KL at the end of training at equal beta,
    and at equal beta kappa, as a mean over their common range in the logarithm. best_spread_beta, best_spread_kappa:
    that of the logarithm of the best beta, and of its product with kappa. kl_removed, best_removed: 1 less the ratio of
    the two: 1 where kappa explains all of the spread, 0 where it explains nothing, below 0 where it adds to it. losses:
    those that have a positive kappa; hinge, which has 0, cannot be aligned. at_the_end: those whose best beta is the
    smallest or the largest of the sweep, and may lie beyond it.
    """

    kl_spread_beta: float
    kl_spread_kappa: float
    kl_removed: Estimate
    best_spread_beta: float
    best_spread_kappa: float
    best_removed: Estimate
    losses: tuple[str, ...]
    best_beta: dict[str, float]
    at_the_end: tuple[str, ...]


def by_draw(curves: pd.DataFrame) -> tuple[dict[str, dict[str, Array]], dict[str, float], Array]:
    """log KL and gold at the end of training of each loss with a positive kappa, [S, n] each, kappa, and log beta [n].

    Draws and betas are those that every such loss has. Raises ValueError where fewer than two losses or betas are left.
    """
    last = variants(ends(curves))
    last = last[(last["method"] == "gpo") & (last["kappa"] > 0) & last["beta"].notna() & (last["kl"] > 0)]
    last = last.assign(
        log_kl=np.log(last["kl"]), draw=list(map(tuple, last[[n for n in DRAWS if n in last]].to_numpy()))
    )
    tables = {
        str(loss): {name: rows.pivot_table(index="draw", columns="beta", values=name) for name in ("log_kl", "gold")}
        for loss, rows in last.groupby("loss", sort=False)
    }
    kappas = {str(loss): float(rows["kappa"].iloc[0]) for loss, rows in last.groupby("loss", sort=False)}
    if len(set(kappas.values())) < 2:
        raise ValueError("the curves have no two losses whose kappa differ and is above 0, so nothing can be aligned")
    whole = [table["log_kl"].dropna() for table in tables.values()]
    draws = [draw for draw in whole[0].index if all(draw in table.index for table in whole)]
    betas = [beta for beta in whole[0].columns if all(beta in table.columns for table in whole)]
    if len(betas) < 2 or not draws:
        raise ValueError("the losses have fewer than two betas, or no seed, in common, so nothing can be aligned")
    found = {
        loss: {name: table.loc[draws, betas].to_numpy(float) for name, table in both.items()}
        for loss, both in tables.items()
    }
    return found, kappas, np.log(np.array(betas, dtype=float))


def kappa_collapse(curves: pd.DataFrame, rng: np.random.Generator | None = None) -> Collapse:
    """How much of the spread between losses goes when beta is replaced by beta kappa; see Collapse.

    Intervals are by bootstrap over draws. rng: for it, the same numbers every time unless given. Raises ValueError
    where the curves have no two losses with different kappa above 0.
    """
    found, kappas, x = by_draw(curves)
    shifts = np.array([np.log(kappas[loss]) for loss in found])
    kl = np.stack([each["log_kl"] for each in found.values()])  # [losses, S, n]
    gold = np.stack([each["gold"] for each in found.values()])
    count = kl.shape[1]

    def spreads(weights: Array) -> tuple[float, float, float, float, Array]:
        best = np.array([best_at(x, weights @ table) for table in gold])
        curves_of_kl = [weights @ table for table in kl]
        level = (spread_at(x, curves_of_kl, np.zeros(len(shifts))), spread_at(x, curves_of_kl, shifts))
        return (*level, float(best.std(ddof=1)), float((best + shifts).std(ddof=1)), best)

    value = spreads(np.full(count, 1 / count))
    drawn = np.array([spreads(weights)[:4] for weights in resamples(count, rng, RESAMPLED)]) if count > 1 else None
    removed = []
    for first in (0, 2):
        error = np.nan if drawn is None else float(spread_of(removed_by(drawn[:, first], drawn[:, first + 1]), count))
        share = float(removed_by(np.array(value[first]), np.array(value[first + 1])))
        removed.append(Estimate(value=share, error=error, freedom=count - 1))
    return Collapse(
        kl_spread_beta=value[0],
        kl_spread_kappa=value[1],
        kl_removed=removed[0],
        best_spread_beta=value[2],
        best_spread_kappa=value[3],
        best_removed=removed[1],
        losses=tuple(found),
        best_beta={loss: float(np.exp(at)) for loss, at in zip(found, value[4], strict=True)},
        at_the_end=tuple(loss for loss, at in zip(found, value[4], strict=True) if at in (x[0], x[-1])),
    )


def removed_by(before: Array, after: Array) -> Array:
    """1 - after / before; 0 where there is nothing to remove."""
    return np.where(before > 1e-9, 1 - after / np.where(before > 1e-9, before, 1.0), 0.0)


def spread_at(x: Array, curves: list[Array], shifts: Array) -> float:
    """The standard deviation over curves [n] at x + shift, as a mean over the range that all of them have."""
    low, high = float((x[0] + shifts).max()), float((x[-1] + shifts).min())
    if not high > low:
        raise ValueError(
            "the losses have no range of beta kappa in common, so they cannot be aligned; sweep more betas"
        )
    grid = np.linspace(low, high, POINTS)
    aligned = [np.interp(grid, x + shift, curve) for shift, curve in zip(shifts, curves, strict=True)]
    return float(np.std(aligned, axis=0, ddof=1).mean())


def best_at(x: Array, gold: Array) -> float:
    """Where gold [n] at x is highest: the vertex of the parabola through the highest point and its two neighbours."""
    top = int(gold.argmax())
    if top in (0, len(x) - 1):
        return float(x[top])
    bend, slope, _ = np.polyfit(x[top - 1 : top + 2] - x[top], gold[top - 1 : top + 2], 2)
    vertex = -slope / (2 * bend) if bend < 0 else 0.0
    return float(x[top] + vertex)


def margins_by_gap(curves: pd.DataFrame, margins: pd.DataFrame, *, temperature: float = 1.0) -> pd.DataFrame:
    """What margin policies gave to the response with more gold, beside the population link of their loss.

    margins: the table `margins.parquet`. temperature: of the labels. Columns: loss, beta, gap (of gold, in deviations,
    divided by the temperature), z = beta rho with its interval over seeds, link, seeds. Losses of LINKS only.
    """
    runs = variants(ends(curves))
    runs = runs[runs["loss"].isin(LINKS)]
    place = margins.groupby("run_id").cumcount().rename("place")
    rows = margins.join(place).merge(runs[["run_id", "loss", "beta", "seed"]], on="run_id")
    rows = rows.assign(z=rows["beta"] * rows["margin"], gap=rows["gap"] / temperature)
    table = over_seeds(rows, ["loss", "beta", "place"], ["gap", "z"])
    link = [float(LINKS[str(loss)](np.array(gap))) for loss, gap in zip(table["loss"], table["gap"], strict=True)]
    return table.assign(link=link)[["loss", "beta", "gap", "z", "z_low", "z_high", "link", "seeds"]]


def gradient_weights(curves: pd.DataFrame, functions: pd.DataFrame) -> pd.DataFrame:
    """|f'(z)| / |f'(0)| at quantiles of the margins of a run's own pairs at the end of training, as means over seeds.

    functions: the table `losses.parquet`, which reaches to |z| = 6; beyond, f' is that at its end. Columns: loss, beta,
    quantile, z, weight.
    """
    last = variants(ends(curves))
    last = last[(last["method"] == "gpo") & last["beta"].notna()]
    last = last if set(MARGIN_COLUMNS) <= set(last) else last.iloc[:0]  # an older layout has none
    rows = []
    for (loss, beta), table in last.groupby(["loss", "beta"], sort=False):
        f = functions[functions["loss"] == loss].sort_values("z")
        if f.empty or table[list(MARGIN_COLUMNS)].isna().all().all():
            continue
        start = abs(float(np.interp(0.0, f["z"], f["slope"])))
        for level, name in zip(QUANTILES, MARGIN_COLUMNS, strict=True):
            z = float(beta) * table[name].to_numpy(float)
            weight = np.abs(np.interp(z, f["z"], f["slope"])) / start
            rows.append((loss, float(beta), level, float(z.mean()), float(weight.mean())))
    return pd.DataFrame(rows, columns=["loss", "beta", "quantile", "z", "weight"])
