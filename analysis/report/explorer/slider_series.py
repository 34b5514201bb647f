"""The numbers of one family of policies in one part of a sweep: what its slider goes through, and where that lies.

The slider goes through beta (of losses, and of reinforcement learning at several penalties), or along the path of a
policy: the checkpoints of what has no beta, n of best-of-n, tau of Gibbs.

Shapes: C curves (one for each stop of a slider over beta, else one), S seeds, T checkpoints, N stops.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from analysis.records.about import cards
from analysis.records.load import final_rows
from analysis.statistics.intervals import LEVEL, over_seeds

VALUES = ("kl", "gold", "proxy", "fluency")
WORDS = {"beta": "β", "step": "step", "n": "n", "tau": "τ"}

Array = np.ndarray


@dataclass(frozen=True, kw_only=True)
class Series:
    """A family of policies: C stops with a run for each of S seeds, measured at T checkpoints."""

    name: str
    method: str
    by: str  # what its slider goes through, a key of WORDS
    stops: list[float]  # [N]
    seeds: list[int]
    steps: list[int]
    means: pd.DataFrame  # a row a stop: VALUES as means over seeds, intervals NaN for one seed
    paths: Array  # VALUES at each checkpoint, NaN without a run, [C, S, T, 4]
    runs: list[list[str]]  # their names, "" where there is none, [C, S]

    @property
    def mean_paths(self) -> Array:
        """The means over the seeds that are there, [C, T, 4]."""
        there = np.isfinite(self.paths)
        total = np.where(there, self.paths, 0.0).sum(axis=1)
        with np.errstate(invalid="ignore"):
            return total / there.sum(axis=1)

    @property
    def band(self) -> tuple[Array, Array]:
        """The ends of the interval of mean gold at each checkpoint, [C, T] each; NaN for one seed."""
        gold = self.paths[..., 1]
        count = np.isfinite(gold).sum(axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = np.where(count > 0, np.nansum(gold, axis=1) / count, np.nan)
            squares = np.nansum((gold - mean[:, None]) ** 2, axis=1)
            error = np.sqrt(squares / (count - 1) / count)
            quantile = stdtrit(np.maximum(count - 1, 1), (1 + LEVEL) / 2)
            half = np.where(count > 1, quantile * error, np.nan)
        return mean - half, mean + half


def slider_of(rows: pd.DataFrame) -> str:
    """What the slider of a family goes through."""
    card, betas = cards(rows)[str(rows["method"].iloc[0])], rows["beta"].nunique()
    if card.along != "step":
        return card.along if card.along in rows and rows[card.along].notna().all() else "step"
    return "beta" if betas > (1 if card.trajectory else 0) else "step"


def series_of(name: str, rows: pd.DataFrame) -> Series:
    """The numbers of the family `rows`, checkpoints of runs that did not diverge."""
    rows = rows.reindex(columns=[*rows, *(value for value in VALUES if value not in rows)])
    method, by = str(rows["method"].iloc[0]), slider_of(rows)
    values = [value for value in VALUES if rows[value].notna().any()]
    if by == "beta":
        means = over_seeds(final_rows(rows), ["beta"], values).sort_values("beta", ignore_index=True)
        stops = means["beta"].tolist()
    else:
        means = over_seeds(rows, ["step"], values).sort_values("step", ignore_index=True)
        stops = rows.groupby("step")[by].first().tolist() if by != "step" else means["step"].tolist()
    paths, runs, seeds, steps = _paths(rows, stops if by == "beta" else None)
    return Series(
        name=name,
        method=method,
        by=by,
        stops=stops,
        seeds=seeds,
        steps=steps,
        means=means,
        paths=paths,
        runs=runs,
    )


def _paths(rows: pd.DataFrame, betas: list[float] | None) -> tuple[Array, list[list[str]], list[int], list[int]]:
    """The values of all checkpoints [C, S, T, 4], with the runs [C, S], seeds and steps that they are of."""
    seeds, steps = (sorted(rows[name].dropna().astype(int).unique().tolist()) for name in ("seed", "step"))
    count = 1 if betas is None else len(betas)
    curve = np.zeros(len(rows), dtype=int) if betas is None else np.searchsorted(betas, rows["beta"].to_numpy(float))
    seed = np.searchsorted(seeds, rows["seed"].to_numpy(int))
    step = np.searchsorted(steps, rows["step"].to_numpy(int))
    paths = np.full((count, len(seeds), len(steps), len(VALUES)), np.nan)
    paths[curve, seed, step] = rows[list(VALUES)].to_numpy(float)
    place, first = np.unique(curve * len(seeds) + seed, return_index=True)
    runs = np.full(count * len(seeds), "", dtype=object)
    runs[place] = rows["run_id"].iloc[first].to_numpy(object)
    return paths, runs.reshape(count, len(seeds)).tolist(), seeds, steps
