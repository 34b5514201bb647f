"""Contenders measured in turns, so that what a machine does to one it does to all.

Shapes: r rounds.

In each round every contender is measured once, one after the other, for the same time, about. Ratios are taken within a
round and then summed up by their median and quartiles: a machine that is slow for a minute is slow for both sides.
"""

import itertools
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch

T = TypeVar("T")

Array = np.ndarray
Contender = Callable[[], float]  # measures once; seconds for one unit of work
Work = Callable[[int], object]  # does so many units of it

QUARTILES = (25, 50, 75)


@dataclass(frozen=True, kw_only=True)
class Spread:
    """The median over rounds, and the quartiles around it."""

    low: float
    median: float
    high: float


def spread(values: Array) -> Spread:
    """The spread of values [r]."""
    low, median, high = np.percentile(values, QUARTILES)
    return Spread(low=float(low), median=float(median), high=float(high))


def ratio(times: Mapping[str, Array], of: str, to: str) -> Spread:
    """How many times as long as `to` the contender `of` takes, from seconds [r] of each."""
    return spread(times[of] / times[to])


def in_turns(contenders: Mapping[str, Callable[[], T]], rounds: int) -> dict[str, list[T]]:
    """What each contender gives in every round; they are called in turns.

    Every other round goes backwards, so that none has always the same neighbour before it.
    """
    found: dict[str, list[T]] = {name: [] for name in contenders}
    order = [*contenders.items()]
    for _ in range(rounds):
        for name, measure in order:
            found[name].append(measure())
        order.reverse()
    return found


def interleaved(contenders: Mapping[str, Contender], rounds: int) -> dict[str, Array]:
    """Seconds [r] of each contender, measured in turns."""
    return {name: np.array(seconds) for name, seconds in in_turns(contenders, rounds).items()}


def clock(device: torch.device) -> Callable[[], float]:
    """The time in seconds, once everything that was asked of the device is done."""
    if device.type == "cpu":
        return time.perf_counter

    def now() -> float:
        torch.cuda.synchronize(device)
        return time.perf_counter()

    return now


def timed(work: Work, units: int, now: Callable[[], float], of_each: int = 1) -> Contender:
    """A contender that does `units` units of work each time, each of which counts as `of_each`."""

    def measure() -> float:
        began = now()
        work(units)
        return (now() - began) / (units * of_each)

    return measure


def units_for(seconds: float, work: Work, now: Callable[[], float]) -> int:
    """How many units of work take about so many seconds, one at least."""
    work(1)
    for units in (2**power for power in itertools.count()):
        began = now()
        work(units)
        if (took := now() - began) > seconds / 4:
            return max(1, round(units * seconds / took))
    raise AssertionError


def for_seconds(seconds: float, work: Work, now: Callable[[], float], of_each: int = 1) -> Contender:
    """A contender that works for about so many seconds each time."""
    return timed(work, units_for(seconds, work, now), now, of_each)
