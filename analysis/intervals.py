"""Points with intervals over seeds.

The interval is Student's t with one degree of freedom less than there are seeds: a few seeds, each a nearly
normal mean over many prompts and pairs, are what it was made for, and where a bootstrap of four values is
too narrow. One seed has no interval, and none is invented.

Where values were measured on samples, seeds share the noise of the measurement (the same prompts, random numbers and
baseline), so that their spread does not show all of it. The root mean square of their standard errors is then added,
as if it were shared whole: the interval is at least as wide as it should be.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.stats import norm
from scipy.stats import t as student

LEVEL = 0.95
NORMAL = float(norm.ppf((1 + LEVEL) / 2))


def half_width(deviation: pd.Series, count: pd.Series) -> pd.Series:
    """Half of the interval for means of `count` values with standard deviation `deviation`; NaN for one value."""
    quantile = pd.Series(student.ppf((1 + LEVEL) / 2, np.maximum(count - 1, 1)), index=count.index)
    return (quantile * deviation / np.sqrt(count)).where(count > 1)


def over_seeds(table: pd.DataFrame, by: Sequence[str], values: Sequence[str]) -> pd.DataFrame:
    """Mean of each of `values` over the rows of each group, with its interval: NAME, NAME_low, NAME_high, NAME_se.

    `seeds` counts the rows of a group. Where `table` has NAME_se, it is the standard error of each measurement.
    """
    groups = table.groupby(list(by), dropna=False, observed=True, sort=False)
    count = groups.size()
    columns: dict[str, pd.Series] = {"seeds": count}
    for name in values:
        mean, deviation = groups[name].mean(), groups[name].std()
        shared = 0.0
        if f"{name}_se" in table:
            shared = (table[f"{name}_se"] ** 2).groupby([table[key] for key in by], dropna=False, sort=False).mean()
            shared.index.names = count.index.names
        half = np.sqrt(half_width(deviation, count) ** 2 + NORMAL**2 * shared)
        columns |= {
            name: mean,
            f"{name}_low": mean - half,
            f"{name}_high": mean + half,
            f"{name}_se": np.sqrt(deviation**2 / count + shared),
        }
    return pd.DataFrame(columns).reset_index()
