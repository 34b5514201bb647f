"""What a method is: a way to make policies, and what a sweep has to know to plan it. See simulator/methods/."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from simulator.runs import Run
from simulator.scoring import Proxy
from simulator.settings import Settings
from simulator.world import MADE_OF, World

Tick = Callable[[int], None]
Keys = Mapping[str, Sequence[str] | None]
Trace = Callable[[Sequence[Run], World, Sequence[Proxy], Tick], pd.DataFrame]

LABELS = ("labels", "temperature", "label_noise")


@dataclass(frozen=True, kw_only=True)
class Choices:
    """The values of `[sweep]` that a method may take its strengths from."""

    loss: Sequence[str]
    beta: Sequence[float]
    penalty: Sequence[float]


@dataclass(frozen=True, kw_only=True)
class Method:
    """A row of METHODS.

    strengths: the loss and beta of every run at one point of the further axes and for one seed. proxies: whether a
    proxy has part in a run. reads: tables of settings that matter to it, and ignores: keys of these that do not.
    per_row: keys that may differ within a stack, None for a whole table. check: raises ValueError where settings allow
    no run. steps: of training. network: sequences, and tokens of all, that go through the policy's network at once, and
    passes: how often in a step, forward and backward.

    trace(runs, world, proxies, tick): train and measure the runs of a stack, with a proxy for each or none at all; the
    rows of `curves.parquet`. tick is told how many steps each run has taken since the last time.
    """

    strengths: Callable[[Choices], Sequence[tuple[str | None, float | None]]]
    proxies: Callable[[Settings], bool]
    reads: Callable[[Settings], Sequence[str]]
    ignores: Callable[[Settings], Keys]
    per_row: Callable[[Settings], Keys]
    check: Callable[[Settings], None]
    steps: Callable[[Settings], int]
    network: Callable[[Settings], tuple[int, int]]
    passes: Callable[[Settings], float]
    trace: Trace


def proxy_keys(settings: Settings) -> Sequence[str]:
    """The keys of [proxy] that say nothing here: how to combine one member, and how much to weigh no variance."""
    if settings.proxy.members == 1:
        return ("combine", "uncertainty")
    return () if settings.proxy.combine == "uncertainty_weighted" else ("uncertainty",)


def no_labelling(settings: Settings) -> Keys:
    """What says nothing to a method against proxies: how they would label."""
    return {"data": ("labeller", "pool"), "proxy": proxy_keys(settings)}


def always(settings: Settings) -> bool:
    """For methods that optimize a proxy whatever the settings."""
    return True


def reads_proxies(*tables: str) -> Callable[[Settings], Sequence[str]]:
    """For methods against proxies: what makes the world and the proxies, and `tables` of their own."""
    return lambda settings: (*MADE_OF, "data", "proxy", *tables)


def needs_listing(method: str, settings: Settings) -> None:
    """Raises ValueError in a world whose responses are not listed."""
    if settings.world.kind != "enumerable":
        raise ValueError(f'{method} needs world.kind = "enumerable", where every response is listed')
