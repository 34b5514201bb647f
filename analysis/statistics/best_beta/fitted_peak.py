"""Which beta is best, as a number between those of a ladder, with its interval over seeds.

The best beta of a ladder jumps from one step to the next with the noise of a single point, and knows nothing between
them. A peak is therefore fitted to the mean curve over seeds, in x = log beta:

    1. the curve is averaged with the weights of a Gaussian of deviation SMOOTH around each x; where that is highest
       is the top
    2. a parabola is fitted by least squares to the points of the curve (not averaged) within WINDOW of the top, or to
       the LEAST nearest where those are fewer; its vertex is the peak, at most WINDOW from the top and within the
       ladder. A parabola that is not bent downward has no vertex, and the top stands in

Both steps are done anew for each bootstrap sample of whole seeds, so the interval has the choice of the top in it.
Losses of a sweep share seeds, which share pairs: `peaks_over_beta` draws the same samples for all, and a difference
between two peaks is one of draws. The error is the spread of draws times sqrt(S / (S - 1)), as for all that is no mean
over seeds (analysis/statistics/intervals.py). Where gold was measured on samples, what seeds share of that noise is not
added.

A peak is called `inside` where neither the top nor the vertex is an end of the ladder; one that is not may lie beyond.

SMOOTH and WINDOW are a factor of 2 and of 4 in beta. They were set on sweeps in another world: a window of 8 was pulled
toward the side on which gold falls slowly, and one of 3 had an error half as large again.

Shapes: S seeds, n betas, B bootstrap samples.
"""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.records.load import final_rows
from analysis.statistics.intervals import Estimate, resamples, spread_of

SMOOTH, WINDOW = math.log(2), math.log(4)
RESAMPLED = 1000
LEAST = 5  # betas, of which a parabola leaves something over

Array = np.ndarray


@dataclass(frozen=True, kw_only=True)
class FittedPeak:
    """A peak over log beta. draws [B]: those of bootstrap samples, nothing for one seed. height: of the parabola there.

    inside: whether it lies within the ladder, and not at one of its ends.
    """

    log_beta: float
    height: float
    draws: Array
    seeds: int
    inside: bool

    @property
    def estimate(self) -> Estimate:
        """log beta of the peak."""
        return self.less(None)

    def less(self, other: "FittedPeak | None", shift: float = 0.0) -> Estimate:
        """log beta of this peak less that of another one of the same seeds, plus `shift`."""
        value = self.log_beta - (other.log_beta if other else 0.0) + shift
        draws = self.draws - (other.draws if other else 0.0)
        error = float(spread_of(draws, self.seeds)) if self.seeds > 1 else math.nan
        return Estimate(value=value, error=error, degrees_of_freedom=self.seeds - 1)


def tops(x: Array, curves: Array) -> Array:
    """The place [B] where each of the averaged curves [B, n] is highest."""
    weights = np.exp(-0.5 * ((x[:, None] - x) / SMOOTH) ** 2)
    averaged = curves @ (weights / weights.sum(axis=1, keepdims=True)).T
    return np.asarray(averaged.argmax(axis=1))


def vertices(x: Array, curves: Array) -> tuple[Array, Array]:
    """Where the fitted parabola of each of the curves [B, n] at x [n] is highest, and its height there, [B] each."""
    at, height = np.empty(len(curves)), np.empty(len(curves))
    top = tops(x, curves)
    for place in np.unique(top):
        away = np.abs(x - x[place])
        near = away <= max(WINDOW, np.sort(away)[LEAST - 1]) * (1 + 1e-9)
        moved, chosen = x[near] - x[place], top == place
        bend, slope, constant = np.polyfit(moved, curves[chosen][:, near].T, 2)
        low, high = max(-WINDOW, x[0] - x[place]), min(WINDOW, x[-1] - x[place])
        with np.errstate(divide="ignore", invalid="ignore"):
            vertex = np.where(bend < 0, np.clip(-slope / (2 * bend), low, high), 0.0)
        at[chosen], height[chosen] = x[place] + vertex, constant + slope * vertex + bend * vertex**2
    return at, height


def fit_peak(log_beta: Array, values: Array, rng: np.random.Generator | None = None) -> FittedPeak:
    """The peak of the mean over seeds of `values` [S, n] over rising log beta [n].

    rng: for the bootstrap, the same numbers every time unless given. Raises ValueError for fewer than LEAST betas.
    """
    if len(log_beta) < LEAST:
        raise ValueError(f"there are {len(log_beta)} betas, and a peak is fitted to {LEAST} at least")
    count = len(values)
    mean = values.mean(axis=0, keepdims=True)
    (at,), (height,) = vertices(log_beta, mean)
    draws = vertices(log_beta, resamples(count, rng, RESAMPLED) @ values)[0] if count > 1 else np.zeros(0)
    ends = (log_beta[0], log_beta[-1])
    inside = log_beta[tops(log_beta, mean)[0]] not in ends and at not in ends
    return FittedPeak(log_beta=float(at), height=float(height), draws=draws, seeds=count, inside=bool(inside))


def ladder_of(rows: pd.DataFrame, column: str = "gold") -> pd.DataFrame:
    """A column at the end of training of the runs of one loss, a row a seed and a column a beta that all seeds have."""
    table = final_rows(rows).pivot_table(index="seed", columns="beta", values=column)
    return table.dropna(axis="columns")


def peaks_over_beta(curves: pd.DataFrame, column: str = "gold") -> dict[str, FittedPeak]:
    """The fitted peak of a column at the end of training over log beta, of each loss; losses with few betas left out.

    The seeds are those that all losses have. Nothing but loss, beta and seed may vary.
    """
    tables = {str(loss): ladder_of(rows, column) for loss, rows in curves.groupby("loss", sort=False)}
    tables = {loss: table for loss, table in tables.items() if table.shape[1] >= LEAST}
    seeds = sorted(set.intersection(*(set(table.index) for table in tables.values()))) if tables else []
    return {
        loss: fit_peak(np.log(table.columns.to_numpy(float)), table.loc[seeds].to_numpy(float))
        for loss, table in tables.items()
        if seeds
    }
