"""What a policy lacks of the best possible gold, split into what the loss, the class of policies and the data take.

Where the same loss and beta train several classes of policies, on drawn pairs and on the whole population, at the end
of training:

    loss    the best possible gold at the KL of a table on the population, less the gold of that table. A table can be
            any law that the reference supports and the population has no chance in it, so this is what the loss takes,
            and the optimizer if it does not arrive
    class   gold of a table on the population, less that of the class on the population
    data    gold of the class on the population, less that on drawn pairs; a mean over seeds, with its interval

For each class the three add up to the best possible gold less the gold of the class on drawn pairs. The first two have
no chance in them. Policies end at different KL, and only `loss` is measured at one KL: the other two may be gold that
was lost by going too far, or gained by going farther. A part below 0 is gold that there is more.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from analysis.records.load import final_rows, trained_rows
from analysis.statistics.intervals import Estimate, mean_of
from analysis.statistics.peaks import peaks, training_curves

KIND, PAIRS = "policy_kind", "pairs"  # 0 pairs are the whole population
TABLE = "tabular"
POPULATION = "population"
OPTIMIZER = "train_"  # what axes of the optimizer begin with


@dataclass(frozen=True, kw_only=True)
class Missing:
    """What one class lacks of the best possible gold, in deviations under the reference. data: None where no runs are.

    kl: of the class on the population, nats.
    """

    kind: str
    kl: float
    loss: float
    policy_class: float
    data: Estimate | None

    @property
    def total(self) -> float:
        """The best possible gold less that on drawn pairs, or on the population where nothing is drawn."""
        return self.loss + self.policy_class + (self.data.value if self.data else 0.0)


def on_population(rows: pd.DataFrame) -> pd.Series:
    """Which rows are of runs on the whole population."""
    return (rows[PAIRS] == 0).fillna(False).astype(bool)


def has_classes(curves: pd.DataFrame) -> bool:
    """Whether training on pairs has several classes of policies."""
    if KIND not in curves:
        return False
    last = final_rows(curves)
    return len(last.loc[last["method"] == "gpo", KIND].dropna().unique()) > 1


def is_taken_apart(curves: pd.DataFrame, axis: str) -> bool:
    """Whether an axis is part of what is split here, so that no mean over the others says what its values do.

    Nor can the population be compared with drawn pairs seed by seed, since it has no seeds.
    """
    if has_classes(curves):
        return axis in (KIND, POPULATION, PAIRS) or axis.startswith(OPTIMIZER)
    return axis in (POPULATION, PAIRS) and bool(on_population(curves).any())


def missing_gold(rows: pd.DataFrame, best: float) -> dict[str, Missing]:
    """What each class lacks, from rows of one loss and beta with one run for each class, data and seed.

    best: the best possible gold at the KL of `table_kl`. Nothing where no table was trained on the population.
    """
    last = final_rows(rows)
    whole, drawn = last[on_population(last)], last[~on_population(last)]
    ends = whole.groupby(KIND, sort=False)[["kl", "gold"]].mean()
    if TABLE not in ends.index:
        return {}
    table, found = float(ends.loc[TABLE, "gold"]), {}
    for kind, end in ends.iterrows():
        gold = drawn.loc[drawn[KIND] == kind, "gold"]
        found[str(kind)] = Missing(
            kind=str(kind),
            kl=float(end["kl"]),
            loss=best - table,
            policy_class=table - float(end["gold"]),
            data=mean_of(float(end["gold"]) - gold) if len(gold) else None,
        )
    return found


def table_kl(rows: pd.DataFrame) -> float:
    """KL of a table on the population at the end of training, nats; NaN where there is none."""
    last = final_rows(rows)
    return float(last.loc[on_population(last) & (last[KIND] == TABLE), "kl"].mean())


def falls_of_classes(rows: pd.DataFrame) -> Mapping[tuple[str, bool], pd.Series]:
    """The row of `peaks` of each class, on drawn pairs (False) and on the population (True); rows as above."""
    return {key: peaks(some).iloc[0] for key, some in apart(rows).items()}


def paths_of_classes(rows: pd.DataFrame) -> pd.DataFrame:
    """The `training_curves` of each class, with its policy_kind, and with whole: whether it is on the population."""
    paths = {key: training_curves(some) for key, some in apart(rows).items()}
    return pd.concat([path.assign(policy_kind=kind, whole=whole) for (kind, whole), path in paths.items()])


def apart(rows: pd.DataFrame) -> dict[tuple[str, bool], pd.DataFrame]:
    """The rows of each class on each kind of data, drawn pairs first."""
    trained = trained_rows(rows)
    groups = list(trained.groupby([on_population(trained), KIND], sort=False))
    found = {(str(kind), bool(whole)): some for (whole, kind), some in groups}
    return dict(sorted(found.items(), key=lambda item: item[0][1]))
