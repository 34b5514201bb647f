"""Does kappa align the losses? KL over beta, and over beta kappa, compared with kappa given to other losses.

Losses with equal beta kappa should act alike (analysis/theory/population_links.py). The spread between losses, of
KL at the end of training or of the best beta, is therefore taken at equal beta and at equal beta kappa: over one range
of numbers, which is that of beta on the one side and that of beta kappa on the other. What kappa removes of it may be
chance, or a trait of the range, so the same is asked of every other way to give these kappa to these losses: the null
hypothesis is that kappa says nothing of which loss it belongs to. The removed share has to exceed that of all but one
in twenty of them.

Shapes: m losses, S draws, n betas, G points, v different kappa, N assignments of kappa to losses.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.records.checks import checked
from analysis.records.load import final_rows, further_axes, variants
from analysis.statistics.intervals import Estimate, resamples, spread_of
from analysis.statistics.tradeoff_curves import DRAW_COLUMNS

POINTS = 101
RESAMPLED = 400
ALPHA = 0.05
MOST = 50_000  # assignments that are all tried; of more, this many at random
CHUNK = 64  # assignments at once, which the processor's cache holds

Array = np.ndarray


@dataclass(frozen=True, kw_only=True)
class Shift:
    """What goes of a spread between losses when beta is replaced by beta kappa.

    before, after: the standard deviation over losses at equal beta, and at equal beta kappa, of logarithms. removed:
    1 - after / before: 1 where kappa explains all of it, 0 where it explains nothing, below 0 where it adds to it.
    excess: removed less what the best one in twenty of the other assignments of kappa removes at least; above 0 where
    kappa is better than chance at 5 %. p: the share of all assignments, the true one included, that remove as much.
    """

    before: float
    after: float
    removed: Estimate
    excess: Estimate
    p: float


@dataclass(frozen=True, kw_only=True)
class Collapse:
    """How far losses agree over beta, and over beta kappa."""

    kl: Shift  # of log KL at the end of training, a mean over the range low to high
    best: Shift  # of the log of the best beta, and of its product with kappa
    low: float  # of beta, and of beta kappa
    high: float
    losses: tuple[str, ...]  # those with a positive kappa; hinge, which has 0, cannot be aligned
    assignments: int  # the different ways to give these kappa to these losses
    too_few_reason: str  # why they are too few to test against, empty where they are enough
    best_beta: dict[str, float]
    bootstrap_share: dict[str, float]  # of bootstrap samples with this best beta of the ladder
    at_sweep_edge: tuple[str, ...]  # losses whose best beta is the smallest or largest, and may lie beyond

    @property
    def kl_removed(self) -> Estimate:
        """The share of the spread of log KL that kappa removes."""
        return self.kl.removed

    @property
    def best_removed(self) -> Estimate:
        """The share of the spread of the best beta that kappa removes."""
        return self.best.removed


def by_draw(curves: pd.DataFrame) -> tuple[dict[str, dict[str, Array]], dict[str, float], Array]:
    """log KL and gold at the end of training of each loss with a positive kappa, [S, n] each, kappa, and log beta [n].

    Draws and betas are those that every such loss has. Raises ValueError where fewer than two losses or betas are left,
    or something else varies.
    """
    last = variants(final_rows(checked(curves)))
    last = last[(last["method"] == "gpo") & (last["kappa"] > 0) & last["beta"].notna() & (last["kl"] > 0)]
    if others := [name for name in further_axes(last) if name not in DRAW_COLUMNS]:
        raise ValueError(f"the curves vary in {', '.join(others)}, too; take those of one value")
    last = last.assign(
        log_kl=np.log(last["kl"]), draw=list(map(tuple, last[[n for n in DRAW_COLUMNS if n in last]].to_numpy()))
    )
    tables = {
        str(loss): {name: rows.pivot(index="draw", columns="beta", values=name) for name in ("log_kl", "gold")}
        for loss, rows in last.groupby("loss", sort=False)
    }
    kappas = {str(loss): float(rows["kappa"].iloc[0]) for loss, rows in last.groupby("loss", sort=False)}
    if len(set(kappas.values())) < 2:
        raise ValueError("the curves have no two losses whose kappa differ and are above 0, so nothing can be aligned")
    whole = [table["log_kl"].dropna() for table in tables.values()]
    draws = [draw for draw in whole[0].index if all(draw in table.index for table in whole)]
    betas = [beta for beta in whole[0].columns if all(beta in table.columns for table in whole)]
    if len(betas) < 2 or not draws:
        raise ValueError("the losses have fewer than two betas, or no seed, in common, so nothing can be aligned")
    found = {
        loss: {name: table.loc[draws, betas].to_numpy(float) for name, table in both.items()}
        for loss, both in tables.items()
    }
    return found, kappas, np.log(np.array(betas, dtype=float))


def kappa_collapse(curves: pd.DataFrame, rng: np.random.Generator | None = None) -> Collapse:
    """How much of the spread between losses goes when beta is replaced by beta kappa; see Collapse.

    Intervals are over draws: of `removed` by bootstrap, of `excess` by jackknife. rng: for the bootstrap, the same
    numbers every time unless given. Raises ValueError where the curves have no two losses with different kappa above 0,
    or vary in something else.
    """
    found, kappas, x = by_draw(curves)
    shifts = np.log(np.array([kappas[loss] for loss in found]))
    low, high = max(x[0], x[0] + shifts.max()), min(x[-1], x[-1] + shifts.min())
    if not high > low:
        raise ValueError("the ranges of beta and of beta kappa have nothing in common; sweep more betas")
    grid = np.linspace(low, high, POINTS)
    kl, gold = (np.stack([each[name] for each in found.values()]) for name in ("log_kl", "gold"))  # [m, S, n]
    levels, true = np.unique(shifts, return_inverse=True)
    others = assignments(true)

    def kl_spreads(weights: Array, given: Array) -> tuple[float, Array]:
        """The spread of log KL at equal beta, and at the beta kappa of each of the assignments [N, m], [N]."""
        curves_of_kl = [weights @ table for table in kl]
        plain = np.stack([np.interp(grid, x, curve) for curve in curves_of_kl])
        moved = np.stack([[np.interp(grid, x + shift, curve) for shift in levels] for curve in curves_of_kl])
        return float(spread(plain[:, None])[0]), each_spread(moved, given)

    def best_spreads(weights: Array, given: Array) -> tuple[float, Array]:
        """The same of the best beta."""
        best = np.array([best_at(x, weights @ table) for table in gold])
        return float(best.std(ddof=1)), (best + levels[given]).std(axis=1, ddof=1)

    count = kl.shape[1]
    even = np.full(count, 1 / count)
    best = np.array([best_at(x, even @ table) for table in gold])
    places = [(resamples(count, rng, RESAMPLED) @ table).argmax(axis=1) for table in gold] if count > 1 else []
    top = [int((even @ table).argmax()) for table in gold]
    return Collapse(
        kl=shift_of(kl_spreads, true, others, count, rng),
        best=shift_of(best_spreads, true, others, count, rng),
        low=float(np.exp(low)),
        high=float(np.exp(high)),
        losses=tuple(found),
        assignments=len(others),
        too_few_reason=too_few(len(others)),
        best_beta={loss: float(np.exp(at)) for loss, at in zip(found, best, strict=True)},
        bootstrap_share={
            loss: float((places[i] == top[i]).mean()) if places else math.nan for i, loss in enumerate(found)
        },
        at_sweep_edge=tuple(loss for loss, at in zip(found, best, strict=True) if at in (x[0], x[-1])),
    )


def too_few(assignments: int) -> str:
    """What is missing for a test at ALPHA; nothing where so many assignments are enough."""
    need = math.ceil(1 / ALPHA)
    if assignments >= need:
        return ""
    return (
        f"there are {assignments} ways to give these kappa to these losses, and a test at 5 % needs {need}: add "
        "losses with other kappa, such as conservative_dpo and robust_dpo"
    )


def shift_of(
    spreads: Callable[[Array, Array], tuple[float, Array]],
    true: Array,
    others: Array,
    count: int,
    rng: np.random.Generator | None,
) -> Shift:
    """What kappa removes of spreads.

    spreads: from weights [S] of draws and assignments [N, m] to the spread before, and those after, [N]. true [m]: the
    assignment that is right; others [N, m]: all, that one included.
    """
    even = np.full(count, 1 / count)
    before, every = spreads(even, others)
    after = float(spreads(even, true[None])[1][0])
    share, value = float(removed_by(before, after)), excess_of(before, after, every)
    error = jackknife = math.nan
    if count > 1:
        drawn = [spreads(weights, true[None]) for weights in resamples(count, rng, RESAMPLED)]
        left_out = [(weights, spreads(weights, true[None])) for weights in (1 - np.eye(count)) / (count - 1)]
        error = float(spread_of(np.array([removed_by(first, last[0]) for first, last in drawn]), count))
        left = np.array([excess_of(first, last[0], spreads(weights, others)[1]) for weights, (first, last) in left_out])
        jackknife = math.sqrt((count - 1) / count * ((left - left.mean()) ** 2).sum())
    bounds = (-math.inf, 1.0)
    return Shift(
        before=before,
        after=after,
        removed=Estimate(value=share, error=error, degrees_of_freedom=count - 1, bounds=bounds),
        excess=Estimate(value=value, error=jackknife, degrees_of_freedom=count - 1),
        p=float((every <= after * (1 + 1e-9)).mean()),
    )


def excess_of(before: float, after: float, every: Array) -> float:
    """What kappa removes of a spread beyond what one in twenty of the others, with spreads [N], remove at least."""
    rank = max(1, int(ALPHA * len(every)))
    others = np.sort(np.delete(every, np.abs(every - after).argmin()))  # without the true one
    return float(removed_by(before, after) - removed_by(before, others[min(rank, len(others)) - 1]))


def assignments(true: Array) -> Array:
    """The different orders of the numbers in `true` [m], as [N, m]: all of them, or MOST of them at random."""
    counts = Counter(true.tolist())
    ways = math.factorial(len(true)) // math.prod(math.factorial(times) for times in counts.values())
    if ways <= MOST:
        return np.array(list(distinct_orders(counts, len(true))), dtype=int)
    drawn = np.random.default_rng(0).permuted(np.tile(true, (MOST - 1, 1)), axis=1)
    return np.concatenate([true[None], drawn])


def distinct_orders(counts: Counter[int], length: int) -> Iterator[tuple[int, ...]]:
    """Every different order of numbers that come so often."""
    if not length:
        yield ()
        return
    for value in sorted(counts):
        if counts[value]:
            counts[value] -= 1
            for rest in distinct_orders(counts, length - 1):
                yield (value, *rest)
            counts[value] += 1


def placed(moved: Array, given: Array) -> Array:
    """Curves [m, N, G] of which each loss is moved by the kappa that it is given [N, m], for moved [m, v, G]."""
    return moved[np.arange(len(moved))[:, None], given.T]


def spread(curves: Array) -> Array:
    """The standard deviation over losses of curves [m, N, G], as a mean over the range, [N]."""
    return curves.std(axis=0, ddof=1).mean(axis=1)


def each_spread(moved: Array, given: Array) -> Array:
    """The spread of every assignment, [N]."""
    parts = [spread(placed(moved, given[first : first + CHUNK])) for first in range(0, len(given), CHUNK)]
    return np.concatenate(parts)


def removed_by(before: Array | float, after: Array | float) -> Array:
    """1 - after / before; 0 where there is nothing to remove."""
    some = np.asarray(before) > 1e-9
    return np.where(some, 1 - after / np.where(some, before, 1.0), 0.0)


def best_at(x: Array, gold: Array) -> float:
    """Where gold [n] at x is highest: the vertex of the parabola through the highest point and its two neighbours."""
    top = int(gold.argmax())
    if top in (0, len(x) - 1):
        return float(x[top])
    bend, slope, _ = np.polyfit(x[top - 1 : top + 2] - x[top], gold[top - 1 : top + 2], 2)
    vertex = -slope / (2 * bend) if bend < 0 else 0.0
    return float(x[top] + vertex)
