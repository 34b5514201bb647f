"""The most gold along the penalty, for each law of a proxy's error and each divergence from the reference.

A path goes from the reference, which has gold 0, over falling tau to the smallest. Its peak is cross-fitted over seeds
(analysis/statistics/peaks.py), and the reference may be it: a proxy of which no tau gains gold has a peak of 0. Seeds
draw the errors, which are the same for all divergences, so differences between divergences are paired; their standard
errors are those of the jackknife over seeds.

With D divergences and L laws, a difference is sure where its interval lies beyond SHOWN:

    better    the best divergence of a law has surely more gold than KL, with Bonferroni's correction over the D - 1
              that could have been the best, and over the L laws, of which those with a better one are listed
    alike     all divergences surely lie within SIMILAR of KL, with the same correction
    behind    a divergence has surely less gold than the best of a law, corrected for all pairs of all laws, since what
              is stated of it is about the law where it does worst

To be nowhere behind is not to be the best everywhere: with few seeds, little is sure.
"""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.records.load import without_diverged
from analysis.records.proxy_settings import at_extreme_values, varied_settings, with_labels
from analysis.statistics.comparison import SIMILAR
from analysis.statistics.intervals import LEVEL, Estimate, mean_of
from analysis.statistics.peaks import (
    GROUPS,
    by_seed,
    in_groups,
    jackknife_error,
    peak_golds,
    smooth_peak_golds,
    smooth_peak_golds_without_each,
)

LAW, DIVERGENCE, KL = "proxy_error", "gibbs_divergence", "kl"
SHOWN = 0.005  # deviations of gold: what two decimals do not show is no difference

Array = np.ndarray


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One law under one divergence.

    peak and end: gold at the peak and at the smallest tau, in its deviations under the reference. kl: where the mean of
    all seeds peaks, nats. over_kl: its peak less that under KL. behind: the peak of the best of its law less its own.
    """

    peak: Estimate
    kl: float
    end: Estimate
    over_kl: Estimate
    behind: Estimate


@dataclass(frozen=True, kw_only=True)
class PhaseDiagram:
    """Every law under every divergence.

    cells: by law and divergence. rows: the curves that they are of. place: the values of further settings.
    """

    laws: tuple[str, ...]
    divergences: tuple[str, ...]
    cells: dict[tuple[str, str], Cell]
    rows: pd.DataFrame
    place: str
    seeds: int

    def best(self, law: str) -> str:
        """The divergence with the most gold at its peak."""
        return max(self.divergences, key=lambda name: self.cells[law, name].peak.value)

    @property
    def level(self) -> float:
        """Of the intervals of differences from KL, so that those of all laws hold at once with 95 %."""
        return 1 - (1 - LEVEL) / (len(self.laws) * (len(self.divergences) - 1))

    def better(self, law: str) -> bool:
        """Whether the best divergence of a law has surely more gold than KL."""
        return self.cells[law, self.best(law)].over_kl.interval(self.level)[0] > SHOWN

    def alike(self, law: str) -> bool:
        """Whether all divergences surely lie within SIMILAR of KL."""
        ends = [self.cells[law, name].over_kl.interval(self.level) for name in self.divergences if name != KL]
        return all(low > -SIMILAR and high < SIMILAR for low, high in ends)

    def behind(self, divergence: str) -> list[str]:
        """The laws for which a divergence has surely less gold than another one."""
        level = 1 - (1 - LEVEL) / (len(self.laws) * math.comb(len(self.divergences), 2))
        return [law for law in self.laws if self.cells[law, divergence].behind.interval(level)[0] > SHOWN]


def has_divergences(curves: pd.DataFrame) -> bool:
    """Whether KL and another divergence are there."""
    found = curves[DIVERGENCE].dropna().unique() if DIVERGENCE in curves else []
    return len(found) > 1 and KL in found


def beside_the_diagram(curves: pd.DataFrame) -> pd.DataFrame:
    """The rows of what is no cell of a diagram; all of them where there is none."""
    return curves[curves["method"] != "gibbs"] if has_divergences(curves) else curves


def phase_diagram(curves: pd.DataFrame) -> PhaseDiagram | None:
    """The diagram; None where KL and another divergence have no seed in common.

    Further settings have their first value. Without a law of errors, as of trained proxies, there is one row, of "".
    """
    if not has_divergences(curves):
        return None
    rows = without_diverged(with_labels(curves))
    rows = rows[rows[DIVERGENCE].notna()]
    rows = rows if LAW in rows else rows.assign(**{LAW: ""})
    further = [name for name in varied_settings(rows) if name not in (LAW, DIVERGENCE)]
    rows, place = at_extreme_values(rows, further, 0)
    there = list(rows[DIVERGENCE].unique())
    if KL not in there or len(there) < 2:
        return None
    divergences = (KL, *(name for name in there if name != KL))
    seeds = set.intersection(*(set(part["seed"]) for _, part in rows.groupby([LAW, DIVERGENCE])))
    laws = tuple(rows[LAW].unique())
    if not seeds or len(rows[[LAW, DIVERGENCE]].drop_duplicates()) < len(laws) * len(divergences):
        return None
    rows = rows[rows["seed"].isin(seeds)]
    cells: dict[tuple[str, str], Cell] = {}
    for law in laws:
        parts = {name: rows[(rows[LAW] == law) & (rows[DIVERGENCE] == name)] for name in divergences}
        cells |= {(law, name): cell for name, cell in cells_of(parts).items()}
    return PhaseDiagram(
        laws=laws, divergences=divergences, cells=cells, rows=rows, place=place.removeprefix(", "), seeds=len(seeds)
    )


def cells_of(parts: dict[str, pd.DataFrame]) -> dict[str, Cell]:
    """The cells of one law, from the rows of each divergence."""
    gold = {name: from_reference(by_seed(part)) for name, part in parts.items()}
    kl = {name: from_reference(by_seed(part, "kl")) for name, part in parts.items()}
    peaks = {name: difference(table, np.zeros_like(table)) for name, table in gold.items()}
    best = max(peaks, key=lambda name: peaks[name].value)
    return {
        name: Cell(
            peak=peaks[name],
            kl=float(kl[name].mean(axis=0)[table.mean(axis=0).argmax()]),
            end=mean_of(table[:, -1]),
            over_kl=difference(table, gold[KL]),
            behind=difference(gold[best], table),
        )
        for name, table in gold.items()
    }


def from_reference(table: pd.DataFrame) -> Array:
    """A path [S, K] that begins at the reference, [S, K + 1]."""
    return np.column_stack([np.zeros(len(table)), table.to_numpy(float)])


def difference(first: Array, second: Array) -> Estimate:
    """The peak of one path less that of another, [S, K] each, a mean over seeds that both share."""
    if first is second:
        return Estimate(value=0.0)
    pair = in_groups(first), in_groups(second)
    count = min(len(first), GROUPS)
    value = float(smooth_peak_golds(pair[0]).mean() - smooth_peak_golds(pair[1]).mean())
    if count < 2:
        return Estimate(value=value, error=math.nan)
    if count == 2:
        left_out = [np.array([peak_golds(np.delete(gold, i, axis=0)).mean() for i in range(count)]) for gold in pair]
    else:
        left_out = [smooth_peak_golds_without_each(gold).mean(axis=1) for gold in pair]
    return Estimate(value=value, error=jackknife_error(left_out[0] - left_out[1]), degrees_of_freedom=count - 1)
