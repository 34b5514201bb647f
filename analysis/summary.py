"""What a sweep came to, by setting: the peak of gold along training, and how far it falls after it.

A peak that is looked for and measured on the same seeds comes out too high, and so does the fall from it. The
fall is therefore cross-fitted: for each seed, the checkpoint of the peak is the one of the mean curve of all
other seeds, and the fall is what this seed loses from there to its end. These losses share seeds, so their spread
is too small a standard error for their mean; the jackknife over seeds (Tukey 1958) errs to the safe side. Where gold
was measured on samples, seeds share the noise of the measurement, and a peak may be its peak; its variance at the peak
and at the end is then added to that of the fall, as if the two were independent and shared whole.
"""

import math
from pathlib import Path

import numpy as np
import pandas as pd

from analysis.intervals import half_width, over_seeds
from analysis.names import printable, spelled
from analysis.paths import fit_laws, trends
from analysis.results import ends, expected, failures, finished, further_axes, load, offline, sources, trained, whole

CURVE = ("method", "loss", "beta", "kappa")


def curve_settings(curves: pd.DataFrame) -> list[str]:
    """The columns that tell the curves of a sweep apart, seeds aside."""
    return [*CURVE, *further_axes(curves)]


def training_curves(curves: pd.DataFrame) -> pd.DataFrame:
    """Mean over seeds, with intervals, at every checkpoint of each loss, beta and further axis.

    Columns: the settings, step, seeds, and kl, gold, proxy, mu_squared each with _low, _high and _se. A checkpoint
    that some seed did not reach, since it diverged, is left out.
    """
    return _mean_curves(curves, curve_settings(curves))


def _mean_curves(curves: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    values = [name for name in ("kl", "gold", "proxy", "mu_squared") if name in curves]
    means = over_seeds(trained(curves), [*by, "step"], values)
    runs = curves[curves["method"] != "oracle"].groupby(by, dropna=False)["run_id"].nunique().rename("runs")
    means = means.merge(runs.reset_index(), on=by)
    return means[means["seeds"] == means["runs"]].drop(columns="runs").reset_index(drop=True)


def means_along(rows: pd.DataFrame, values: list[str]) -> pd.DataFrame:
    """Mean KL and `values` over seeds, with intervals, at every step that all runs of one path reached."""
    means = over_seeds(rows, ["step"], ["kl", *values])
    return means[means["seeds"] == len(rows["run_id"].unique())].sort_values("step", ignore_index=True)


def peak_along(rows: pd.DataFrame) -> dict[str, float]:
    """The row of `means_along` where mean gold of one path peaks."""
    means = means_along(rows, ["gold"])
    return dict(means.loc[means["gold"].idxmax()])


def falls(gold: np.ndarray) -> np.ndarray:
    """What each seed loses from the peak that the other seeds show to its end, [S], for gold [S, checkpoints]."""
    seeds = len(gold)
    others = (gold.sum(axis=0) - gold) / (seeds - 1) if seeds > 1 else gold
    return gold[np.arange(seeds), others.argmax(axis=1)] - gold[:, -1]


def fall_with_error(gold: np.ndarray) -> tuple[float, float]:
    """The mean fall over seeds and its jackknife standard error (NaN for one seed), for gold [S, checkpoints]."""
    seeds = len(gold)
    if seeds < 2:
        return float(falls(gold).mean()), math.nan
    without = np.array([falls(np.delete(gold, i, axis=0)).mean() for i in range(seeds)])
    error = math.sqrt((seeds - 1) / seeds * ((without - without.mean()) ** 2).sum())
    return float(falls(gold).mean()), error


def peaks(curves: pd.DataFrame) -> pd.DataFrame:
    """For each loss, beta and further axis: where the mean curve peaks, where it ends, and the fall between.

    Columns: the settings, seeds, peak_step, peak_kl, peak_gold, end_kl, end_gold, and fall (cross-fitted) with
    its standard error fall_se and the 95 % interval fall_low, fall_high. Runs that diverged are left out, and so are
    settings of which no other run is there.
    """
    by, curves = curve_settings(curves), whole(curves)
    rows = []
    for setting, group in curves.groupby(by, dropna=False, sort=False):
        mean = _mean_curves(group, by)
        if mean.empty:
            continue
        top, last = mean.loc[mean["gold"].idxmax()], mean.loc[mean["step"].idxmax()]
        gold = _by_seed(group)
        row = dict(zip(by, setting, strict=True)) | {"seeds": len(gold), "peak_step": int(top["step"])}
        row |= {"peak_kl": top["kl"], "peak_gold": top["gold"], "end_kl": last["kl"], "end_gold": last["gold"]}
        row["fall"], error = fall_with_error(gold)
        noise = [_noise(group, step) for step in (top["step"], last["step"])]
        row["fall_se"] = math.sqrt(error**2 + sum(noise))
        rows.append(row)
    names = ["seeds", "peak_step", "peak_kl", "peak_gold", "end_kl", "end_gold", "fall", "fall_se"]
    table = pd.DataFrame(rows, columns=[*by, *names])
    half = half_width(table["fall_se"] * np.sqrt(table["seeds"]), table["seeds"])
    return table.assign(fall_low=table["fall"] - half, fall_high=table["fall"] + half)


def _noise(runs: pd.DataFrame, step: int) -> float:
    """The mean variance that measuring gave to gold at one checkpoint; 0 where it is exact."""
    return float((runs.loc[runs["step"] == step, "gold_se"] ** 2).mean()) if "gold_se" in runs else 0.0


def _by_seed(runs: pd.DataFrame) -> np.ndarray:
    """Gold [S, checkpoints] of the runs of one setting, at the checkpoints that all of them reached."""
    return runs.pivot(index="seed", columns="step", values="gold").dropna(axis="columns").to_numpy()


def text(folder: str | Path) -> str:
    """What a result directory came to, for a terminal: how its runs ended, and the best of each loss."""
    curves = spelled(load(folder), printable)
    rows = curves[curves["method"] != "oracle"]
    runs, diverged = (part["run_id"].nunique() for part in (rows, rows[rows["status"] == "diverged"]))
    so_far, failed = "" if finished(folder) else " so far", failures(folder)
    of = f" of {expected(folder)}" if expected(folder) and so_far else ""
    first = f"{runs}{of} run{'s' * (runs != 1)}{so_far}, {diverged} of them diverged"
    if len(failed):
        first += f"; {len(failed)} more failed, and `runs.parquet` says why"
    if mixed := sources(folder):
        first += f"\n{mixed}"
    if ends(curves).empty:
        hint = "; a smaller learning rate may help" if diverged else ""
        return f"{first}; no figures, since nothing is left to draw{hint}"
    return "\n".join([first, *_offline_text(curves), *_proxy_text(curves)])


def _offline_text(curves: pd.DataFrame) -> list[str]:
    """The best of each loss, where there is offline training."""
    rows = offline(curves)
    if ends(rows).empty:
        return []
    apart = [name for name in curve_settings(rows) if name not in ("method", "kappa", "beta")]
    table = peaks(rows)
    groups = table.groupby(apart, sort=False, dropna=False)
    best = table.loc[groups["peak_gold"].idxmax()]
    weakest = table.loc[
        table["beta"].fillna(0.0).groupby([table[name] for name in apart], sort=False, dropna=False).idxmin()
    ]
    shown = best[[*apart, "beta", "peak_gold", "peak_kl"]].set_axis([*apart, "best beta", "peak gold", "at KL"], axis=1)
    for column, name in (("beta", "smallest beta"), ("fall", "falls by"), ("fall_se", "se")):
        shown[name] = weakest[column].to_numpy()
    seeds = "(each seed from where the others peak: below 0 where it rises on)"
    if table["beta"].isna().all():
        heading = f"where mean gold peaks along training, and what is lost after it {seeds}"
        return [heading, _table(shown.drop(columns=["best beta", "smallest beta"]))]
    heading = "the beta whose mean gold peaks highest along training; what the smallest beta loses after its own peak"
    return [f"{heading} {seeds}", _table(shown)]


def _proxy_text(curves: pd.DataFrame) -> list[str]:
    """Where each method against proxies peaks, and its law."""
    rows = curves[~curves["method"].isin(["gpo", "oracle"])]
    if trained(rows).empty:
        return []
    by = [name for name in curve_settings(rows) if name not in ("loss", "kappa") and not rows[name].isna().all()]
    table = peaks(rows)
    shown = table[[*by, "peak_gold", "peak_kl", "end_gold", "end_kl", "fall", "fall_se"]].rename(
        columns={"peak_gold": "peak gold", "peak_kl": "at KL", "end_gold": "end gold", "end_kl": "end KL"}
    )
    laws = fit_laws(rows)
    lines = [
        "against proxies: where mean gold peaks along training, n or tau, and what is lost after it (each seed from "
        "where the others peak)",
        _table(shown.rename(columns={"fall": "falls by", "fall_se": "se"})),
    ]
    if laws.empty:
        return lines
    told = [name for name in laws if name in by or name == "proxy_parameters"]
    table = laws[told].assign(
        alpha=_between(laws, "law_alpha"),
        beta_=_between(laws, "law_beta"),
        **{name.replace("_", " "): _within(laws, name) for name in ("peak_d", "peak_gold")},
        rmse=laws["rmse"],
        **{"of the other form": laws["rival_rmse"]},
    )
    return [
        *lines,
        "laws of gold over d = sqrt(KL), with 95 % intervals: d (alpha - beta d) for best_of_n, d (alpha - beta log d) "
        "for the others; a peak is told where it lies among the points; rmse in deviations of gold, and that of the "
        "other form, which fits better where it is smaller",
        _table(table.rename(columns={"beta": "penalty", "beta_": "beta"})),
        *(line for against in ("proxy_parameters", "pairs") for line in _trend_text(rows, against)),
    ]


def _between(laws: pd.DataFrame, name: str) -> list[str]:
    """Coefficients with their intervals, where there are any."""
    rows = zip(laws[name], laws[f"{name}_low"], laws[f"{name}_high"], strict=True)
    return [f"{at:.3g} [{low:.3g}, {high:.3g}]" if math.isfinite(low) else f"{at:.3g}" for at, low, high in rows]


def _within(laws: pd.DataFrame, name: str) -> list[str]:
    """Peaks that lie among the points."""
    rows = zip(laws[name], laws["peak_d"], laws["reach"], strict=True)
    return [f"{at:.3g}" if peak <= reach else "beyond" for at, peak, reach in rows]


def _trend_text(rows: pd.DataFrame, against: str) -> list[str]:
    """How coefficients change along a column that has three values or more."""
    if against not in rows or len(rows[against].dropna().unique()) < 3:
        return []
    table = trends(rows[rows["method"].isin(["best_of_n", "rl"])], against)
    return [f"change of the coefficients for each factor of ten in {against}, with 95 % intervals", _table(table)]


def _table(table: pd.DataFrame) -> str:
    numbers = table.select_dtypes("float").columns
    table = table.assign(**{name: table[name].map("{:.3g}".format, na_action="ignore") for name in numbers})
    return str(table.to_string(index=False, na_rep="-"))
