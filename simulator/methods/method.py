"""What a method is: a way to make policies, which describes itself in five things.

To add one, write a module in this folder with a METHOD in it: its card, its grid, which settings it reads, what a run
of it takes, and how a stack of runs is run. A method with settings of its own has a table for them, too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from simulator.objectives.objective import Objective
from simulator.settings.labels import FLIPPED, LABELS, is_intransitive, labels_per_row
from simulator.settings.run import Cell, Run
from simulator.settings.tables import MethodTable, Settings
from simulator.settings.world_spec import WORLD_TABLES

if TYPE_CHECKING:
    import pandas as pd

    from simulator.engine.loop import PolicyLearner
    from simulator.engine.recorder import Recorder
    from simulator.preferences.pairs import Preferences
    from simulator.proxies.scores import Proxy
    from simulator.worlds.protocol import World

Keys = Mapping[str, Sequence[str] | None]
Strength = tuple[Objective | None, float | None]

LEARNED = (
    "pairs",
    "file",
    "distinct",
    "filter",
    "filter_share",
    "population",
)  # of [data]: what a proxy learns from, beside labels


@dataclass(frozen=True, kw_only=True)
class Card:
    """What a method is to people and to figures; a sweep leaves it beside its tables, for analysis."""

    name: str  # in sweep files, and in the column `method`
    label: str  # in figures
    varies: tuple[str, ...] = ()  # keys of [sweep] that its runs vary over, beside seeds
    against_proxy: bool = True  # whether it optimizes a proxy, and not pairs
    trajectory: bool = False  # whether every row of a run is a point of its trade-off, and not its last alone
    along: str = "step"  # the column that numbers the rows of a run
    law: str = "rl"  # the form of the scaling law that its rows follow: "rl" or "bon"
    fitted: bool = False  # whether its scaling law is one that is published
    line: str = "-"  # how its curves are drawn beside others


@dataclass(frozen=True, kw_only=True)
class Reads:
    """Which settings matter to a run."""

    tables: Sequence[str]
    ignores: Keys = field(default_factory=dict)  # keys of these tables that do not
    per_row: Keys = field(default_factory=dict)  # keys that may differ within a stack, None for a whole table
    proxies: bool = False  # whether a proxy has part in the run
    always_report: Sequence[str] = ()  # keys that records tell as axes even where they make no difference


@dataclass(frozen=True, kw_only=True)
class Footprint:
    """What a run takes, beside its world and its proxies."""

    steps: int = 1  # of training
    sequences: int = 0  # that go through the policy's network at once
    tokens: int = 0  # of all of these
    gradients: float = 1.0  # passes forward and backward in a step
    pairs: int = 0  # of its data, at most
    responses: int = 0  # to each prompt of its data
    held_out: int = 0  # further pairs that it is measured on
    rounds: int = 1  # with a proxy each, of which the run trains all but the first
    enumerated_tokens: int = 0  # that an expectation under the reference takes a gradient of in a step
    distributions: int = 0  # over all responses that are measured
    pool: int = 0  # responses of the reference to each measured prompt, read by policy and proxies


@dataclass(frozen=True, kw_only=True)
class Choices:
    """The values of `[sweep]` that a method may take its grid from."""

    loss: Sequence[Objective]
    beta: Sequence[float]
    penalty: Sequence[float]


@dataclass(frozen=True, kw_only=True)
class Method:
    """A way to make policies, and what a sweep has to know to plan it.

    card: what it is called. grid: the objective and beta of every run at one point of the further axes and for one
    seed. reads: which settings matter to a cell; raises ValueError where they allow no run. footprint: what a run
    takes. run(runs, world, proxies, recorder): train and measure the runs of a stack, with a proxy for each or none at
    all, from the state that the recorder's saver has found, if any; the rows of `curves.parquet`. table: its settings.
    learner(runs, world, proxies, pairs): the stack before its first step, where the method trains; pairs [R, N, …] are
    drawn as the runs say unless they are given. read_where: what to say of keys, or tables, that it reads and others
    do not: a clause on when, or nothing.
    """

    card: Card
    grid: Callable[[Choices], Sequence[Strength]]
    reads: Callable[[Cell], Reads]
    footprint: Callable[[Cell], Footprint]
    run: Callable[[Sequence[Run], World, Sequence[Proxy], Recorder], pd.DataFrame]
    table: type[MethodTable] | None = None
    learner: Callable[[Sequence[Run], World, Sequence[Proxy], Preferences | None], PolicyLearner] | None = None
    read_where: Mapping[str, str] = field(default_factory=dict)

    @property
    def pairwise(self) -> bool:
        """Whether it has the objectives of `sweep.loss`."""
        return "loss" in self.card.varies


def once(choices: Choices) -> Sequence[Strength]:
    """The grid of a method without objective and strength."""
    return [(None, None)]


def proxy_keys(settings: Settings) -> Sequence[str]:
    """The keys of [proxy] that say nothing here: how to combine one member, and how much to weigh no variance."""
    if settings.proxy.members == 1:
        return ("combine", "uncertainty")
    return () if settings.proxy.combine == "uncertainty_weighted" else ("uncertainty",)


def reads_proxies(
    cell: Cell,
    *tables: str,
    ignores: Keys | None = None,
    per_row: Keys | None = None,
    always_report: Sequence[str] = (),
) -> Reads:
    """For methods against proxies: what makes the world and the proxies, and `tables` of their own.

    How proxies would label says nothing to them, nor how pairs would be measured; nor, where proxies are planted, do
    the pairs that others learn from. Raises ValueError where no pairs are drawn.
    """
    data, planted = cell.settings.data, cell.settings.proxy.planted
    if data.population and not planted:
        raise ValueError("data.population is for training on pairs, and a proxy learns from drawn ones")
    learned = (*LEARNED, *(FLIPPED if is_intransitive(data) else LABELS)) if planted else ()
    unread: Keys = {
        "data": ("labeller", "pool", *learned),
        "proxy": proxy_keys(cell.settings),
        "measure": ("pairs", "displacement", "held_out"),
    }
    return Reads(
        tables=(*WORLD_TABLES, "data", "proxy", *tables),
        ignores={**unread, **(ignores or {})},
        per_row={"data": (*labels_per_row(cell.settings.data), "pairs"), "proxy": None, **(per_row or {})},
        proxies=True,
        always_report=("proxy.kind", *always_report),
    )


UNTRAINED: Keys = {"policy": ("kind", "features")}  # of methods that train no policy


def needs_listing(method: str, settings: Settings) -> None:
    """Raises ValueError in a world whose responses are not listed."""
    if not settings.spec.lists_responses:
        raise ValueError(f'{method} needs world.kind = "enumerable", where every response is listed')
