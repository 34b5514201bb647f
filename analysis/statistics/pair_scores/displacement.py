"""How many chosen responses become less likely with each loss, and whether a score of the pair says how far.

Likelihood displacement (Razin et al. 2024, arXiv:2410.08847): the chosen response of a pair ends less likely than under
the reference. `displaced` is the share of a run's pairs of which this is so. A loss that moves less displaces less, so
losses are compared at the same KL, along training at the smallest beta of each: of a seed's two runs, the one that goes
less far at its end, and the other where it first had gone as far. There is no curve from the reference for this, as
there is for gold: the first step, however small, makes about half of the chosen responses less likely. So a seed does
not count where the other run went farther by its first checkpoint. Levels are corrected for how many losses are
compared (Bonferroni).

CHES and the displacement rate of a pair are measured at the reference, see simulator/pair_scores/. Their rank
correlation (Spearman) with the log-ratio of the pair's chosen response at the end of training is one number a run. If
they predict displacement, it is below 0 for CHES and above 0 for the rate. Shapes: S seeds, K checkpoints, N pairs of
a run.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.statistics.intervals import LEVEL, SHARE, Estimate, mean_of

SCORES = ("ches", "displacement_rate")  # of a pair
ENDS = ("displaced", "chosen_logratio", "rejected_logratio", "gold", "kl")
SAME = ("kl", "displaced", "gold")  # what is compared at the same KL

Array = np.ndarray


@dataclass(frozen=True, kw_only=True)
class LossDisplacement:
    """What one loss displaces beside another at the same KL, and its gold less the other's there.

    share: of pairs, at the end of its training. kl: where they are compared, nats, a mean over seeds. other_share,
    other_gold: of the other loss there. level: of the intervals of differences, for all losses at once.
    """

    loss: str
    share: Estimate
    kl: float
    other_share: Estimate
    other_gold: Estimate
    difference: Estimate
    gold: Estimate
    level: float

    @property
    def seeds(self) -> int:
        """How many there are in the comparison."""
        return self.difference.degrees_of_freedom + 1

    @property
    def way(self) -> str:
        """Whether it surely displaces fewer or more chosen responses; nothing where neither is sure."""
        low, high = self.difference.interval(self.level)
        return "fewer" if high < 0 else "more" if low > 0 else ""

    @property
    def gold_way(self) -> str:
        """Whether it surely has more or less gold; nothing where neither is sure."""
        low, high = self.gold.interval(self.level)
        return "more" if low > 0 else "less" if high < 0 else ""


def share_of(last: pd.DataFrame, loss: str) -> Estimate:
    """The share of pairs whose chosen response one loss displaces. last: a row a run, at one beta of each loss."""
    return mean_of(last.loc[last["loss"] == loss, "displaced"], bounds=SHARE)


def displacement_beside(rows: pd.DataFrame, losses: Sequence[str], baseline: str) -> list[LossDisplacement]:
    """Each of `losses` beside `baseline`; none for those without a seed. rows: of runs at one beta of each loss."""
    level = 1 - (1 - LEVEL) / max(len(losses), 1)
    last = rows[rows["step"] == rows.groupby("run_id")["step"].transform("max")]
    paths, found = paths_of(rows), []
    for loss in losses:
        own, other = at_same_kl(paths.get(loss, {}), paths.get(baseline, {}))
        if len(own):
            apart = own - other
            found.append(
                LossDisplacement(
                    loss=loss,
                    share=share_of(last, loss),
                    kl=float(own[:, 0].mean()),
                    other_share=mean_of(other[:, 1], bounds=SHARE),
                    other_gold=mean_of(other[:, 2]),
                    difference=mean_of(apart[:, 1]),
                    gold=mean_of(apart[:, 2]),
                    level=level,
                )
            )
    return found


def paths_of(rows: pd.DataFrame) -> dict[str, dict[int, Array]]:
    """SAME along training [K, 3] by loss and seed, without the reference. rows: at one beta of each loss."""
    found: dict[str, dict[int, Array]] = {}
    for (loss, seed), table in rows[rows["step"] > 0].sort_values("step").groupby(["loss", "seed"]):
        found.setdefault(str(loss), {})[int(seed)] = table[list(SAME)].to_numpy(float)
    return found


def at_same_kl(one: dict[int, Array], other: dict[int, Array]) -> tuple[Array, Array]:
    """SAME of two losses at the same KL, [S, 3] each, for the seeds that have both; see the module. By seed: [K, 3]."""
    found = []
    for seed in sorted(one.keys() & other.keys()):
        paths = one[seed], other[seed]
        reach = min(path[-1, 0] for path in paths)
        if all(path[-1, 0] == reach or path[0, 0] <= reach for path in paths):
            found.append([first_at(path, reach) for path in paths])
    table = np.array(found).reshape(-1, 2, len(SAME))
    return table[:, 0], table[:, 1]


def first_at(path: Array, kl: float) -> Array:
    """The end of a path [K, 3] if that is at this KL, else where it first comes to it, on a line between checkpoints.

    Its first checkpoint must not be farther.
    """
    if path[-1, 0] == kl:
        return path[-1]
    after = int(np.argmax(path[:, 0] >= kl))
    if after == 0:
        return path[0]
    before, ahead = path[after - 1], path[after]
    return before + (kl - before[0]) / (ahead[0] - before[0]) * (ahead - before)


def rank_correlations(pairs: pd.DataFrame, last: pd.DataFrame) -> pd.DataFrame:
    """For each run, Spearman's rank correlation of each of SCORES with where the chosen response ends.

    pairs: `pairs.parquet`; last: a row a run, with its loss and seed. Columns: run_id, loss, seed, and SCORES; NaN
    where a run's pairs are all alike.
    """
    names = [*SCORES, "chosen_logratio"]
    known = pairs[pairs["run_id"].isin(last["run_id"])].dropna(subset=names)
    ranks = known.groupby("run_id")[names].rank().assign(run_id=known["run_id"])
    rows = [{"run_id": run, **of_ranks(table[names].to_numpy())} for run, table in ranks.groupby("run_id")]
    return pd.DataFrame(rows, columns=["run_id", *SCORES]).merge(last[["run_id", "loss", "seed"]], on="run_id")


def of_ranks(ranks: Array) -> dict[str, float]:
    """The correlation of each of SCORES with the last column of ranks [N, 3]."""
    centred = ranks - ranks.mean(axis=0)
    size = np.sqrt((centred**2).sum(axis=0))
    with np.errstate(invalid="ignore"):
        found = centred[:, :-1].T @ centred[:, -1] / (size[:-1] * size[-1])
    return dict(zip(SCORES, map(float, found), strict=True))


def correlation_of(correlations: pd.DataFrame, loss: str, score: str) -> Estimate:
    """The mean over seeds of the rank correlation of one score with one loss."""
    return mean_of(correlations.loc[correlations["loss"] == loss, score].dropna(), bounds=(-1.0, 1.0))
