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
from analysis.results import ends, finished, further_axes, load, trained, whole

CURVE = ("method", "loss", "beta", "kappa")


def curve_settings(curves: pd.DataFrame) -> list[str]:
    """The columns that tell the curves of a sweep apart, seeds aside."""
    return [*CURVE, *further_axes(curves)]


def training_curves(curves: pd.DataFrame) -> pd.DataFrame:
    """Mean over seeds, with intervals, at every checkpoint of each loss, beta and further axis.

    Columns: the settings, step, seeds, and kl, gold, mu_squared each with _low, _high and _se. A checkpoint
    that some seed did not reach, since it diverged, is left out.
    """
    return _mean_curves(curves, curve_settings(curves))


def _mean_curves(curves: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    means = over_seeds(trained(curves), [*by, "step"], ["kl", "gold", "mu_squared"])
    runs = curves[curves["method"] != "oracle"].groupby(by, dropna=False)["run_id"].nunique().rename("runs")
    means = means.merge(runs.reset_index(), on=by)
    return means[means["seeds"] == means["runs"]].drop(columns="runs").reset_index(drop=True)


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
    groups = dict(iter(curves.groupby(by, dropna=False, sort=False)))
    rows = []
    for setting, mean in _mean_curves(curves, by).groupby(by, dropna=False, sort=False):
        top, last = mean.loc[mean["gold"].idxmax()], mean.loc[mean["step"].idxmax()]
        gold = _by_seed(groups[setting])
        row = dict(zip(by, setting, strict=True)) | {"seeds": len(gold), "peak_step": int(top["step"])}
        row |= {"peak_kl": top["kl"], "peak_gold": top["gold"], "end_kl": last["kl"], "end_gold": last["gold"]}
        row["fall"], error = fall_with_error(gold)
        noise = [_noise(groups[setting], step) for step in (top["step"], last["step"])]
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
    curves = load(folder)
    runs = curves[curves["method"] != "oracle"].groupby("run_id")["status"].agg(lambda s: (s == "diverged").any())
    so_far = "" if finished(folder) else " so far"
    first = f"{len(runs)} run{'s' * (len(runs) != 1)}{so_far}, {int(runs.sum())} of them diverged"
    if ends(curves).empty:
        return f"{first}; no figures, since nothing is left to draw; a smaller learning rate may help"
    apart = [name for name in curve_settings(curves) if name not in ("method", "kappa", "beta")]
    table = peaks(curves)
    groups = table.groupby(apart, sort=False, dropna=False)
    best, weakest = table.loc[groups["peak_gold"].idxmax()], table.loc[groups["beta"].idxmin()]
    shown = best[[*apart, "beta", "peak_gold", "peak_kl"]].set_axis([*apart, "best beta", "peak gold", "at KL"], axis=1)
    for column, name in (("beta", "smallest beta"), ("fall", "falls by"), ("fall_se", "se")):
        shown[name] = weakest[column].to_numpy()
    shown = shown.round({"peak gold": 6, "at KL": 6, "falls by": 6})
    lines = [
        first,
        "the beta whose mean gold peaks highest along training; what the smallest beta loses after its own peak "
        "(each seed from where the others peak: below 0 where it rises on)",
    ]
    lines.append(shown.to_string(index=False, float_format=lambda value: f"{value:.3g}", na_rep="-"))
    return "\n".join(lines)
