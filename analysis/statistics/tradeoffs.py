"""What a trade-off is worth in numbers: its regret to the oracle, its peak, the fall after it, the price of gold.

All are of the mean curve over draws, gold at each KL (see analysis/statistics/frontier.py), from the reference as far
as every replicate reaches:

    regret         the area between the oracle frontier and the curve, in deviations of gold times nats
    gap, gap_kl    the largest distance below the oracle, and where it is
    peak_kl, peak_gold  where gold is highest
    fall           gold at the peak less gold at the end
    price          KL at the peak for each deviation of gold gained there, in nats

Where a maximum lies is known no better than the spacing of the points of a sweep allows, so the intervals of peak_kl
and gap_kl are wider by half of it on either side, and that of price accordingly. A maximum of a mean over few draws is
too high by about as much as a maximum over a resample exceeds it, so peak_gold, fall and gap are corrected for the bias
that the bootstrap shows (Efron & Tibshirani 1993, Sec. 10.6). Where gold was measured on samples, the noise that draws
share moves whole curves; it is counted as moving gold everywhere at once.

Shapes: S draws, G points of KL, B resamples.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from analysis.records.checks import checked
from analysis.records.load import further_axes, oracle_rows, trained_rows, variants
from analysis.statistics.frontier import Names, as_names, check_above_zero, families_of
from analysis.statistics.interpolation import distinct_points
from analysis.statistics.intervals import NORMAL, resamples, spread_of, student_half
from analysis.statistics.peaks import curve_settings, training_curves
from analysis.statistics.tradeoff_curves import Curves, curves_at, reach_of

FINE = 301  # points of KL
RESAMPLED = 200  # that are drawn
MEASURES = ("regret", "gap", "gap_kl", "peak_kl", "peak_gold", "fall", "price")
BOUNDED = ("gap_kl", "peak_kl", "price", "regret", "gap")  # that are not below 0
MAXIMA = ("peak_gold", "fall", "gap")  # that few draws make too large

Array = np.ndarray


def oracle_at(curves: pd.DataFrame, kl: Array, at: Mapping[str, Any] | None = None) -> Array:
    """The most gold that any policy has at each `kl` [G]; NaN where it is not known, or there are several worlds.

    at: settings of the world, of those that the oracles' rows have.
    """
    best = oracle_rows(curves)
    for name, value in (at or {}).items():
        if name in best and name not in ("beta", "loss", "method") and best[name].notna().any():
            best = best[best[name].isna() | (best[name] == value)]
    if best.empty or best["beta"].duplicated().any():
        return np.full(len(kl), np.nan)
    from scipy.interpolate import PchipInterpolator  # few figures need it, and it takes long to import

    known = best.groupby("kl")["gold"].max()
    known = known[known.index > 1e-9]
    points, most = distinct_points(known.index.to_numpy(float), known.to_numpy(float))
    curve = PchipInterpolator(np.sqrt([0.0, *points]), [0.0, *most])
    return curve(np.sqrt(np.minimum(kl, points[-1])))


def measures(kl: Array, gold: Array, best: Array) -> dict[str, Array]:
    """The numbers of the module, [B] each, of curves gold [B, G] at kl [G] below the oracle best [G]."""
    rows = np.arange(len(gold))
    gap, top = best - gold, gold.argmax(axis=1)
    widest = np.where(np.isfinite(gap), gap, -np.inf).argmax(axis=1)
    known = np.isfinite(best).all()
    peak_gold, peak_kl = gold[rows, top], kl[top]
    return {
        "regret": np.trapezoid(gap, kl, axis=1),
        "gap": gap[rows, widest],
        "gap_kl": kl[widest] if known else np.full(len(gold), np.nan),
        "peak_kl": peak_kl,
        "peak_gold": peak_gold,
        "fall": peak_gold - gold[:, -1],
        "price": np.where(peak_gold > 0, peak_kl / np.where(peak_gold > 0, peak_gold, 1.0), np.nan),
    }


def shared_noise(found: Curves) -> dict[str, float]:
    """What the measurement's noise, counted as common to all KL, does to each of the numbers."""
    noise = float(np.sqrt((found.noise**2).mean())) if len(found.noise) else 0.0
    moved = {"regret": noise * float(np.ptp(found.kl)), "gap": noise, "peak_gold": noise, "fall": np.sqrt(2) * noise}
    return {name: moved.get(name, 0.0) for name in MEASURES}  # a shift moves no peak


def tradeoffs(
    curves: pd.DataFrame,
    by: Names = "loss",
    *,
    along: str = "beta",
    pool: Names = (),
    upto: float | None = None,
    rng: np.random.Generator | None = None,
) -> pd.DataFrame:
    """The numbers of the module for each value of `by`: NAME, NAME_low, NAME_high, and reach and seeds.

    by, along, pool: as in `frontier`; whatever else varies has rows of its own. Each row reaches as far as its own
    curves do (reach, nats). upto: no farther than this KL, so that areas and falls of different rows can be compared.
    Intervals have 95 % and are NaN for one draw of seeds. Regret and gap are NaN where no oracle is known, or where
    several worlds are pooled. rng: for the bootstrap, the same numbers every time unless given. Raises ValueError for
    what is no setting, and ResultsError for rows that cannot belong together.
    """
    check_above_zero(upto=upto)
    curves = checked(curves)
    families = families_of(curves, by, along, pool)
    apart, rows = list(families.distinguishing), []
    for value, points in families.each:
        reach = reach_of(points, apart)
        reach = reach if upto is None else min(reach, upto)
        found = curves_at(points, apart, np.linspace(0.0, reach, FINE))
        at: dict[str, Any] = dict(zip(apart, value, strict=True))
        best = oracle_at(curves, found.kl, at)
        rows.append(at | {"seeds": len(found.draws), "reach": reach} | row_of(found, best, rng))
    names = [name for measure in MEASURES for name in (measure, f"{measure}_low", f"{measure}_high")]
    pooled = {"pooled": families.pooled} if families.pooled else {}
    return pd.DataFrame(rows, columns=[*apart, "seeds", "reach", *names]).assign(**pooled)


def between(name: str, found: Curves, value: dict[str, Array]) -> float:
    """What an interval is wider by since points lie apart."""
    if name == "gap_kl":
        return found.spacing(float(value["gap_kl"][0])) / 2 if np.isfinite(value["gap_kl"][0]) else 0.0
    if name not in ("peak_kl", "price"):
        return 0.0
    half, gold = found.spacing(float(value["peak_kl"][0])) / 2, float(value["peak_gold"][0])
    return half if name == "peak_kl" else half / gold if gold > 0 else 0.0


def row_of(found: Curves, best: Array, rng: np.random.Generator | None) -> dict[str, float]:
    """The numbers of one family with their intervals."""
    count = len(found.gold)
    value = measures(found.kl, found.mean[None], best)
    resampled = measures(found.kl, resamples(count, rng) @ found.gold, best)
    noise, row = shared_noise(found), dict[str, float]()
    for name in MEASURES:
        at, spread = float(value[name][0]), float(spread_of(resampled[name], count))
        if name in MAXIMA and count > 1:
            at -= (float(resampled[name].mean()) - at) * count / (count - 1)
        half = float(np.hypot(student_half(np.array(spread), count - 1), NORMAL * noise[name])) + between(
            name, found, value
        )
        low, high = at - half, at + half
        if name in BOUNDED:
            low, high = max(low, 0.0), min(high, float(found.kl[-1])) if name.endswith("_kl") else high
        row |= {name: at, f"{name}_low": low, f"{name}_high": high}
    return row


def pareto_front(curves: pd.DataFrame, by: Names = "loss", *, rng: np.random.Generator | None = None) -> pd.DataFrame:
    """Which settings and checkpoints are worth having: none other has as much gold for less KL, or more for as little.

    Points are means over seeds of every checkpoint, as `training_curves` gives them, of which the reference is there
    once. Columns: theirs, front (whether the point is on the front of its value of `by` and of each further axis),
    overall (whether it is on that of all), and share: how often it is on the front of all when seeds are resampled
    whole; NaN with one seed. Raises ValueError for what is no setting.
    """
    names, curves = as_names(by), checked(curves)
    curves = variants(curves) if "loss" in names else curves
    points = training_curves(curves)
    points = points[~(points.duplicated("step") & (points["step"] == 0))].reset_index(drop=True)
    for name in names:
        if name not in points:
            raise ValueError(f"by = {name!r}: must be a column of the points: {', '.join(points)}")
    apart = [*names, *(name for name in further_axes(curves) if name not in names)]
    front = pd.Series(False, index=points.index)
    for _, some in points.groupby(apart, dropna=False):
        front[some.index] = undominated(some["kl"].to_numpy(float), some["gold"].to_numpy(float))
    overall = undominated(points["kl"].to_numpy(float), points["gold"].to_numpy(float))
    return points.assign(front=front, overall=overall, share=shares(curves, points, rng))


def shares(curves: pd.DataFrame, points: pd.DataFrame, rng: np.random.Generator | None) -> Array:
    """How often each of the points is on the front of all, over bootstrap samples of seeds; NaN with one seed."""
    by = [*curve_settings(curves), "step"]
    rows = trained_rows(curves)
    seeds = list(pd.unique(rows["seed"]))
    if len(seeds) < 2:
        return np.full(len(points), np.nan)
    place = points[by].reset_index(names="place")
    found = rows[[*by, "seed", "kl", "gold"]].merge(place, on=by)
    where = found["place"].to_numpy(), found["seed"].map({seed: i for i, seed in enumerate(seeds)}).to_numpy()
    values = np.zeros((3, len(points), len(seeds)))
    for i, column in enumerate((found["kl"], found["gold"], 1.0)):
        values[(i, *where)] = column
    times = []
    for weights in resamples(len(seeds), rng, RESAMPLED):
        kl, gold, there = values @ weights
        known = there > 0
        on = np.zeros(len(points), dtype=bool)
        on[known] = undominated(kl[known] / there[known], gold[known] / there[known])
        times.append(on)
    return np.mean(times, axis=0)


def undominated(kl: Array, gold: Array) -> Array:
    """Which points [n] have more gold than every other point with as little KL; the first of equal ones."""
    order = np.lexsort((-gold, kl))
    best = np.maximum.accumulate(np.concatenate([[-np.inf], gold[order][:-1]])) if len(order) else gold
    found = np.zeros(len(kl), dtype=bool)
    found[order] = gold[order] > best
    return found
