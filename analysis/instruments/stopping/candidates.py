"""What rules choose from: for each data set and loss the policies of a ladder of beta and their checkpoints."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.instruments.regret import is_of_these_curves
from analysis.instruments.stopping.rule import visible
from analysis.records.load import ResultsError, further_axes, load, pairwise_rows, trained_rows, without_diverged

WORLDS = "world-[0-9]*"  # folders
FILE = "ensembles.parquet"  # left by `rules`: what reward models say of the policies
FOLDS = ("world_seed", "gold_seed", "seed")  # what worlds are split by: the first of these that varies


@dataclass(frozen=True, kw_only=True)
class Choice:
    """A data set and a loss, with the policies to choose from.

    where: what says which one it is. fold: the value that says with which others it is left out. seen: the candidates
    as rules see them. gold: of each candidate, which they do not.
    """

    where: dict[str, Any]
    fold: Any
    seen: pd.DataFrame
    gold: pd.Series

    @property
    def best(self) -> float:
        """The most gold of any candidate."""
        return float(self.gold.max())


def choices(folder: str | Path) -> list[Choice]:
    """Every choice that the records of a folder offer, or those of the worlds in it that `rules` leaves there.

    Raises ResultsError where there is no ladder of beta.
    """
    numbers = {path: path.name.partition("-")[2] for path in Path(folder).glob(WORLDS)}
    worlds = {path: int(text) for path, text in numbers.items() if text.isdecimal()}
    if not worlds:
        return choices_in(folder)
    found = []
    for world, number in sorted(worlds.items()):
        for choice in choices_in(world):
            found.append(replace(choice, where={**choice.where, "world": number}, fold=number))
    return found


def choices_in(folder: str | Path) -> list[Choice]:
    """The choices of one sweep. Raises ResultsError where there is no ladder of beta."""
    rows = trained_rows(without_diverged(pairwise_rows(load(folder))))
    rows = rows[rows["beta"].notna()]
    by = [name for name in ("loss", "seed", "pairs", "label_noise", *further_axes(rows)) if name in rows]
    by, path = list(dict.fromkeys(by)), Path(folder) / FILE
    if is_of_these_curves(path):
        rows = rows.merge(pd.read_parquet(path), on=["run_id", "step"], how="left")
    fold = next((name for name in FOLDS if name in by and len(rows[name].unique()) > 1), "seed")
    return ladders(folder, rows, by, fold)


def ladders(folder: str | Path, rows: pd.DataFrame, by: list[str], fold: str) -> list[Choice]:
    """The choices with at least two values of beta. Raises ResultsError where there is none."""
    found = list(ladders_of(rows, by, fold))
    if not found:
        raise ResultsError(f"{folder}: has no loss that was trained on pairs at two values of beta or more")
    return found


def ladders_of(rows: pd.DataFrame, by: list[str], fold: str) -> Iterator[Choice]:
    """A choice for each data set and loss; a run that diverged is no candidate."""
    for values, some in rows.groupby(by, dropna=False, sort=True):
        if len(some["beta"].unique()) > 1:
            ordered = some.sort_values(["beta", "step"]).reset_index(drop=True)
            where = dict(zip(by, values, strict=True))
            yield Choice(where=where, fold=where[fold], seen=visible(ordered), gold=ordered["gold"])
