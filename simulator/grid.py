"""From a sweep to its runs, and from runs to the stacks that train together.

A run is one point of the grid. Runs that share everything but what a stack holds per row (loss, beta, seed,
learning rate, clipping, labels) can train as one program; they are cut into stacks of bounded size. Both the
order of the runs and the cut follow from the sweep alone, never from the machine, so that the same sweep
gives the same bits.
"""

import hashlib
import itertools
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from simulator.config import Settings, Sweep
from simulator.losses import LOSSES, local_shape

PER_ROW = {"data": {"labels", "temperature", "label_noise"}, "train": {"learning_rate", "clip"}}
STACK_LIMIT = 24
STACK_FLOATS = 2**24  # activations of one training step of a stack; 64 MiB of float32
DIGITS = 12  # of a float that names a run: 0.1 + 0.2 and 0.3 are one setting


@dataclass(frozen=True, kw_only=True)
class Run:
    """One point of the grid. `axes`: the dotted keys that vary in its sweep, with this run's values."""

    method: str
    loss: str
    beta: float
    seed: int
    axes: dict[str, Any]
    settings: Settings

    @property
    def run_id(self) -> str:
        """A name that two runs share only if every setting of theirs is equal."""
        named = [self.method, self.loss, self.beta, self.seed, self.settings.model_dump()]
        return f"{self.method}-{self.loss}-{self.beta:g}-{self.seed}-{digest(named)}"

    def columns(self) -> dict[str, Any]:
        """What every record of the run says of it: the settings that vary, and kappa of its loss."""
        return {
            "run_id": self.run_id,
            "method": self.method,
            "loss": self.loss,
            "beta": self.beta,
            "kappa": local_shape(LOSSES[self.loss]).kappa,
            "seed": self.seed,
            "pairs": self.settings.data.pairs,
            "label_noise": self.settings.data.label_noise,
            **{axis_column(name): value for name, value in self.axes.items()},
        }


def axis_column(name: str) -> str:
    """The column of an axis: its key, with its table in front unless that is [data]. `train.steps`: train_steps."""
    return name.removeprefix("data.").replace(".", "_")


def digest(value: object) -> str:
    """Ten hexadecimal digits that name a value made of tables, lists, strings and numbers."""
    return hashlib.sha256(json.dumps(_rounded(value), sort_keys=True).encode()).hexdigest()[:10]


def _rounded(value: object) -> object:
    """`value` with every float at DIGITS significant digits, as a string."""
    if isinstance(value, float):
        return f"{value:.{DIGITS}g}"
    if isinstance(value, dict):
        return {key: _rounded(inner) for key, inner in value.items()}
    return [_rounded(inner) for inner in value] if isinstance(value, list | tuple) else value


def points(sweep: Sweep) -> Iterator[tuple[dict[str, Any], Settings]]:
    """Every combination of the further axes, with the settings there. Raises ConfigError for a wrong value."""
    axes = sweep.sweep.axes
    for values in itertools.product(*axes.values()):
        point = dict(zip(axes, values, strict=True))
        yield point, sweep.settings_at(point)


def expand(sweep: Sweep) -> list[Run]:
    """All runs of a sweep, in the order of its grid. Raises ConfigError."""
    grid = sweep.sweep
    return [
        Run(method=grid.method, loss=loss, beta=beta, seed=seed, axes=point, settings=settings)
        for point, settings in points(sweep)
        for loss, beta, seed in itertools.product(grid.loss, grid.beta, range(grid.seeds))
    ]


def stack_size(settings: Settings) -> int:
    """How many runs of these settings train together: at most STACK_LIMIT, fewer where they are large."""
    world, policy, train = settings.world, settings.policy, settings.train
    places = min(train.batch, settings.data.pairs) * (world.prompt_length + 2 * (world.response_length - 1))
    floats = places * (policy.layers * (16 * policy.width + 3 * policy.heads * 2 * world.response_length))
    return max(1, min(STACK_LIMIT, STACK_FLOATS // max(floats, 1)))


def _shared(settings: Settings) -> str:
    """What runs must have in common to be stacked."""
    tables = settings.model_dump()
    return digest({t: {k: v for k, v in keys.items() if k not in PER_ROW.get(t, ())} for t, keys in tables.items()})


def stacks(runs: Sequence[Run]) -> list[tuple[Run, ...]]:
    """The runs cut into stacks. Within a stack the runs of one loss are neighbours."""
    groups: dict[str, list[Run]] = {}
    for run in runs:
        groups.setdefault(_shared(run.settings), []).append(run)
    cut = []
    for group in groups.values():
        size = stack_size(group[0].settings)
        ordered = sorted(group, key=lambda run: run.loss)
        cut += [tuple(ordered[i : i + size]) for i in range(0, len(ordered), size)]
    return cut
