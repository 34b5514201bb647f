"""The trade-off that a family of runs offers: gold at each KL, as beta varies.

For each replicate (a seed, and every setting that is neither beta nor the one compared), the policies at
the end of training are points (KL, gold), one for each beta. Against proxies they are the points of a path: all n of
best-of-n, all tau of Gibbs, the checkpoints of reinforcement learning at its smallest penalty. The reference is the
point (0, 0), where beta goes to infinity. Between them gold is interpolated in KL by a monotone cubic (Fritsch &
Carlson 1980, as in scipy's PCHIP), which never overshoots its points. Curves of replicates are averaged at equal KL, as
far as all of them reach, with an interval over replicates.
"""

from collections.abc import Hashable

import numpy as np
import pandas as pd
from scipy.interpolate import PchipInterpolator

from analysis.intervals import over_seeds
from analysis.results import ends, policies, settings_of, variants
from analysis.summary import curve_settings

POINTS = 101


def gold_at(points: pd.DataFrame, kl: np.ndarray) -> np.ndarray:
    """Gold at each `kl` on the curve through the reference and `points` (columns kl, gold); NaN beyond them."""
    mean = points.groupby("kl")["gold"].mean()
    mean = mean[mean.index > 1e-9]
    known_kl = np.concatenate([[0.0], mean.index.to_numpy()])
    known_gold = np.concatenate([[0.0], mean.to_numpy()])
    if len(known_kl) < 2:
        return np.where(kl == 0.0, 0.0, np.nan)
    return PchipInterpolator(known_kl, known_gold, extrapolate=False)(kl)


def end_points(curves: pd.DataFrame) -> pd.DataFrame:
    """KL and gold at the end of training for each loss, beta and further axis: means over seeds with intervals."""
    return over_seeds(ends(curves), curve_settings(curves), ["kl", "gold"])


def frontier(curves: pd.DataFrame, by: str = "loss") -> pd.DataFrame:
    """Gold along KL for each value of the column `by`: columns `by`, kl, gold, low, high, replicates.

    `low` and `high` bound the mean over replicates with 95 % confidence and are NaN where there is only one. `curves`
    is what `load` returns; runs that diverged are left out. Losses are told apart by the settings that only some of
    them have, as `variants` does.
    """
    curves = variants(curves) if by == "loss" else curves
    if by not in settings_of(curves):
        raise ValueError(f"by = {by!r}: must be a setting of the curves: {', '.join(settings_of(curves))}")
    last = policies(curves)
    methods = list(last["method"].unique())
    if by != "method" and len(methods) > 1:
        raise ValueError(f'by = {by!r}: the curves are of {", ".join(methods)}; take those of one, or by = "method"')
    apart = [name for name in settings_of(curves) if name not in ("beta", "kappa", by)]
    grid = np.linspace(0.0, float(last["kl"].max()), POINTS) if len(last) else np.zeros(0)
    tables = []
    for value, family in last.groupby(by, sort=False):
        replicates = [points for _, points in family.groupby(apart, dropna=False)]
        tables.append(_mean_curve(by, value, grid, replicates))
    empty = pd.DataFrame(columns=[by, "kl", "gold", "low", "high", "replicates"])
    return pd.concat(tables, ignore_index=True) if tables else empty


def _mean_curve(by: str, value: Hashable, grid: np.ndarray, replicates: list[pd.DataFrame]) -> pd.DataFrame:
    gold = [gold_at(points, grid) for points in replicates]
    reached = np.isfinite(gold).all(axis=0)
    long = pd.DataFrame(
        {
            "kl": np.tile(grid[reached], len(replicates)),
            "gold": np.concatenate([curve[reached] for curve in gold]),
            "gold_se": np.concatenate([_error_at(points, grid[reached]) for points in replicates]),
        }
    )
    mean = over_seeds(long, ["kl"], ["gold"]).rename(
        columns={"gold_low": "low", "gold_high": "high", "seeds": "replicates"}
    )
    return mean.assign(**{by: value})[[by, "kl", "gold", "low", "high", "replicates"]]


def _error_at(points: pd.DataFrame, kl: np.ndarray) -> np.ndarray:
    """The standard error of gold as measured, between the points; 0 where gold is exact."""
    if "gold_se" not in points:
        return np.zeros(len(kl))
    ordered = points.sort_values("kl")
    return np.interp(kl, ordered["kl"], ordered["gold_se"])
