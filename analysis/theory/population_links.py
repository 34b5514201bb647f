"""What theory says of the losses of Generalized Preference Optimization, beside what a sweep found.

To second order in z = beta rho, a loss E f(z) is f(0) + |f'(0)| beta (-E rho + 1/2 beta kappa E rho^2), kappa =
f''(0) / |f'(0)|: losses act alike at equal beta kappa (Tang et al. 2024, arXiv:2402.05749, Sec. 4). `kappa_collapse`
asks how much of the spread between losses goes when beta is replaced by beta kappa; see
analysis/theory/kappa_collapse.py.

Under Bradley-Terry labels, p = sigma(gap), the margin that minimizes p f(z) + (1 - p) f(-z) is a function of the gap of
gold alone, the population link of the loss; `LINKS` has it in closed form, and `margins_by_gap` what policies came to.

The gradient of a pair is beta |f'(z)| times that of its margin; `gradient_weights` says how large |f'| is over the
margins that a sweep saw.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd

from analysis.records.checks import checked
from analysis.records.load import final_rows, further_axes, variants
from analysis.statistics.intervals import over_seeds

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
"""The margin z that minimizes each loss for Bradley-Terry labels, as a function of the gap of gold."""


def margins_by_gap(curves: pd.DataFrame, margins: pd.DataFrame, *, temperature: float = 1.0) -> pd.DataFrame:
    """What margin policies gave to the response with more gold, beside the population link of their loss.

    margins: the table `margins.parquet`. temperature: of the labels. Columns: loss, beta, gap (of gold, in deviations,
    divided by the temperature), z = beta rho with its interval over seeds, link, seeds, and each further axis. Losses
    of LINKS only. Raises ResultsError for rows that cannot belong together.
    """
    runs = variants(final_rows(checked(curves)))
    runs = runs[runs["loss"].isin(LINKS)]
    axes = further_axes(runs)
    place = margins.groupby("run_id").cumcount().rename("place")
    rows = margins.join(place).merge(runs[["run_id", "loss", "beta", "seed", *axes]], on="run_id")
    rows = rows.assign(z=rows["beta"] * rows["margin"], gap=rows["gap"] / temperature)
    table = over_seeds(rows, ["loss", "beta", *axes, "place"], ["gap", "z"])
    link = [float(LINKS[str(loss)](np.array(gap))) for loss, gap in zip(table["loss"], table["gap"], strict=True)]
    return table.assign(link=link)[["loss", "beta", *axes, "gap", "z", "z_low", "z_high", "link", "seeds"]]


def gradient_weights(curves: pd.DataFrame, functions: pd.DataFrame) -> pd.DataFrame:
    """|f'(z)| / |f'(0)| at quantiles of the margins of a run's own pairs at the end of training, as means over seeds.

    functions: the table `losses.parquet`, which reaches to |z| = 6; beyond, f' is that at its end. Columns: loss, beta,
    each further axis, quantile, z, weight. Raises ResultsError for rows that cannot belong together.
    """
    last = variants(final_rows(checked(curves)))
    last = last[(last["method"] == "gpo") & last["beta"].notna()]
    last = last if set(MARGIN_COLUMNS) <= set(last) else last.iloc[:0]  # an older layout has none
    rows, axes = [], further_axes(last)
    for (loss, beta, *at), table in last.groupby(["loss", "beta", *axes], sort=False, dropna=False):
        f = functions[functions["loss"] == loss].sort_values("z")
        if f.empty or table[list(MARGIN_COLUMNS)].isna().all().all():
            continue
        start = abs(float(np.interp(0.0, f["z"], f["slope"])))
        for level, name in zip(QUANTILES, MARGIN_COLUMNS, strict=True):
            z = float(beta) * table[name].to_numpy(float)
            weight = np.abs(np.interp(z, f["z"], f["slope"])) / start
            rows.append((loss, float(beta), *at, level, float(z.mean()), float(weight.mean())))
    return pd.DataFrame(rows, columns=["loss", "beta", *axes, "quantile", "z", "weight"])
