"""How the time of a training step and the memory of its process grow with what a sweep may ask for.

From one point in the middle, one number at a time is halved, doubled and doubled again: runs in the stack, width,
length of prompt and response, pairs of a step, vocabulary. Each point is a process of its own on one thread, and its
memory is that at its peak, less that of a process which only imports. The exponent between two neighbours is log2 of
their ratio: 1 where what doubles doubles the cost.

`python -m benchmarks.growth --point JSON` is one such process; it prints JSON.
"""

import argparse
import itertools
import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch

from benchmarks.contenders.cases import Case, posed
from benchmarks.timing.machine import machine, one_thread
from benchmarks.timing.options import above_zero, command_of, parser
from benchmarks.timing.processes import ONE_THREAD, peak_bytes, run_python
from benchmarks.timing.results import Section, Table, counted, number, tell
from benchmarks.timing.rounds import in_turns
from simulator.common.terminal import say
from simulator.engine.gradient_steps import advance, start

FACTORS = (0.5, 1.0, 2.0, 4.0)
LEAST_STEPS, SECONDS = 5, 1.0
NOTHING = "{}"  # a point where nothing is trained

Array = np.ndarray


@dataclass(frozen=True, kw_only=True)
class Point:
    """What one process trains: so many runs of a size."""

    runs: int
    case: Case


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Seconds of a step of the whole stack, and bytes at the peak."""

    seconds: float
    bytes: float


MIDDLE = Point(
    runs=8, case=Case(name="middle", vocabulary=32, layers=1, width=32, prompt_length=4, response_length=8, batch=32)
)


def scaled(value: int, factor: float) -> int:
    """A size, so many times as large."""
    return round(value * factor)


def in_case(*names: str) -> Callable[[Point, float], Point]:
    """Scales some sizes of the case."""

    def at(point: Point, factor: float) -> Point:
        sizes: dict[str, Any] = {name: scaled(getattr(point.case, name), factor) for name in names}
        return replace(point, case=replace(point.case, **sizes))

    return at


AXES: dict[str, Callable[[Point, float], Point]] = {
    "runs": lambda point, factor: replace(point, runs=scaled(point.runs, factor)),
    "width": in_case("width"),
    "length": in_case("prompt_length", "response_length"),
    "pairs": in_case("batch"),
    "vocabulary": in_case("vocabulary"),
}
SIZE: dict[str, Callable[[Point], int]] = {
    "runs": lambda point: point.runs,
    "width": lambda point: point.case.width,
    "length": lambda point: point.case.length,
    "pairs": lambda point: point.case.batch,
    "vocabulary": lambda point: point.case.vocabulary,
}


def written(point: Point) -> str:
    """A point as JSON."""
    return json.dumps({"runs": point.runs, **vars(point.case)})


def read(text: str) -> Point | None:
    """The point in JSON, None where there is none."""
    sizes = json.loads(text)
    return Point(runs=sizes.pop("runs"), case=Case(**sizes)) if sizes else None


def cost_here(point: Point | None) -> Cost:
    """What training at a point costs in this process; at none, what it takes to be there."""
    if point is None:
        return Cost(seconds=0.0, bytes=peak_bytes())
    reference, problem = posed(point.case, point.runs)
    state = advance(start(reference, point.runs, problem), problem, 2)
    seconds: list[float] = []
    while len(seconds) < LEAST_STEPS or sum(seconds) < SECONDS:
        began = time.perf_counter()
        state = advance(state, problem, 1)
        seconds.append(time.perf_counter() - began)
    return Cost(seconds=float(np.median(seconds)), bytes=peak_bytes())


def cost(text: str) -> Cost:
    """What training at a point costs in a process of its own."""
    return Cost(**json.loads(run_python(["-m", "benchmarks.growth", "--point", text], ONE_THREAD)))


def exponents(sizes: Sequence[float], values: Sequence[float]) -> list[float]:
    """The exponent with which values grow from each size to the next; NaN where one of them is not above 0."""
    neighbours = zip(itertools.pairwise(sizes), itertools.pairwise(values), strict=True)
    return [
        math.log(high / low) / math.log(large / small) if low > 0 and high > 0 else math.nan
        for (small, large), (low, high) in neighbours
    ]


def table(axis: str, sizes: Sequence[int], costs: Sequence[Cost]) -> Table:
    """How costs grow along one axis."""
    seconds, held = [cost.seconds for cost in costs], [cost.bytes for cost in costs]
    steps, memory = (["", *map("{:.2f}".format, exponents(sizes, values))] for values in (seconds, held))
    rows = [
        (f"{size}", number(1e3 * cost.seconds), time_grows, number(cost.bytes / 2**20), memory_grows)
        for size, cost, time_grows, memory_grows in zip(sizes, costs, steps, memory, strict=True)
    ]
    return Table(
        caption=f"Along {axis}", columns=(axis, "ms per step of the stack", "exponent", "MiB", "exponent"), rows=rows
    )


def median_cost(costs: Sequence[Cost], nothing: Sequence[Cost]) -> Cost:
    """The medians over rounds, memory less that of nothing."""
    held = np.median([cost.bytes for cost in costs]) - np.median([cost.bytes for cost in nothing])
    return Cost(seconds=float(np.median([cost.seconds for cost in costs])), bytes=float(held))


def section(rounds: int, axes: Sequence[str], factors: Sequence[float]) -> Section:
    """Measure along these axes."""
    points = {axis: [AXES[axis](MIDDLE, factor) for factor in factors] for axis in axes}
    texts = {NOTHING, *(written(point) for some in points.values() for point in some)}
    found = in_turns({text: partial(cost, text) for text in sorted(texts)}, rounds)
    tables = []
    for axis, some in points.items():
        costs = [median_cost(found[written(point)], found[NOTHING]) for point in some]
        tables.append(table(axis, [SIZE[axis](point) for point in some], costs))
    return Section(
        title="How time and memory grow",
        machine=machine(torch.device("cpu"), "one thread"),
        about=(
            f"Where nothing else is said: {MIDDLE.runs} runs of {MIDDLE.case.sizes}. Medians over "
            f"{counted(rounds, 'round')} with a process for each point; memory at its peak, less that of a process "
            "which only imports."
        ),
        tables=tables,
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    options = parser("benchmarks.growth", __doc__, rounds=3)
    options.add_argument("--axis", choices=AXES, action="append", help="measure this one only; may be repeated")
    options.add_argument("--factors", type=above_zero, nargs="+", default=FACTORS, help="of the middle (%(default)s)")
    options.add_argument("--point", help=argparse.SUPPRESS)
    asked = options.parse_args(arguments)
    one_thread()
    if asked.point:
        say(json.dumps(vars(cost_here(read(asked.point)))))
        return
    axes, factors = asked.axis or [*AXES], sorted(set(asked.factors))
    for axis in axes:
        sizes = [SIZE[axis](AXES[axis](MIDDLE, factor)) for factor in factors]
        if min(sizes) < 1 or len(set(sizes)) < len(sizes):
            options.error(
                f"--factors: along {axis} they give the sizes {sizes}, which must be different and at least 1"
            )
    tell(section(asked.rounds, axes, factors), command_of(options, arguments), record=asked.record)


if __name__ == "__main__":
    main()
