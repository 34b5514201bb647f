"""What a sweep came to, by setting: the peak of gold along training, and how far it falls after it.

A peak that is looked for and measured on the same seeds comes out too high, and so does the fall from it. The
fall is therefore cross-fitted: for each seed, the checkpoint of the peak is the one of the mean curve of all
other seeds, and the fall is what this seed loses from there to its end.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from analysis.intervals import over_seeds
from analysis.results import further_axes, load, trained

CURVE = ("method", "loss", "beta", "kappa")


def curve_settings(curves: pd.DataFrame) -> list[str]:
    """The columns that tell the curves of a sweep apart, seeds aside."""
    return [*CURVE, *further_axes(curves)]


def training_curves(curves: pd.DataFrame) -> pd.DataFrame:
    """Mean over seeds, with intervals, at every checkpoint of each loss, beta and further axis.

    Columns: the settings, step, seeds, and kl, gold, mu_squared each with _low, _high and _se. A checkpoint
    that some seed did not reach, since it diverged, is left out.
    """
    by = curve_settings(curves)
    means = over_seeds(trained(curves), [*by, "step"], ["kl", "gold", "mu_squared"])
    runs = curves[curves["method"] != "oracle"].groupby(by, dropna=False)["run_id"].nunique().rename("runs")
    means = means.merge(runs.reset_index(), on=by)
    return means[means["seeds"] == means["runs"]].drop(columns="runs").reset_index(drop=True)


def falls(gold: np.ndarray) -> np.ndarray:
    """What each seed loses from the peak that the other seeds show to its end, [S], for gold [S, checkpoints]."""
    seeds = len(gold)
    others = (gold.sum(axis=0) - gold) / (seeds - 1) if seeds > 1 else gold
    return gold[np.arange(seeds), others.argmax(axis=1)] - gold[:, -1]


def peaks(curves: pd.DataFrame) -> pd.DataFrame:
    """For each loss, beta and further axis: where the mean curve peaks, where it ends, and the fall between.

    Columns: the settings, seeds, peak_step, peak_kl, peak_gold, end_kl, end_gold, and fall (cross-fitted) with
    fall_low, fall_high and its standard error fall_se.
    """
    by = curve_settings(curves)
    rows, each_fall = [], []
    for setting, mean in training_curves(curves).groupby(by, dropna=False, sort=False):
        named = dict(zip(by, setting, strict=True))
        top, last = mean.loc[mean["gold"].idxmax()], mean.loc[mean["step"].idxmax()]
        named |= {f"peak_{name}": top[name] for name in ("step", "kl", "gold")}
        rows.append(named | {f"end_{name}": last[name] for name in ("kl", "gold")})
    for setting, runs in trained(curves).groupby(by, dropna=False):
        gold = runs.pivot(index="seed", columns="step", values="gold").dropna(axis="columns").to_numpy()
        named = dict(zip(by, setting, strict=True))
        each_fall += [named | {"fall": fall} for fall in falls(gold)]
    summary = pd.DataFrame(rows).astype({"peak_step": "int64"})
    return summary.merge(over_seeds(pd.DataFrame(each_fall), by, ["fall"]), on=by)


def text(folder: str | Path) -> str:
    """What a result directory came to, for a terminal: how its runs ended, and the best of each loss."""
    curves = load(folder)
    runs = curves[curves["method"] != "oracle"].groupby("run_id")["status"].agg(lambda s: (s == "diverged").any())
    lines = [f"{len(runs)} runs, {int(runs.sum())} of them diverged"]
    if trained(curves).empty:
        return lines[0]
    apart = [name for name in curve_settings(curves) if name not in ("method", "kappa", "beta")]
    table = peaks(curves)
    groups = table.groupby(apart, sort=False, dropna=False)
    best, weakest = table.loc[groups["peak_gold"].idxmax()], table.loc[groups["beta"].idxmin()]
    shown = best[[*apart, "beta", "peak_gold", "peak_kl"]].set_axis([*apart, "best beta", "peak gold", "at KL"], axis=1)
    for column, name in (("beta", "weakest beta"), ("fall", "falls by"), ("fall_se", "se")):
        shown[name] = weakest[column].to_numpy()
    lines.append(
        "along training: the beta whose mean gold peaks highest, and what the smallest beta loses after its peak"
    )
    lines.append(shown.to_string(index=False, float_format=lambda value: f"{value:.3g}", na_rep="-"))
    return "\n".join(lines)
