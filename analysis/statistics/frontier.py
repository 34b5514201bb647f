"""The trade-off that a family of policies offers: gold at each KL, across beta or along training.

Across beta, the policies of one replicate (a seed, and every setting that is neither beta nor the one compared) at the
end of training are points (KL, gold), one for each beta. Against proxies they are the points of a path: all n of
best-of-n, all tau of Gibbs, the checkpoints of reinforcement learning at its smallest penalty. Along training, the
points of a run are its checkpoints, as far as each goes on from the reference. The reference is the point (0, 0).

Between points gold is interpolated in d = sqrt(KL) by a monotone cubic (Fritsch & Carlson 1980, as in scipy's PCHIP),
which never overshoots them; near the reference gold is linear in d, and not in KL, which is quadratic in any change.
Curves of replicates are averaged at equal KL, as far as all of them reach.

Nothing that varies is averaged over unless that is asked for: each value of a further axis (label noise, the amount of
data, the world) has a family of its own.

What is resampled are draws: runs of the same seed in the same world share their pairs and err together, so their curves
are averaged first. Intervals are those of analysis/statistics/intervals.py, with the root mean square of the standard
errors of gold, where it was measured on samples, as what all draws share.

Shapes: S draws, G points of KL, B resamples.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from analysis.records.about import external_in_place, settings_of
from analysis.records.checks import balanced, checked
from analysis.records.load import further_axes, variants
from analysis.statistics.tradeoff_curves import POINTS, combinations, curves_at, points_of, within_family

Array = np.ndarray
VALUES = ("gold", "gold_equal_length", "fluency", "proxy")  # of which the reference has 0


def check_above_zero(**values: float | None) -> None:
    """Raises ValueError for a value that is there and not above 0."""
    for name, value in values.items():
        if value is not None and not value > 0:
            raise ValueError(f"{name} (={value}) must be above 0")


Names = str | Sequence[str]


@dataclass(frozen=True, kw_only=True)
class Families:
    """The families of policies that curves consist of.

    by: the settings that were asked for. distinguishing: these and all others that vary, which tell families apart.
    each: their values, and the points of every family. pooled: what is averaged over since that was asked for, as text.
    """

    by: tuple[str, ...]
    distinguishing: tuple[str, ...]
    each: tuple[tuple[tuple[Any, ...], pd.DataFrame], ...]
    pooled: str

    @property
    def further(self) -> tuple[str, ...]:
        """The settings that were not asked for and vary, so that they tell families apart, too."""
        return tuple(name for name in self.distinguishing if name not in (*self.by, "beta"))


def as_names(names: Names) -> tuple[str, ...]:
    """One name or several as several."""
    return (names,) if isinstance(names, str) else tuple(names)


def families_of(curves: pd.DataFrame, by: Names, along: str = "beta", pool: Names = ()) -> Families:
    """The families of curves: each combination of values of `by`, and of whatever else varies and is not in `pool`.

    Raises ValueError where one of the names is no setting, or where curves of several methods would be averaged.
    """
    curves, asked, pooled = external_in_place(checked(curves)), as_names(by), as_names(pool)
    named = variants(curves)
    curves = named if {*asked, *pooled} <= {*named} else curves
    for word, names in (("by", asked), ("pool", pooled)):
        wrong = [name for name in names if name not in settings_of(curves)]
        if wrong or not (names or word == "pool"):
            value = repr(wrong[0]) if wrong else "()"
            raise ValueError(f"{word} = {value}: must be a setting of the curves: {', '.join(settings_of(curves))}")
    points = points_of(curves, along)
    for name in asked:
        if len(points) and points[name].isna().all():
            methods_text = ", ".join(points["method"].unique())
            raise ValueError(
                f'by = "{name}": the curves of {methods_text} have none; take by = "method" or another setting'
            )
    labelled = ("external",) if "loss" in asked else ()  # whose labels tell them apart as losses do
    methods = [name for name in points["method"].unique() if name not in labelled]
    if "method" not in asked and len(methods) > 1:
        value = repr(by) if isinstance(by, str) else repr(list(asked))
        raise ValueError(f'by = {value}: the curves are of {", ".join(methods)}; take those of one, or by = "method"')
    further = [name for name in ("loss", *further_axes(points)) if len(points[name].unique()) > 1]
    more = [name for name in further if name not in (*asked, *pooled)]
    by_beta = ["beta"] if along == "training" and "beta" not in asked else []
    there = points[list(asked)].notna().all(axis=1)
    apart = (*asked, *more, *by_beta)
    groups = points[there].groupby(list(apart), sort=False, dropna=False)
    across = along == "beta" and "beta" not in asked
    each = tuple((value, complete_betas(rows, apart) if across else rows) for value, rows in groups)
    return Families(by=asked, distinguishing=apart, each=each, pooled=values_text(points, pooled))


def values_text(points: pd.DataFrame, pooled: Sequence[str]) -> str:
    """What is averaged over, such as `label_noise 0, 0.1`, of the settings in `pooled` that vary."""
    values = {name: sorted(points[name].dropna().unique()) for name in pooled}
    texts = {
        name: ", ".join(f"{value:g}" if isinstance(value, float) else str(value) for value in some)
        for name, some in values.items()
    }
    return "; ".join(f"{name} {texts[name]}" for name, some in values.items() if len(some) > 1)


def complete_betas(points: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """The points of one family across beta at the betas that every replicate has, as few left out as need be.

    A beta at which some seeds diverged would be a mean over the other seeds. Paths, which have no beta of their own at
    each point, are left alone.
    """
    replicate, beta = (combinations(points, names) for names in (within_family(points, by), ["beta"]))
    replicates, betas = (number.max(initial=-1) + 1 for number in (replicate, beta))
    places = len(np.unique(replicate * betas + beta))
    if points["beta"].isna().any() or places < len(points):
        return points
    if places == replicates * betas and points["kl"].notna().all():
        return points
    table = points.assign(replicate=replicate).pivot_table(index="replicate", columns="beta", values="kl")
    if not table.isna().any(axis=None):
        return points
    kept = balanced(table)
    return points[np.isin(replicate, kept.index) & points["beta"].isin(kept.columns)]


def in_place_of_gold(curves: pd.DataFrame, value: str) -> pd.DataFrame:
    """The curves with another column, of which the reference has 0 too, as their gold; rows that have none are left
    out. Raises ValueError.
    """
    if value == "gold":
        return curves
    if value not in VALUES:
        raise ValueError(f"value = {value!r}: must be one of {', '.join(VALUES)}")
    if value not in curves or curves[value].isna().all():
        raise ValueError(
            f'value = "{value}": the curves have none; gold_equal_length is there where responses are listed and may '
            "end early"
        )
    error = curves.get(f"{value}_se", 0.0)
    there = curves[value].notna() | (curves["status"] == "diverged")
    return curves.assign(gold=curves[value], gold_se=error)[there]


def frontier(
    curves: pd.DataFrame,
    by: Names = "loss",
    *,
    value: str = "gold",
    along: str = "beta",
    pool: Names = (),
    rng: np.random.Generator | None = None,
) -> pd.DataFrame:
    """Gold along KL for each value of `by`, one column or several.

    Columns: `by`, kl, gold, low, high, replicates, seeds.
    Whatever else varies over the curves tells them apart, too, and has a column; nothing is averaged over but the
    settings in `pool`, which the column `pooled` then names. `low` and `high` bound the mean with 95 % confidence and
    are NaN where there is only one draw of seeds. `curves` is what `load` returns; runs that diverged are left out, and
    across beta so is a beta that not every seed has a point at, so that all `seeds` enter at every KL. Losses are told
    apart by the settings that only some of them have, as `variants` does. along: "beta", or "training", where each beta
    has a curve of its own and a column. value: the column that stands in gold's place, by its own name, such as
    "gold_equal_length", gold at the reference's lengths. rng: for the bootstrap, the same numbers every time unless
    given. Raises ValueError for what is no setting, and ResultsError for rows that cannot belong together.
    """
    families = families_of(in_place_of_gold(curves, value), by, along, pool)
    apart, names = list(families.distinguishing), ["kl", "gold", "low", "high", "replicates", "seeds"]
    tables = []
    farthest = max((float(points["kl"].max()) for _, points in families.each), default=0.0)
    for family, points in families.each:
        found = curves_at(points, apart, np.linspace(0.0, farthest, POINTS))
        low, high = found.band(rng)
        columns: dict[str, Any] = dict(zip(apart, family, strict=True))
        columns |= {"kl": found.kl, "gold": found.mean, "low": low, "high": high}
        tables.append(pd.DataFrame(columns | {"replicates": len(found.points), "seeds": len(found.draws)}))
    pooled = {"pooled": families.pooled} if families.pooled else {}
    table = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=[*apart, *names])
    return table[[*apart, *names]].rename(columns={"gold": value}).assign(**pooled)
