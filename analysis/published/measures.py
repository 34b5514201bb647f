"""What claims of several papers are judged by: falls, peaks and differences, seed by seed.

Every estimate is over seeds, which share their pairs between methods: differences are taken within a seed first. Two
summaries that are compared have the same support: falls are over the same checkpoints, differences at equal KL over the
KL that all seeds of both reach, and how far that is stands in the note of the claim.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from analysis.published.claim import Records, UnknownError
from analysis.records.load import further_axes, without_diverged
from analysis.records.number_format import number
from analysis.statistics.intervals import UNBOUNDED, Estimate, mean_of, resamples, spread_of
from analysis.statistics.peaks import RESAMPLED, fall_with_error, falls, falls_at_own_peak, jackknife, peak_golds
from analysis.statistics.tradeoff_curves import gold_at

Array = np.ndarray


def without_axes(curves: pd.DataFrame, *allowed: str) -> pd.DataFrame:
    """The curves, if no other settings than `allowed` vary. Raises UnknownError."""
    others = [name for name in further_axes(curves) if name not in allowed]
    if others:
        raise UnknownError(f"the curves vary in {', '.join(others)}, too; take those of one value")
    return curves


def require_columns(rows: pd.DataFrame, *columns: str) -> pd.DataFrame:
    """The rows, if they have these columns. Raises UnknownError."""
    for name in columns:
        if name not in rows:
            raise UnknownError(f"there is no column {name}")
    return rows


def with_epochs(records: Records, rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with `epochs`, the passes over the pairs at each step. Raises UnknownError where no table says it."""
    runs = require_columns(records.runs, "run_id", "train.batch", "data.pairs", "data.labeller", "data.pool")
    held = runs["data.pool"].where(runs["data.labeller"] == "proxy", runs["data.pairs"])
    each = dict(zip(runs["run_id"], np.minimum(runs["train.batch"], held) / held, strict=True))
    return rows.assign(epochs=rows["step"] * rows["run_id"].map(each).astype(float))


def noise_of(*tables: pd.DataFrame, column: str = "gold") -> float:
    """The standard error that measuring gives to a column, which all seeds may share; 0 where it is exact.

    Of several tables: that of a difference between them.
    """
    errors = [(rows[f"{column}_se"].fillna(0.0) ** 2).mean() for rows in tables if f"{column}_se" in rows]
    return float(np.sqrt(sum(errors)))


def log_kl_noise(*tables: pd.DataFrame) -> float:
    """The standard error that measuring gives to log KL, or to a difference of it between tables."""
    errors = []
    for rows in tables:
        if "kl_se" in rows:
            there = rows[rows["kl"] > 0]
            errors.append(((there["kl_se"].fillna(0.0) / there["kl"]) ** 2).mean())
    return float(np.sqrt(sum(errors)))


def gold_by_seed(rows: pd.DataFrame, column: str = "gold") -> pd.DataFrame:
    """Gold of the runs of one setting, a row a seed and a column a step that all reached. Raises UnknownError."""
    table = without_diverged(rows).pivot_table(index="seed", columns="step", values=column).dropna(axis="columns")
    if table.empty:
        raise UnknownError("no run that did not diverge is there")
    return table


def mean_over_seeds(
    values: Sequence[float] | pd.Series, shared: float = 0.0, bounds: tuple[float, float] = UNBOUNDED
) -> Estimate:
    """The mean over seeds of `values`, a number each; seeds without one are left out. Raises UnknownError."""
    known = np.asarray(values, dtype=float)
    known = known[np.isfinite(known)]
    if not len(known):
        raise UnknownError("no seed has a number")
    return mean_of(known, shared, bounds)


def in_steps(estimate: Estimate, step: float) -> Estimate:
    """The estimate of a mean over seeds of numbers that come in steps of so much, such as a rank correlation.

    Seeds that have all the same such number do not prove that it has no error. The variance that rounding to steps
    takes from a number, step^2 / 12 (Sheppard 1898), is added to that of each seed.
    """
    seeds = estimate.degrees_of_freedom + 1
    return replace(estimate, error=float(np.hypot(estimate.error, step / np.sqrt(12 * seeds))))


def fall(rows: pd.DataFrame) -> Estimate:
    """What gold loses along the curve of one setting from its peak, which other seeds locate, to its end."""
    gold = gold_by_seed(rows)
    value, error = fall_with_error(gold.to_numpy(float))
    return Estimate(
        value=value, error=error, degrees_of_freedom=len(gold) - 1, shared_error=np.sqrt(2) * noise_of(rows)
    )


def weighted_falls(terms: Sequence[tuple[float, pd.DataFrame]]) -> Estimate:
    """The sum of weighted falls, each of the rows of one setting, over the seeds that all of them have.

    Falls share the seeds that locate their peaks, so the error is a jackknife of the whole sum (Tukey 1958), as in
    analysis/statistics/peaks.py. Raises UnknownError.
    """
    tables = [gold_by_seed(rows) for _, rows in terms]
    seeds = [seed for seed in tables[0].index if all(seed in table.index for table in tables)]
    if not seeds:
        raise UnknownError("no seed is in all of them")
    steps = [step for step in tables[0] if all(step in table for table in tables)]
    if not steps or any(table.columns[-1] != steps[-1] for table in tables):
        raise UnknownError("they were not measured at the same last step, so their falls cannot be compared")
    golds = [table.loc[seeds, steps].to_numpy(float) for table in tables]
    weights = [weight for weight, _ in terms]

    def total(kept: Array) -> float:
        return float(sum(weight * falls(gold[kept]).mean() for weight, gold in zip(weights, golds, strict=True)))

    everyone = np.arange(len(seeds))
    left = np.array([total(np.delete(everyone, i)) for i in everyone]) if len(seeds) > 1 else np.full(1, np.nan)
    error = float(np.sqrt((len(seeds) - 1) / len(seeds) * ((left - left.mean()) ** 2).sum()))
    if error == 0.0:  # as in fall_with_error
        drawn = resamples(len(seeds), times=RESAMPLED)
        plain = sum(weight * falls_at_own_peak(gold, drawn) for weight, gold in zip(weights, golds, strict=True))
        error = float(spread_of(np.asarray(plain), len(seeds)))
    noise = np.sqrt(2 * sum((weight * noise_of(rows)) ** 2 for weight, rows in terms))
    error = error if len(seeds) > 1 else np.nan
    return Estimate(value=total(everyone), error=error, degrees_of_freedom=len(seeds) - 1, shared_error=float(noise))


def gold_at_others_peak(gold: pd.DataFrame) -> pd.Series:
    """Gold of each seed where the mean of all other seeds peaks."""
    return pd.Series(peak_golds(gold.to_numpy(float)), index=gold.index)


def others_peak_estimate(gold: pd.DataFrame, shared: float = 0.0) -> Estimate:
    """The mean over seeds of gold where the mean of the others peaks, with its jackknife error.

    Seeds share those that locate their peaks, so their spread is too small an error (analysis/statistics/peaks.py).
    """
    value, error = jackknife(peak_golds, gold.to_numpy(float))
    return Estimate(value=value, error=error, degrees_of_freedom=len(gold) - 1, shared_error=shared)


def end_by_seed(rows: pd.DataFrame) -> pd.Series:
    """Gold at the last step of the runs of one setting, by seed. Raises UnknownError."""
    gold = gold_by_seed(rows)
    return gold[gold.columns.max()]


def fall_by_seed(rows: pd.DataFrame) -> pd.Series:
    """What gold of each seed loses from where the other seeds peak to the last step. Raises UnknownError."""
    gold = gold_by_seed(rows)
    return gold_at_others_peak(gold) - gold[gold.columns.max()]


def best_minus_worst(gold: Array) -> Array:
    """Gold of each seed at the choice that is best for the others less that at the one that is worst for them, [S].

    gold [S, choices]. A best and a worst that are looked for on the same seeds lie too far apart.
    """
    return peak_golds(gold) + peak_golds(-gold)


def loss_with_settings(loss: str) -> str:
    """A loss in a list: `robust_dpo, epsilon 0.1` as robust_dpo (epsilon 0.1)."""
    name, *settings = loss.split(", ")
    return f"{name} ({', '.join(settings)})" if settings else name


def ends_note(ends: Mapping[str, pd.DataFrame]) -> str:
    """How far policies went whose falls are compared, at the last step, by their names."""
    far = {name: rows.loc[rows["step"] == rows["step"].max(), "kl"].mean() for name, rows in ends.items()}
    return f"KL at the end: {', '.join(f'{name} {number(kl, 2)}' for name, kl in far.items())} nats"


def at_peak(rows: pd.DataFrame, column: str) -> pd.Series:
    """A column at the step where gold peaks, by seed.

    Where a peak lies is not too far to either side for having been looked for, so each seed has its own.
    """
    gold = gold_by_seed(rows)
    values = gold_by_seed(rows, column)[gold.columns].to_numpy(float)
    return pd.Series(values[np.arange(len(gold)), gold.to_numpy(float).argmax(axis=1)], index=gold.index)


def difference(a: pd.Series, b: pd.Series, shared: float = 0.0) -> Estimate:
    """The mean of a - b over the seeds that both have. Raises UnknownError."""
    both = (a - b).dropna()
    if both.empty:
        raise UnknownError("no seed is in both")
    return mean_over_seeds(both, shared)


def slope_by_seed(table: pd.DataFrame) -> pd.Series:
    """The slope of a line through each row over the columns, which are numbers. Raises UnknownError."""
    table = table.dropna(axis="columns")
    if table.shape[1] < 2 or table.empty:
        raise UnknownError("there are fewer than two values to see a trend over")
    x = np.asarray(table.columns, dtype=float)
    return pd.Series([np.polyfit(x, row, 1)[0] for row in table.to_numpy(float)], index=table.index)


def value_at_kl(points: pd.DataFrame, kl: Array, column: str = "gold") -> Array:
    """A column at each `kl` on the curve of one run through the reference; NaN beyond it."""
    rows = points.sort_values("step")
    rows = rows[rows["kl"] >= rows["kl"].cummax()]
    return gold_at(rows[["kl"]].assign(gold=rows[column]), kl)


def mean_difference_at_kl(a: pd.DataFrame, b: pd.DataFrame, column: str = "gold") -> tuple[pd.Series, float]:
    """The mean over KL of a - b at equal KL, by seed, and how far that goes: as all paths do. Raises UnknownError."""
    of_a, of_b = (dict(iter(rows.groupby("seed"))) for rows in (a, b))
    seeds = [seed for seed in of_a if seed in of_b]
    if not seeds:
        raise UnknownError("no seed is in both")
    reach = min(float(rows[seed]["kl"].max()) for rows in (of_a, of_b) for seed in seeds)
    grid = np.linspace(0.0, reach, 102)[1:]
    found = {
        seed: float(np.nanmean(value_at_kl(of_a[seed], grid, column) - value_at_kl(of_b[seed], grid, column)))
        for seed in seeds
    }
    return pd.Series(found), reach
