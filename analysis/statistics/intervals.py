"""Numbers with intervals over seeds.

The interval is Student's t with one degree of freedom less than there are seeds: a few seeds, each a nearly
normal mean over many prompts and pairs, are what it was made for, and where a bootstrap of four values is
too narrow. One seed has no interval, and none is invented.

Where values were measured on samples, seeds share the noise of the measurement (the same prompts, random numbers and
baseline), so that their spread does not show all of it. The root mean square of their standard errors is then added,
as if it were shared whole: the interval is at least as wide as it should be.

What is no mean over seeds, such as the height of a peak, has the standard error of a bootstrap (Efron 1979): seeds are
resampled whole, and the spread of what is computed from them, times sqrt(S / (S - 1)) for the S that a resample of S
cannot vary, stands in for the standard error in Student's interval with S - 1 degrees of freedom. For a mean the two
are the same. The percentiles of the bootstrap itself would be too narrow for the few seeds that sweeps have.

An interval ends where what it is of ends: KL is not below 0 and a correlation not beyond 1 (BOUNDS, and the bounds of
an Estimate). That takes nothing from its coverage.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd
from scipy.special import ndtri, stdtr, stdtrit

LEVEL = 0.95
NORMAL = float(ndtri((1 + LEVEL) / 2))
RESAMPLES = 2000
UNBOUNDED = (-math.inf, math.inf)
NOT_BELOW_0, SHARE, CORRELATION = (0.0, math.inf), (0.0, 1.0), (-1.0, 1.0)
BOUNDS = {  # of columns
    **dict.fromkeys(("kl", "kl_bound", "kl_k2", "kl_k3", "mu_squared", "entropy", "length", "gold_loss"), NOT_BELOW_0),
    **dict.fromkeys(("win_rate", "train_accuracy", "gold_accuracy", "held_out_accuracy"), SHARE),
    **dict.fromkeys(("correlation", "shifted_correlation"), CORRELATION),
}

Array = np.ndarray


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A number and how well it is known.

    error: its standard error over seeds, NaN where there are no degrees of freedom. shared_error: the standard error
    that all seeds have in common. Both are 0 for what is exact. bounds: what is possible, where intervals end.
    """

    value: float
    error: float = 0.0
    degrees_of_freedom: int = 0
    shared_error: float = 0.0
    bounds: tuple[float, float] = UNBOUNDED

    @property
    def total(self) -> tuple[float, float]:
        """The standard error of both together, and its degrees of freedom (Satterthwaite 1946)."""
        error = math.hypot(self.error, self.shared_error)
        if self.error == 0.0 or error == 0.0:
            return error, math.inf
        return error, self.degrees_of_freedom * (error / self.error) ** 4

    def interval(self, level: float = LEVEL) -> tuple[float, float]:
        """The two-sided interval of this level; NaN where there is none."""
        error, freedom = self.total
        if error == 0.0:
            return self.value, self.value
        half = float(stdtrit(freedom, (1 + level) / 2)) * error if freedom > 0 else math.nan
        return max(self.value - half, self.bounds[0]), min(self.value + half, self.bounds[1])

    def beyond(self, bound: float) -> float:
        """The p-value of the one-sided test that the truth is at most `bound`; NaN where nothing is known."""
        error, freedom = self.total
        if not self.known:
            return math.nan
        return float(stdtr(freedom, (bound - self.value) / error)) if error > 0 else float(self.value <= bound)

    @property
    def known(self) -> bool:
        """Whether there is an interval."""
        return math.isfinite(self.interval()[0])


def mean_of(values: object, shared: float = 0.0, bounds: tuple[float, float] = UNBOUNDED) -> Estimate:
    """The mean over seeds of `values` [S]; without an interval for one seed."""
    each = np.asarray(values, dtype=float)
    count = len(each)
    error = float(each.std(ddof=1) / math.sqrt(count)) if count > 1 else math.nan
    return Estimate(
        value=float(each.mean()), error=error, degrees_of_freedom=count - 1, shared_error=shared, bounds=bounds
    )


def resamples(count: int, rng: np.random.Generator | None = None, times: int = RESAMPLES) -> Array:
    """Weights [times, count] of seeds in bootstrap samples of as many, each row summing to 1; always the same unless
    `rng` is given.
    """
    return _usual_resamples(count, times) if rng is None else _drawn(count, rng, times)


@lru_cache(maxsize=4)
def _usual_resamples(count: int, times: int) -> Array:
    """The weights that are always the same; they take long to draw for thousands of seeds, and many ask for them."""
    found = _drawn(count, np.random.default_rng(0), times)
    found.flags.writeable = False
    return found


def _drawn(count: int, rng: np.random.Generator, times: int) -> Array:
    return rng.multinomial(count, np.full(count, 1 / count), size=times) / count


def spread_of(resampled: Array, count: int) -> Array:
    """Standard errors over `count` seeds of what was computed from resamples, along the first axis; NaN for one."""
    if count < 2:
        return np.full(np.shape(resampled)[1:], math.nan)
    return np.std(resampled, axis=0) * math.sqrt(count / (count - 1))


def student_half(error: Array, freedom: int) -> Array:
    """Half of the interval for standard errors with so many degrees of freedom; NaN for none."""
    return error * (stdtrit(freedom, (1 + LEVEL) / 2) if freedom > 0 else math.nan)


def half_width(deviation: pd.Series, count: pd.Series) -> pd.Series:
    """Half of the interval for means of `count` values with standard deviation `deviation`; NaN for one value."""
    quantile = pd.Series(stdtrit(np.maximum(count.to_numpy(float) - 1, 1), (1 + LEVEL) / 2), index=count.index)
    return (quantile * deviation / np.sqrt(count)).where(count > 1)


def over_seeds(table: pd.DataFrame, by: Sequence[str], values: Sequence[str]) -> pd.DataFrame:
    """Mean of each of `values` over the rows of each group, with its interval: NAME, NAME_low, NAME_high, NAME_se.

    `seeds` counts the rows of a group that have the first of `values`; rows without a value do not enter its mean.
    Where `table` has NAME_se, it is the standard error of each measurement.
    """
    groups = table.groupby(list(by), dropna=False, observed=True, sort=False)
    columns: dict[str, pd.Series] = {"seeds": groups[values[0]].count()}
    for name in values:
        mean, deviation, count = groups[name].mean(), groups[name].std(), groups[name].count()
        shared = 0.0
        if f"{name}_se" in table:
            shared = (table[f"{name}_se"] ** 2).groupby([table[key] for key in by], dropna=False, sort=False).mean()
            shared.index.names = count.index.names
        half = np.sqrt(half_width(deviation, count) ** 2 + NORMAL**2 * shared)
        columns |= {
            name: mean,
            f"{name}_low": (mean - half).clip(lower=BOUNDS.get(name, UNBOUNDED)[0]),
            f"{name}_high": (mean + half).clip(upper=BOUNDS.get(name, UNBOUNDED)[1]),
            f"{name}_se": np.sqrt(deviation**2 / count + shared),
        }
    return pd.DataFrame(columns).reset_index()
