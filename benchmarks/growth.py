"""How time and memory grow with what a sweep may ask for: of training, of measuring, and of a whole sweep.

From one point in the middle, one number at a time grows. Each point is a process of its own on one thread, and its
memory is that at its peak, less that of a process which only imports. The exponent between two neighbours is the
logarithm of the ratio of their costs over that of their sizes: 1 where what doubles doubles the cost. Beside it stands
the exponent of the work: multiplications of matrices, counted from the architecture, or the runs of a sweep.

    training     all steps of a stack
    measuring    a checkpoint of a stack in a sampled world: drawn responses with their KL and gold, the runs' own pairs
    a sweep      from its settings to the tables in its folder, by one process; runs are short, so that what is not
                 training counts

`python -m benchmarks.growth --point JSON` is one such process; it prints JSON.
"""

import argparse
import itertools
import json
import math
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch

from benchmarks.contenders.arithmetic import apart, packed, step_operations
from benchmarks.contenders.cases import Case, posed
from benchmarks.contenders.planned import run_of, tables_of
from benchmarks.contenders.ways import scene_of
from benchmarks.timing.machine import machine, one_thread
from benchmarks.timing.options import above_zero, command_of, parser
from benchmarks.timing.processes import ONE_THREAD, peak_bytes, run_python
from benchmarks.timing.results import Section, Table, counted, number, tell
from benchmarks.timing.rounds import in_turns
from simulator import Sweep, run_sweep
from simulator.common.terminal import say
from simulator.engine.gradient_steps import advance, start

FACTORS = (1.0, 2.0, 4.0, 8.0)
RUNS = (10, 100, 1000, 10_000)
SECONDS, MOST = 1.0, 5  # a point is measured again until it took so long, or so often
MIDDLE = Case(name="middle", vocabulary=16, layers=1, width=16, prompt_length=3, response_length=5, batch=16, pairs=64)
NOTHING = "{}"  # a point where nothing is done

Array = np.ndarray


@dataclass(frozen=True, kw_only=True)
class Point:
    """What one process does: so many runs of a size, each of so many steps."""

    what: str
    runs: int
    steps: int
    case: Case


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Seconds, and bytes at the peak."""

    seconds: float
    bytes: float


def training(point: Point) -> Callable[[], object]:
    """Takes the steps of a stack."""
    reference, problem = posed(point.case, point.runs)
    state = advance(start(reference, point.runs, problem), problem, 1)
    return lambda: advance(state, problem, point.steps)


def measuring(point: Point) -> Callable[[], object]:
    """Measures a stack at a checkpoint."""
    return scene_of(point.case, "sampled", point.runs, torch.device("cpu")).everything


def sweeping(point: Point) -> Callable[[], object]:
    """Runs a sweep; its reference is in the cache after the first time."""
    tables = tables_of(point.case, point.steps, "enumerable")
    tables["world"] |= {"vocabulary": 4, "response_length": 3}
    tables["train"] |= {"checkpoints": 3}
    tables["sweep"] = {"loss": ["logistic"], "beta": [0.1], "seeds": point.runs}
    sweep = Sweep.model_validate(tables)

    def run() -> None:
        with tempfile.TemporaryDirectory() as folder:
            run_sweep(sweep, Path(folder) / "records", device="cpu", workers=1)

    return run


WAYS: dict[str, Callable[[Point], Callable[[], object]]] = {
    "training": training,
    "measuring": measuring,
    "a sweep": sweeping,
}


def work(point: Point) -> float:
    """What a point has to do, in a unit of its own."""
    case = point.case
    if point.what == "training":
        return point.runs * point.steps * step_operations(case.architecture, packed(case))
    if point.what == "a sweep":
        return point.runs
    settings = run_of(case, "sampled").settings
    drawn = 2 * settings.measured_prompts * settings.measure.samples  # read by the policy, and by the reference
    pairs = apart(replace(case, batch=case.pairs))
    return point.runs * step_operations(case.architecture, replace(pairs, sequences=drawn + pairs.sequences))


def in_case(*names: str) -> Callable[[Point, float], Point]:
    """Scales some sizes of the case."""

    def at(point: Point, factor: float) -> Point:
        sizes = {name: round(getattr(point.case, name) * factor) for name in names}
        return replace(point, case=replace(point.case, **sizes))

    return at


AXES: dict[str, Callable[[Point, float], Point]] = {
    "runs": lambda point, factor: replace(point, runs=round(point.runs * factor)),
    "steps": lambda point, factor: replace(point, steps=round(point.steps * factor)),
    "width": in_case("width"),
    "length": in_case("prompt_length", "response_length"),
    "pairs": in_case("batch", "pairs"),
    "vocabulary": in_case("vocabulary"),
}
SIZE: dict[str, Callable[[Point], int]] = {
    "runs": lambda point: point.runs,
    "steps": lambda point: point.steps,
    "width": lambda point: point.case.width,
    "length": lambda point: point.case.length,
    "pairs": lambda point: point.case.pairs,
    "vocabulary": lambda point: point.case.vocabulary,
}
GROWN = {  # what grows of each
    "training": tuple(AXES),
    "measuring": tuple(axis for axis in AXES if axis != "steps"),
    "a sweep": ("runs",),
}


def middle(what: str) -> Point:
    """The point from which all others differ in one size."""
    return Point(what=what, runs=RUNS[0], steps=40 if what == "training" else 4, case=MIDDLE)


def points_along(what: str, axis: str, factors: Sequence[float]) -> list[Point]:
    """The points of one table."""
    begin = middle(what)
    wanted = [runs / RUNS[0] for runs in RUNS] if axis == "runs" and factors == FACTORS else factors
    return [AXES[axis](begin, factor) for factor in wanted]


def written(point: Point) -> str:
    """A point as JSON."""
    return json.dumps(asdict(point))


def read(text: str) -> Point | None:
    """The point in JSON, None where there is none."""
    found = json.loads(text)
    return Point(**{**found, "case": Case(**found["case"])}) if found else None


def cost_here(point: Point | None) -> Cost:
    """What a point costs in this process; at none, what it takes to be there."""
    if point is None:
        return Cost(seconds=0.0, bytes=peak_bytes())
    once = WAYS[point.what](point)
    once()
    seconds: list[float] = []
    while not seconds or (len(seconds) < MOST and sum(seconds) < SECONDS):
        began = time.perf_counter()
        once()
        seconds.append(time.perf_counter() - began)
    return Cost(seconds=float(np.median(seconds)), bytes=peak_bytes())


def cost(text: str) -> Cost:
    """What a point costs in a process of its own."""
    return Cost(**json.loads(run_python(["-m", "benchmarks.growth", "--point", text], ONE_THREAD)))


def exponents(sizes: Sequence[float], values: Sequence[float]) -> list[float]:
    """The exponent with which values grow from each size to the next; NaN where one of them is not above 0."""
    neighbours = zip(itertools.pairwise(sizes), itertools.pairwise(values), strict=True)
    return [
        math.log(high / low) / math.log(large / small) if low > 0 and high > 0 else math.nan
        for (small, large), (low, high) in neighbours
    ]


def table(what: str, axis: str, points: Sequence[Point], costs: Sequence[Cost]) -> Table:
    """How costs grow along one axis."""
    sizes = [SIZE[axis](point) for point in points]
    columns = [
        ["", *map("{:.2f}".format, exponents(sizes, values))]
        for values in ([work(point) for point in points], [c.seconds for c in costs], [c.bytes for c in costs])
    ]
    rows = [
        (f"{size:,}", of_work, number(1e3 * each.seconds), of_time, number(each.bytes / 2**20), of_memory)
        for size, each, of_work, of_time, of_memory in zip(sizes, costs, *columns, strict=True)
    ]
    return Table(
        caption=f"{what[0].upper()}{what[1:]}, along {axis}",
        columns=(axis, "exponent of the work", "ms", "exponent", "MiB", "exponent"),
        rows=rows,
    )


def median_cost(costs: Sequence[Cost], nothing: Sequence[Cost]) -> Cost:
    """The medians over rounds, memory less that of nothing."""
    held = np.median([cost.bytes for cost in costs]) - np.median([cost.bytes for cost in nothing])
    return Cost(seconds=float(np.median([cost.seconds for cost in costs])), bytes=float(held))


def section(rounds: int, wanted: Sequence[tuple[str, str]], factors: Sequence[float]) -> Section:
    """Measure along these axes of these."""
    points = {which: points_along(*which, factors) for which in wanted}
    texts = {NOTHING, *(written(point) for some in points.values() for point in some)}
    found = in_turns({text: partial(cost, text) for text in sorted(texts)}, rounds)
    tables = []
    for which, some in points.items():
        costs = [median_cost(found[written(point)], found[NOTHING]) for point in some]
        tables.append(table(*which, some, costs))
    begin = middle("training")
    return Section(
        title="How time and memory grow",
        machine=machine(torch.device("cpu"), "one thread"),
        about=(
            f"Where nothing else is said: {begin.runs} runs of {MIDDLE.sizes}; {begin.steps} steps of training, "
            f"{middle('a sweep').steps} in a sweep, whose world has 4 tokens and responses of 3. Medians over "
            f"{counted(rounds, 'round')} with a process for each point; memory at its peak, less that of a process "
            "which only imports."
        ),
        tables=tables,
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    options = parser("benchmarks.growth", __doc__, rounds=3)
    options.add_argument("--of", choices=WAYS, action="append", help="measure this only; may be repeated")
    options.add_argument("--axis", choices=AXES, action="append", help="along this one only; may be repeated")
    options.add_argument("--factors", type=above_zero, nargs="+", default=FACTORS, help="of the middle (%(default)s)")
    options.add_argument("--point", help=argparse.SUPPRESS)
    asked = options.parse_args(arguments)
    one_thread()
    if asked.point:
        say(json.dumps(asdict(cost_here(read(asked.point)))))
        return
    factors = tuple(sorted(set(asked.factors)))
    wanted = [(what, axis) for what in asked.of or WAYS for axis in GROWN[what] if axis in (asked.axis or AXES)]
    for which in wanted:
        sizes = [SIZE[which[1]](point) for point in points_along(*which, factors)]
        if min(sizes) < 1 or len(set(sizes)) < len(sizes):
            options.error(
                f"--factors: along {which[1]} they give the sizes {sizes}, which must be different and at least 1"
            )
    if not wanted:
        options.error(f"--axis {' '.join(asked.axis)}: {' and '.join(asked.of)} is not measured along it")
    tell(section(asked.rounds, wanted, factors), command_of(options, arguments), record=asked.record)


if __name__ == "__main__":
    main()
