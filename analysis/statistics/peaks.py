"""What a sweep came to, by setting: the peak of gold along training, how far it falls after it, and the best beta.

A peak that is looked for and measured on the same seeds comes out too high, and so does the fall from it. Both are
therefore cross-fitted: for each seed, the place of the peak is that of the mean curve of all other seeds, and what
counts is the gold of this seed there, and what it loses from there to its end. So is the best beta, whose place is a
beta and a checkpoint. A place jumps from one checkpoint to the next as a seed comes or goes, and a jackknife takes the
jumps for error. In the tables of `peaks` and `best`, each seed's place is therefore drawn PLACES times, from bootstrap
samples of the other seeds, and what counts is the mean (Efron 2014, "Estimation and accuracy after model selection").
The claims of papers were written down with the one place of all others, and keep it. How sure a place is follows from a
bootstrap over seeds: how often it is the best one, and where the middle 95 % of the best ones lie. These numbers of
seeds share seeds, so their spread is too small a standard error for their mean; the jackknife over seeds (Tukey 1958)
errs to the safe side. To leave out each two of S seeds takes time that grows as S³. So more than GROUPS seeds are
put into GROUPS groups, whose mean curves count as seeds do (a jackknife that leaves out groups, Kott 2001); intervals
have their degrees of freedom. Where gold was measured on samples, seeds share the noise of the measurement, and a peak
may be its peak; its variance, at the peak and at the end, is then added, as if the two were independent and shared
whole. One seed has no other, so its peaks are what they were looked for as, and have no error.

Shapes: S seeds, K places (checkpoints, or checkpoints of several betas), B resamples.
"""

import math
from collections.abc import Callable

import numpy as np
import pandas as pd

from analysis.records.checks import balanced, checked
from analysis.records.load import further_axes, trained_rows, without_diverged
from analysis.statistics.intervals import half_width, over_seeds, resamples, spread_of

CURVE = ("method", "loss", "beta", "kappa")
MIDDLE = (0.025, 0.975)
RESAMPLED = 1000
PLACES = 200
GROUPS = 64  # of seeds, where there are more

Array = np.ndarray


def curve_settings(curves: pd.DataFrame) -> list[str]:
    """The columns that tell the curves of a sweep apart, seeds aside."""
    return [*CURVE, *further_axes(curves)]


def training_curves(curves: pd.DataFrame) -> pd.DataFrame:
    """Mean over seeds, with intervals, at every checkpoint of each loss, beta and further axis.

    Columns: the settings, step, seeds, and kl, gold, proxy, mu_squared each with _low, _high and _se. A checkpoint
    that some seed did not reach, since it diverged, is left out. Raises ResultsError for rows that cannot belong
    together.
    """
    curves = checked(curves)
    return _mean_curves(curves, curve_settings(curves))


def _mean_curves(curves: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    values = [name for name in ("kl", "gold", "proxy", "mu_squared") if name in curves]
    errors = [f"{name}_se" for name in values if f"{name}_se" in curves]
    curves = curves[list(dict.fromkeys(["run_id", "method", "status", *by, "step", *values, *errors]))]
    means = over_seeds(trained_rows(curves), [*by, "step"], values)
    runs = curves[curves["method"] != "oracle"].groupby(by, dropna=False)["run_id"].nunique().rename("runs")
    means = means.merge(runs.reset_index(), on=by)
    return means[means["seeds"] == means["runs"]].drop(columns="runs").reset_index(drop=True)


def means_along(rows: pd.DataFrame, values: list[str]) -> pd.DataFrame:
    """Mean KL and `values` over seeds, with intervals, at every step that all runs of one path reached."""
    means = over_seeds(rows, ["step"], ["kl", *values])
    return means[means["seeds"] == len(rows["run_id"].unique())].sort_values("step", ignore_index=True)


def others_peak(gold: Array) -> Array:
    """The place, for each seed, where the mean of all other seeds is highest, [S], for gold [S, K]; its own for one."""
    others = gold.sum(axis=0) - gold if len(gold) > 1 else gold
    return others.argmax(axis=1)


def peak_golds(gold: Array) -> Array:
    """Gold of each seed where the others peak, [S], for gold [S, K]."""
    return gold[np.arange(len(gold)), others_peak(gold)]


def smooth_peak_golds(gold: Array) -> Array:
    """Gold of each seed where bootstrap samples of the others peak, a mean over these, [S], for gold [S, K]."""
    if len(gold) < 3:
        return peak_golds(gold)
    weights = resamples(len(gold) - 1, times=PLACES)
    return np.array([own[sampled_peaks(gold, [i], weights)].mean() for i, own in enumerate(gold)])


def sampled_peaks(gold: Array, without: list[int], weights: Array) -> Array:
    """Where bootstrap samples, of the given weights, of all seeds but some peak, [B], for gold [S, K]."""
    return (weights @ np.delete(gold, without, axis=0)).argmax(axis=1)


def smooth_peak_golds_without_each(gold: Array) -> Array:
    """`smooth_peak_golds` with a seed left out, a row for each one left out, [S, S - 1], for gold [S, K], S > 2.

    Two seeds are both looked for on all others, whichever of the two is left out.
    """
    count = len(gold)
    if count < 4:
        return np.array([peak_golds(np.delete(gold, i, axis=0)) for i in range(count)])
    found, weights = np.full((count, count), np.nan), resamples(count - 2, times=PLACES)
    for i in range(count):
        for j in range(i):
            places = sampled_peaks(gold, [i, j], weights)
            found[i, j], found[j, i] = gold[j, places].mean(), gold[i, places].mean()
    return found[~np.eye(count, dtype=bool)].reshape(count, count - 1)


def in_groups(gold: Array) -> Array:
    """Gold [S, K] of up to GROUPS seeds as it is; of more, the means of groups of as many seeds, [GROUPS, K]."""
    if len(gold) <= GROUPS:
        return gold
    return np.array([part.mean(axis=0) for part in np.array_split(gold, GROUPS)])


def student_half_width(error: pd.Series, seeds: pd.Series) -> pd.Series:
    """Half of the interval for standard errors of `smooth_peak_and_fall` over so many seeds; NaN for one."""
    count = seeds.clip(upper=GROUPS)
    return half_width(error * np.sqrt(count.astype(float)), count)


def smooth_peak_and_fall(gold: Array, rng: np.random.Generator | None = None) -> tuple[float, float, float, float]:
    """Peak and fall, each as a mean over seeds with its jackknife standard error (NaN for one seed), for gold [S, K].

    Each seed's peak is that of `smooth_peak_golds`, and its fall what it loses from there to its end.
    """
    gold = in_groups(gold)
    count, end = len(gold), gold[:, -1]
    own = smooth_peak_golds(gold)
    peak, fall = float(own.mean()), float((own - end).mean())
    if count < 2:
        return peak, math.nan, fall, math.nan
    if count < 3:
        return peak, jackknife(peak_golds, gold)[1], *fall_with_error(gold, rng)
    without = smooth_peak_golds_without_each(gold)
    ends = np.array([np.delete(end, i) for i in range(count)])
    errors = [jackknife_error(each.mean(axis=1)) for each in (without, without - ends)]
    if errors[1] == 0.0:
        errors[1] = float(spread_of(falls_at_own_peak(gold, resamples(count, rng, RESAMPLED)), count))
    return peak, errors[0], fall, errors[1]


def jackknife_error(left_out: Array) -> float:
    """The standard error from what is estimated with each seed left out, [S]."""
    seeds = len(left_out)
    return math.sqrt((seeds - 1) / seeds * float(((left_out - left_out.mean()) ** 2).sum()))


def falls(gold: Array) -> Array:
    """What each seed loses from the peak that the other seeds show to its end, [S], for gold [S, K]."""
    return peak_golds(gold) - gold[:, -1]


def jackknife(of: Callable[[Array], Array], gold: Array) -> tuple[float, float]:
    """The mean over seeds of what is cross-fitted, and its jackknife standard error, for gold [S, K].

    The error is NaN for one seed. of: from gold [S, K] to a number for each seed, [S].
    """
    seeds = len(gold)
    if seeds < 2:
        return float(of(gold).mean()), math.nan
    without = np.array([of(np.delete(gold, i, axis=0)).mean() for i in range(seeds)])
    return float(of(gold).mean()), jackknife_error(without)


def falls_at_own_peak(gold: Array, weights: Array) -> Array:
    """What means over seeds lose from their highest place to their end, [B], for gold [S, K] and weights [B, S]."""
    means = weights @ gold
    return means.max(axis=1) - means[:, -1]


def fall_with_error(gold: Array, rng: np.random.Generator | None = None) -> tuple[float, float]:
    """The mean fall over seeds and its jackknife standard error (NaN for one seed), for gold [S, K].

    Where gold of all seeds is highest at the end whichever of them is left out, the jackknife knows no error; it is
    then that of the bootstrap of what means lose.
    """
    value, error = jackknife(falls, gold)
    if error == 0.0:
        error = float(spread_of(falls_at_own_peak(gold, resamples(len(gold), rng, RESAMPLED)), len(gold)))
    return value, error


def best_places(gold: Array, rng: np.random.Generator | None = None) -> Array:
    """Where the mean of seeds in a bootstrap sample is highest, [B], for gold [S, K]; nothing for one seed."""
    if len(gold) < 2:
        return np.zeros(0, dtype=int)
    return (resamples(len(gold), rng, RESAMPLED) @ gold).argmax(axis=1)


def peaks(curves: pd.DataFrame, rng: np.random.Generator | None = None) -> pd.DataFrame:
    """For each loss, beta and further axis: where gold peaks along training, where it ends, and the fall between.

    Columns: the settings, seeds, peak_step (of the mean curve), peak_kl (there, with the 95 % interval of the place),
    peak_gold and fall (both cross-fitted, each with NAME_se, NAME_low and NAME_high at 95 %), end_kl, end_gold. Runs
    that diverged are left out, and so are settings of which no other run is there. rng: for the bootstrap, the same
    numbers every time unless given. Raises ResultsError for rows that cannot belong together.
    """
    curves = checked(curves)
    by, curves = curve_settings(curves), without_diverged(curves)
    settings = curves.groupby(by, dropna=False, sort=False)
    means = _mean_curves(curves.assign(setting=settings.ngroup()), ["setting"])
    means_of = dict(iter(means.groupby("setting")))
    rows = []
    for number, (setting, group) in enumerate(settings):
        if number not in means_of:
            continue
        gold, kl = by_seed(group), means_of[number].set_index("step")["kl"]
        top, last = gold.columns[gold.mean().argmax()], gold.columns[-1]
        row = dict(zip(by, setting, strict=True)) | {"seeds": len(gold), "peak_step": int(top)}
        row |= {"peak_kl": kl[top], "end_kl": kl[last], "end_gold": gold[last].mean()}
        row |= ends_of("peak_kl", kl[gold.columns].to_numpy()[best_places(gold.to_numpy(), rng)])
        noise = {"peak_gold": [_noise(group, top)], "fall": [_noise(group, step) for step in (top, last)]}
        peak, peak_error, fall, fall_error = smooth_peak_and_fall(gold.to_numpy(), rng)
        found = {"peak_gold": (peak, peak_error), "fall": (fall, fall_error)}
        for name, (value, error) in found.items():
            row |= {name: value, f"{name}_se": math.sqrt(error**2 + sum(noise[name]))}
        rows.append(row)
    first = ["seeds", "peak_step", "peak_kl", "peak_gold", "end_kl", "end_gold", "fall"]
    return with_intervals(pd.DataFrame(rows, columns=[*by, *first, *OTHERS]))


OTHERS = ("peak_gold_se", "fall_se", "peak_kl_low", "peak_kl_high")


def with_intervals(table: pd.DataFrame) -> pd.DataFrame:
    """The table with NAME_low and NAME_high for each NAME_se, over as many seeds as it has."""
    found: dict[str, pd.Series] = {}
    for name in [name.removesuffix("_se") for name in table if name.endswith("_se")]:
        half = student_half_width(table[f"{name}_se"].astype(float), table["seeds"])
        found |= {f"{name}_low": table[name] - half, f"{name}_high": table[name] + half}
    return table.assign(**found)


def ends_of(name: str, values: Array) -> dict[str, float]:
    """NAME_low and NAME_high: where the middle 95 % of the values lie; NaN where there are none."""
    low, high = np.quantile(values, MIDDLE) if len(values) else (math.nan, math.nan)
    return {f"{name}_low": float(low), f"{name}_high": float(high)}


def best(curves: pd.DataFrame, rng: np.random.Generator | None = None) -> pd.DataFrame:
    """For each loss and further axis: the beta and the checkpoint with the most gold, and how sure that is.

    Columns: the settings but beta, seeds, best_beta, sure (the share of bootstrap samples of seeds in which this beta
    is the best), best_beta_low and best_beta_high (where the best beta of the middle 95 % of samples lies), at_the_end
    (whether it is the smallest or largest of the sweep, and may lie beyond), peak_gold (cross-fitted over beta and
    checkpoints, with peak_gold_se, _low and _high), and peak_kl. Losses without a beta have an empty one. Runs that
    diverged are left out, and betas at which some seed has none, as few as need be. rng: for the bootstrap. Raises
    ResultsError for rows that cannot belong together.
    """
    curves = without_diverged(checked(curves))
    by = [name for name in curve_settings(curves) if name not in ("beta", "kappa")]
    rows = []
    for setting, group in curves.groupby(by, dropna=False, sort=False):
        beta = group["beta"].fillna(0.0)
        table = group.assign(beta=beta).pivot_table(index="seed", columns=["beta", "step"], values="gold")
        gold = balanced(table)
        if not gold.size:
            continue
        betas = gold.columns.get_level_values("beta").to_numpy(float)
        top = int(gold.mean().to_numpy().argmax())
        there = group[(beta == betas[top]) & (group["step"] == gold.columns[top][1]) & group["seed"].isin(gold.index)]
        chosen = betas[best_places(gold.to_numpy(), rng)]
        value, error = smooth_peak_and_fall(gold.to_numpy(), rng)[:2]
        row = dict(zip(by, setting, strict=True)) | {"seeds": len(gold), "best_beta": betas[top]}
        row |= {"sure": float((chosen == betas[top]).mean()) if len(chosen) else math.nan}
        row |= ends_of("best_beta", chosen) | {"at_the_end": betas[top] in (betas.min(), betas.max())}
        row |= {"peak_gold": value, "peak_gold_se": math.sqrt(error**2 + _noise(there, gold.columns[top][1]))}
        rows.append(row | {"peak_kl": float(there["kl"].mean())})
        if group["beta"].isna().all():
            rows[-1] |= dict.fromkeys(("best_beta", "sure", "best_beta_low", "best_beta_high"), math.nan)
            rows[-1]["at_the_end"] = False
    first = ["seeds", "best_beta", "sure", "best_beta_low", "best_beta_high", "at_the_end", "peak_gold"]
    return with_intervals(pd.DataFrame(rows, columns=[*by, *first, "peak_gold_se", "peak_kl"]))


def peak_along(rows: pd.DataFrame) -> dict[str, float]:
    """The peak of gold along one path: gold, cross-fitted, gold_low, gold_high, kl, and seeds."""
    gold = by_seed(rows)
    value, error = smooth_peak_and_fall(gold.to_numpy())[:2]
    top = gold.columns[gold.mean().argmax()]
    error = math.sqrt(error**2 + _noise(rows, top))
    half = float(student_half_width(pd.Series([error]), pd.Series([len(gold)])).iloc[0])
    kl = float(rows.loc[rows["step"] == top, "kl"].mean())
    return {"kl": kl, "gold": value, "gold_low": value - half, "gold_high": value + half, "seeds": len(gold)}


def _noise(runs: pd.DataFrame, step: int) -> float:
    """The mean variance that measuring gave to gold at one checkpoint; 0 where it is exact."""
    return float((runs.loc[runs["step"] == step, "gold_se"] ** 2).mean()) if "gold_se" in runs else 0.0


def by_seed(runs: pd.DataFrame, column: str = "gold") -> pd.DataFrame:
    """A column [S, K] of the runs of one setting, at the checkpoints that all of them reached."""
    return runs.pivot(index="seed", columns="step", values=column).dropna(axis="columns")
