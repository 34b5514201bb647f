"""What a method is: a way to make policies, and what a sweep has to know to plan it. See simulator/methods/."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from simulator.objectives.objective import Objective
from simulator.proxies.scores import Proxy
from simulator.settings.run import Cell, Run
from simulator.settings.tables import Settings
from simulator.settings.world_spec import MADE_OF
from simulator.training.recorder import Recorder
from simulator.worlds.protocol import World

Keys = Mapping[str, Sequence[str] | None]


Trace = Callable[[Sequence[Run], World, Sequence[Proxy], Recorder], pd.DataFrame]


LABELS = ("labels", "temperature", "label_noise")


@dataclass(frozen=True, kw_only=True)
class Choices:
    """The values of `[sweep]` that a method may take its strengths from."""

    loss: Sequence[Objective]
    beta: Sequence[float]
    penalty: Sequence[float]


@dataclass(frozen=True, kw_only=True)
class Method:
    """A row of METHODS.

    strengths: the objective and beta of every run at one point of the further axes and for one seed. proxies: whether a
    proxy has part in a run. reads: tables of settings that matter to it, and ignores: keys of these that do not.
    per_row: keys that may differ within a stack, None for a whole table. check: raises ValueError where settings allow
    no run. steps: of training. network: sequences, and tokens of all, that go through the policy's network at once, and
    passes: how often in a step, forward and backward. pairwise: whether it has the objectives of `sweep.loss`. told:
    keys that records tell as axes even where they make no difference. responses: to a prompt of its data. held: pairs
    of its data at most, 0 where it has none. listed: tokens that an expectation under the reference takes a gradient of
    in a step.

    trace(runs, world, proxies, recorder): train and measure the runs of a stack, with a proxy for each or none at all,
    from the state that the recorder's saver has found, if any; the rows of `curves.parquet`.
    """

    strengths: Callable[[Choices], Sequence[tuple[Objective | None, float | None]]]
    proxies: Callable[[Cell], bool]
    reads: Callable[[Cell], Sequence[str]]
    ignores: Callable[[Cell], Keys]
    per_row: Callable[[Cell], Keys]
    check: Callable[[Cell], None]
    steps: Callable[[Cell], int]
    network: Callable[[Cell], tuple[int, int]]
    passes: Callable[[Cell], float]
    trace: Trace
    pairwise: bool = False
    told: Sequence[str] = ()
    responses: Callable[[Cell], int] = lambda cell: 0
    held: Callable[[Cell], int] = lambda cell: 0
    listed: Callable[[Cell], int] = lambda cell: 0


def proxy_keys(settings: Settings) -> Sequence[str]:
    """The keys of [proxy] that say nothing here: how to combine one member, and how much to weigh no variance."""
    if settings.proxy.members == 1:
        return ("combine", "uncertainty")
    return () if settings.proxy.combine == "uncertainty_weighted" else ("uncertainty",)


def no_labelling(cell: Cell) -> Keys:
    """What says nothing to a method against proxies: how they would label, and how pairs would be measured."""
    return {"data": ("labeller", "pool"), "proxy": proxy_keys(cell.settings), "measure": ("pairs",)}


def always(cell: Cell) -> bool:
    """For methods that optimize a proxy whatever the settings."""
    return True


def reads_proxies(*tables: str) -> Callable[[Cell], Sequence[str]]:
    """For methods against proxies: what makes the world and the proxies, and `tables` of their own."""
    return lambda cell: (*MADE_OF, "data", "proxy", *tables)


def needs_listing(method: str, settings: Settings) -> None:
    """Raises ValueError in a world whose responses are not listed."""
    if settings.world.kind != "enumerable":
        raise ValueError(f'{method} needs world.kind = "enumerable", where every response is listed')
