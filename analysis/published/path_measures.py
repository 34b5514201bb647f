"""What claims on two kinds of training are judged by: gold at equal KL along training, and peaks, over strengths."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from analysis.published.claim import UnknownError
from analysis.published.measures import gold_by_seed, mean_difference_at_kl, mean_over_seeds, noise_of, value_at_kl
from analysis.records.load import without_diverged
from analysis.records.number_format import number
from analysis.statistics.intervals import Estimate


def of_strengths(rows: pd.DataFrame) -> dict[float, pd.DataFrame]:
    """The rows of runs at each strength; -1 stands for an objective without one."""
    return {float(beta): some for beta, some in without_diverged(rows).fillna({"beta": -1.0}).groupby("beta")}


def gap_by_seed(a: pd.DataFrame, b: pd.DataFrame) -> tuple[pd.Series, float]:
    """Gold of a less that of b at equal KL, a mean over KL and then over strengths, by seed; and how far KL goes.

    How far: at the strength at which that is most. Raises UnknownError where they share no strength.
    """
    of_a, of_b = of_strengths(a), of_strengths(b)
    shared = [beta for beta in of_a if beta in of_b]
    if not shared:
        raise UnknownError("they have no strength in common")
    found = {beta: mean_difference_at_kl(of_a[beta], of_b[beta]) for beta in shared}
    table = pd.DataFrame({beta: gaps for beta, (gaps, _) in found.items()}).dropna()
    if table.empty:
        raise UnknownError("no seed is there at every strength")
    return table.mean(axis=1), max(reach for _, reach in found.values())


def gap(a: pd.DataFrame, b: pd.DataFrame) -> Estimate:
    """The mean over seeds of gold of a less that of b at equal KL, a mean over KL and strengths."""
    return mean_over_seeds(gap_by_seed(a, b)[0], noise_of(a, b))


def gap_note(groups: Mapping[str, tuple[pd.DataFrame, pd.DataFrame]]) -> str:
    """How far KL goes in comparisons, by their names."""
    reach = {name: gap_by_seed(a, b)[1] for name, (a, b) in groups.items()}
    return f"compared up to {', '.join(f'{number(kl, 2)} nats ({name})' for name, kl in reach.items())}"


def gold_by_strength(rows: pd.DataFrame) -> pd.DataFrame:
    """Gold, a row a seed and a column a strength and step, of seeds that are there at every strength.

    Raises UnknownError for fewer than two of them.
    """
    tables = [gold_by_seed(some).add_prefix(f"{beta:g} ") for beta, some in of_strengths(rows).items()]
    table = pd.concat(tables, axis=1).dropna()
    if len(table) < 2:
        raise UnknownError("fewer than two seeds are there at every strength")
    return table


def rank_correlation(x: np.ndarray, y: np.ndarray) -> float:
    """Spearman's correlation of two rows; NaN where one does not vary."""
    ranks = pd.DataFrame({"x": x, "y": y}).rank()
    if ranks.nunique().min() < 2:
        return float("nan")
    return float(ranks.corr().iloc[0, 1])


def rank_step(count: int) -> float:
    """The least step of Spearman's correlation of so many ranks without ties; 1 for fewer than three."""
    return 12 / (count**3 - count) if count > 2 else 1.0


def levels_at_kl(groups: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Gold of each group at the same KL, a mean over KL and then over strengths, a row a seed and a column a group.

    KL goes from 0 to where all seeds of all groups get, at each strength that all have. Raises UnknownError where they
    share no strength, or no seed.
    """
    each = {name: of_strengths(rows) for name, rows in groups.items()}
    shared = [beta for beta in next(iter(each.values())) if all(beta in strengths for strengths in each.values())]
    if not shared:
        raise UnknownError("they have no strength in common")
    tables = []
    for beta in shared:
        paths = {name: dict(iter(strengths[beta].groupby("seed"))) for name, strengths in each.items()}
        reach = min(float(path["kl"].max()) for seeds in paths.values() for path in seeds.values())
        grid = np.linspace(0.0, reach, 102)[1:]
        levels = {
            name: {seed: float(np.nanmean(value_at_kl(path, grid))) for seed, path in seeds.items()}
            for name, seeds in paths.items()
        }
        tables.append(pd.DataFrame(levels).dropna())
    means = pd.concat(tables).groupby(level=0).agg(["mean", "count"])
    whole = means.xs("count", axis=1, level=1).eq(len(shared)).all(axis=1)
    if not whole.any():
        raise UnknownError("no seed is there at every strength")
    return means.xs("mean", axis=1, level=1)[whole]
