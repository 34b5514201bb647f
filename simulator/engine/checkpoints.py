"""Checkpoints: when they come, and how what is measured there becomes records.

Shapes: R runs, C checkpoints.
"""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from simulator.engine.snapshots import named, part_of, scalar
from simulator.measurement.exact import Columns
from simulator.measurement.ledger import ledger_rows, without_ledger
from simulator.objectives import DIAGNOSTICS
from simulator.settings.run import Run


def checkpoint_steps(steps: int, count: int) -> list[int]:
    """`count` different steps from 0 to `steps`, spaced evenly in the logarithm as far as whole numbers allow."""
    if count > steps:
        return list(range(steps + 1))
    if count == 2:
        return [0, steps]
    chosen = [0]
    for left in range(count - 1, 0, -1):
        last = max(chosen[-1], 1)
        ideal = last * (steps / last) ** (1 / left) if len(chosen) > 1 else 1.0
        chosen.append(min(max(round(ideal), chosen[-1] + 1), steps - left + 1))
    return chosen


def checkpoints_of(runs: Sequence[Run]) -> list[int]:
    """The steps at which the runs of a stack are measured, spaced alike in each round of `train.steps` steps."""
    train = runs[0].settings.train
    once, rounds = checkpoint_steps(train.steps, train.checkpoints), runs[0].steps // train.steps
    return [0, *(turn * train.steps + step for turn in range(rounds) for step in once[1:])]


@dataclass(kw_only=True)
class Track:
    """What was measured at the first `row` of `rows` checkpoints, in arrays [C, R] that are made at the first.

    Small tensors that outlive a checkpoint would lie between the large ones of the next, and memory would grow.
    """

    rows: int
    row: int = 0
    measured: dict[str, np.ndarray] = field(default_factory=dict)

    def record(self, columns: Columns) -> None:
        """Write what was measured, [R] each, at the next checkpoint.

        Raises ValueError for other columns than before.
        """
        if self.row and columns.keys() != self.measured.keys():
            raise ValueError(f"columns differ between checkpoints: {sorted(columns.keys() ^ self.measured.keys())}")
        for name, value in columns.items():
            table = self.measured.setdefault(name, np.zeros((self.rows, len(value))))
            table[self.row] = value.cpu().numpy()
        self.row += 1

    def tensors(self) -> dict[str, Tensor]:
        """All of it as named tensors, to be saved."""
        tables = {name: torch.from_numpy(table) for name, table in self.measured.items()}
        return {"row": scalar(self.row), **named("measured", tables)}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Be what `tensors` told."""
        self.row = int(state["row"])
        self.measured = {name: table.numpy() for name, table in part_of(state, "measured").items()}


def curve_rows(
    runs: Sequence[Run],
    steps: Sequence[int],
    measured: Mapping[str, np.ndarray],
    diverged_at: np.ndarray,
    *,
    kl_source: str,
) -> pd.DataFrame:
    """Records of the runs, one row a run and checkpoint, in the order of `runs`, from measured columns [C, R].

    kl_source: how KL came about.

    A run diverges at the step that `diverged_at` [R] says (-1 for none), or at the first checkpoint where something
    measured is not finite. It keeps its rows from before, and one more without numbers says at which step.
    """
    frames, rows = [], enumerate(runs)
    measured = without_ledger(measured)
    for watched, some in itertools.groupby(rows, lambda row: diagnostics_of(row[1])):
        places, alike = zip(*some, strict=True)
        columns = {
            name: values[:, list(places)].T
            for name, values in measured.items()
            if name in watched or name not in DIAGNOSTICS
        }
        frames.append(_curves(alike, np.asarray(steps), columns, diverged_at[list(places)]))
    return pd.concat(frames, ignore_index=True).assign(kl_source=kl_source)


def save_ledger(
    runs: Sequence[Run],
    steps: Sequence[int],
    measured: Mapping[str, np.ndarray],
    keep: Callable[[str, pd.DataFrame], None],
) -> None:
    """Keep where probability went, as far as it was measured [C, R]."""
    keep("ledger", ledger_rows([run.run_id for run in runs], steps, measured))


def diagnostics_of(run: Run) -> tuple[str, ...]:
    """The columns that only the run's objective has."""
    return tuple(one.column.name for one in run.objective.diagnostics) if run.objective else ()


def _curves(
    runs: Sequence[Run], steps: np.ndarray, columns: Mapping[str, np.ndarray], diverged_at: np.ndarray
) -> pd.DataFrame:
    """Records of runs that have the same columns [R, C], with the row at which a run diverged after those before it."""
    never = np.iinfo(np.int64).max
    whole = np.ones((len(runs), len(steps)), dtype=bool)
    finite = np.logical_and.reduce([whole, *(np.isfinite(values) for values in columns.values())])
    broken = np.where(finite, never, steps).min(axis=1, initial=never)
    end = np.minimum(np.where(diverged_at < 0, never, diverged_at), broken)[:, None]
    sound = steps < end
    kept = np.hstack([sound, end < never])
    table = {"step": np.hstack([np.broadcast_to(steps, sound.shape), end])[kept]}
    table |= {name: np.hstack([values, np.full((len(runs), 1), np.nan)])[kept] for name, values in columns.items()}
    last = np.zeros_like(kept)
    last[:, -1] = True
    settings = pd.DataFrame([run.columns() for run in runs])
    frame = pd.DataFrame(table | {"status": np.where(last[kept], "diverged", "ok")})
    return frame.join(settings.loc[np.repeat(np.arange(len(runs)), kept.sum(axis=1))].reset_index(drop=True))
