"""From a sweep to its runs, and from runs to the stacks that train together.

A run is one point of the grid. Runs that share everything but what a stack holds per row (loss, beta, seed,
learning rate, clipping, labels) can train as one program; they are cut into stacks of bounded size. The order of
the runs follows from the sweep alone; how they are cut may depend on the machine, since what comes of a run does not
depend on the cut.
"""

import hashlib
import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from simulator.complaints import rounded
from simulator.config import Sweep
from simulator.losses import LOSSES, local_shape
from simulator.settings import Settings

PER_ROW = {"data": {"labels", "temperature", "label_noise"}, "train": {"learning_rate", "clip"}}
STACK_LIMIT = 24
STACK_FLOATS = 2**24  # activations of one training step of a stack; 64 MiB of float32


@dataclass(frozen=True, kw_only=True)
class Point:
    """One combination of the further axes: their dotted keys with the values here, and the settings there.

    name: shared by two points only if every setting is equal. shared: what runs have in common that can be stacked.
    """

    axes: dict[str, Any]
    settings: Settings
    name: str
    shared: str


@dataclass(frozen=True, kw_only=True)
class Run:
    """One cell of the grid."""

    method: str
    loss: str
    beta: float
    seed: int
    point: Point

    @property
    def settings(self) -> Settings:
        """Every setting but method, loss, beta and seed."""
        return self.point.settings

    @property
    def run_id(self) -> str:
        """A name that two runs share only if every setting of theirs is equal."""
        named = [self.method, self.loss, self.beta, self.seed, self.point.name]
        return f"{self.method}-{self.loss}-{self.beta:g}-{self.seed}-{digest(named)}"

    def columns(self) -> dict[str, Any]:
        """What every record of the run says of it: the settings that vary, and kappa of its loss."""
        return {
            "run_id": self.run_id,
            "method": self.method,
            "loss": self.loss,
            "beta": self.beta,
            "kappa": _kappa(self.loss),
            "seed": self.seed,
            "pairs": self.settings.data.pairs,
            "label_noise": self.settings.data.label_noise,
            **{axis_column(name): value for name, value in self.point.axes.items()},
        }


@cache
def _kappa(loss: str) -> float:
    return local_shape(LOSSES[loss]).kappa


def axis_column(name: str) -> str:
    """The column of an axis: its key, with its table in front unless that is [data]. `train.steps`: train_steps."""
    return name.removeprefix("data.").replace(".", "_")


def digest(value: object) -> str:
    """Ten hexadecimal digits that name a value made of tables, lists, strings and numbers."""
    return hashlib.sha256(json.dumps(rounded(value), sort_keys=True).encode()).hexdigest()[:10]


def points(sweep: Sweep) -> list[Point]:
    """Every combination of the further axes. Raises ConfigError for a wrong value."""
    axes = sweep.sweep.axes
    found = []
    for values in itertools.product(*axes.values()):
        at = dict(zip(axes, values, strict=True))
        settings = sweep.settings_at(at)
        tables = settings.model_dump()
        common = {t: {k: v for k, v in keys.items() if k not in PER_ROW.get(t, ())} for t, keys in tables.items()}
        found.append(Point(axes=at, settings=settings, name=digest(tables), shared=digest(common)))
    return found


def expand(sweep: Sweep) -> list[Run]:
    """All runs of a sweep, in the order of its grid. Raises ConfigError."""
    grid = sweep.sweep
    return [
        Run(method=grid.method, loss=loss, beta=beta, seed=seed, point=point)
        for point in points(sweep)
        for loss, beta, seed in itertools.product(grid.loss, grid.beta, range(grid.seeds))
    ]


def stack_size(settings: Settings) -> int:
    """How many runs of these settings train together best: at most STACK_LIMIT, fewer where they are large."""
    world, policy, train = settings.world, settings.policy, settings.train
    places = min(train.batch, settings.data.pairs) * (world.prompt_length + 2 * (world.response_length - 1))
    floats = places * (policy.layers * (16 * policy.width + 3 * policy.heads * 2 * world.response_length))
    return max(1, min(STACK_LIMIT, STACK_FLOATS // max(floats, 1)))


def stacks(runs: Sequence[Run], sizes: Mapping[str, int]) -> list[tuple[Run, ...]]:
    """The runs cut into stacks of at most the size that `sizes` has for what they share.

    Within a stack the runs of one loss are neighbours.
    """
    groups: dict[str, list[Run]] = {}
    for run in runs:
        groups.setdefault(run.point.shared, []).append(run)
    cut = []
    for shared, group in groups.items():
        size = sizes[shared]
        ordered = sorted(group, key=lambda run: run.loss)
        cut += [tuple(ordered[i : i + size]) for i in range(0, len(ordered), size)]
    return cut
