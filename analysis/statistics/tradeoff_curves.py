"""Gold as a curve over KL: one for each replicate, a seed of a world, interpolated in the square root of KL."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from analysis.records.about import settings_of
from analysis.records.checks import checked
from analysis.records.load import final_rows, tradeoff_rows, without_diverged
from analysis.statistics.interpolation import interpolate_each
from analysis.statistics.intervals import NORMAL, over_seeds, resamples, spread_of, student_half
from analysis.statistics.peaks import curve_settings

Array = np.ndarray

ALONG = ("beta", "training")

POINTS = 101


DRAW_COLUMNS = ("seed", "world_seed", "gold_seed")


@dataclass(frozen=True, kw_only=True)
class Curves:
    """Gold [N, G] of each replicate at common KL [G], in deviations under the reference; no NaN.

    names [N]: of the replicates, the draw and the other settings of each. noise [G]: the standard error that measuring
    gave to gold, 0 where it is exact. points: the KL at which each replicate was measured, rising from 0.
    """

    kl: Array
    each: Array
    names: tuple[tuple[Any, Any], ...]
    noise: Array
    points: tuple[Array, ...]

    @property
    def draws(self) -> tuple[Any, ...]:
        """The draws that there are, [S]."""
        return tuple(dict.fromkeys(draw for draw, _ in self.names))

    @property
    def gold(self) -> Array:
        """Gold of each draw, [S, G], a mean over its replicates."""
        return by_draw(self.each, [draw for draw, _ in self.names])

    def spacing(self, kl: float) -> float:
        """How far apart the points on both sides of `kl` lie, a mean over replicates."""
        after = [np.clip(np.searchsorted(known, kl), 1, len(known) - 1) for known in self.points]
        return float(np.mean([known[i] - known[i - 1] for known, i in zip(self.points, after, strict=True)]))

    @property
    def mean(self) -> Array:
        """The mean over draws, [G]."""
        return self.gold.mean(axis=0)

    def band(self, rng: np.random.Generator | None = None) -> tuple[Array, Array]:
        """The interval of the mean at each KL, [G] each."""
        count = len(self.gold)
        error = spread_of(resamples(count, rng) @ self.gold, count)
        half = np.hypot(student_half(error, count - 1), NORMAL * self.noise)
        return self.mean - half, self.mean + half


def places_of(names: Sequence[Any]) -> dict[Any, int]:
    """The place of each name, of the first where one is there twice."""
    return {name: place for place, name in reversed(list(enumerate(names)))}


def by_draw(values: Array, draws: Sequence[Any]) -> Array:
    """The mean of values [N, G] over those of each draw [N], [S, G] in the order in which draws come."""
    place = {draw: i for i, draw in enumerate(dict.fromkeys(draws))}
    rows = np.array([place[draw] for draw in draws], dtype=int)
    summed = np.zeros((len(place), values.shape[1]))
    np.add.at(summed, rows, values)
    return summed / np.bincount(rows, minlength=len(place))[:, None]


@dataclass(frozen=True, kw_only=True)
class Replicate:
    """The points of one replicate by rising KL, [n] each: kl, gold, and the standard error of gold.

    name: its draw, and its other settings.
    """

    name: tuple[Any, Any]
    kl: Array
    gold: Array
    error: Array


def gold_at(points: pd.DataFrame, kl: Array) -> Array:
    """Gold at each `kl` on the curve through the reference and `points` (columns kl, gold); NaN beyond them."""
    return interpolate_each([(points["kl"].to_numpy(float), points["gold"].to_numpy(float))], kl)[0]


def end_points(curves: pd.DataFrame) -> pd.DataFrame:
    """KL and gold at the end of training for each loss, beta and further axis: means over seeds with intervals."""
    curves = checked(curves)
    return over_seeds(final_rows(curves), curve_settings(curves), ["kl", "gold"])


def points_of(curves: pd.DataFrame, along: str) -> pd.DataFrame:
    """The rows that trade-offs consist of, across beta or along training."""
    if along not in ALONG:
        raise ValueError(f"along = {along!r}: must be one of {', '.join(ALONG)}")
    if along == "beta":
        return tradeoff_rows(curves)
    rows = without_diverged(curves).sort_values("step", kind="stable")
    return rows[rows["kl"] >= rows.groupby("run_id")["kl"].cummax()]


def combinations(points: pd.DataFrame, names: Sequence[str]) -> Array:
    """The number of each row's combination of values of `names`, [N], as they come; empty is a value, too."""
    number = np.zeros(len(points), dtype=np.int64)
    for name in names:
        codes = pd.factorize(points[name], use_na_sentinel=False)[0]
        if codes.any():
            number = pd.factorize(number * (codes.max() + 1) + codes)[0]
    return number


def replicates_of(points: pd.DataFrame, by: Sequence[str]) -> list[Replicate]:
    """The replicates of one family; `by` are the settings that tell families apart."""
    apart = within_family(points, by)
    drawn = [name for name in DRAW_COLUMNS if name in points]
    number = combinations(points, apart)
    kl, gold = (points[name].to_numpy(float) for name in ("kl", "gold"))
    error = points["gold_se"].fillna(0.0).to_numpy(float) if "gold_se" in points else np.zeros(len(points))
    order = np.lexsort((kl, number))
    first = np.unique(number[order], return_index=True)[1]
    head = points.iloc[order[first]]
    others = [name for name in apart if name not in ("method", *drawn)]  # of one method, or of labels beside it
    draws, rest = (list(map(tuple, head[some].astype(object).fillna("").to_numpy())) for some in (drawn, others))
    parts = [np.split(values[order], first[1:]) for values in (kl, gold, error)]
    return [
        Replicate(name=name, kl=kl, gold=gold, error=error)
        for name, kl, gold, error in zip(zip(draws, rest, strict=True), *parts, strict=True)
    ]


def within_family(points: pd.DataFrame, by: Sequence[str]) -> list[str]:
    """The settings that tell the replicates of one family apart; `by` are those that tell families apart."""
    return [name for name in settings_of(points) if name not in ("beta", "kappa", *by)]


def reach_of(points: pd.DataFrame, by: Sequence[str]) -> float:
    """The KL that every replicate reaches."""
    number = combinations(points, within_family(points, by))
    reach = np.full(number.max(initial=-1) + 1, -np.inf)
    np.maximum.at(reach, number, points["kl"].to_numpy(float))
    return min(reach.tolist(), default=0.0)


def curves_at(points: pd.DataFrame, by: Sequence[str], kl: Array) -> Curves:
    """The curves of one family at `kl` [G], as far as all of its replicates reach."""
    replicates = replicates_of(points, by)
    gold = interpolate_each([(each.kl, each.gold) for each in replicates], kl)
    reached = np.isfinite(gold).all(axis=0)
    noise = np.array([np.interp(kl[reached], each.kl, each.error) for each in replicates])
    return Curves(
        kl=kl[reached],
        each=gold[:, reached],
        names=tuple(each.name for each in replicates),
        noise=np.sqrt((noise**2).mean(axis=0)),
        points=tuple(np.unique([0.0, *np.maximum(each.kl, 0.0)]) for each in replicates),
    )
