"""What a checkpoint costs: sampling and exact evaluation, beside a training step of the same world.

In a sampled world policies are measured on responses of their own, drawn with a key/value cache and compared with the
reference token by token; in an enumerable one on all V^T responses, at the nodes of their prefix tree. Beside each
stands the way that is written first, contenders/naive.py: it reads the whole prefix again for each token, or every
response as a sequence of its own. All that a checkpoint measures includes gold, win rate, errors and a run's own pairs.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from benchmarks.contenders.cases import CASES, Case
from benchmarks.contenders.planned import Kind
from benchmarks.contenders.ways import Way, ways_in
from benchmarks.step import of_ours
from benchmarks.timing.machine import machine
from benchmarks.timing.options import timed_here
from benchmarks.timing.results import Section, Table, counted, number, on_device, shown
from benchmarks.timing.rounds import Contender, clock, for_seconds, interleaved, ratio, spread

EXACT = Case(name="8^4", vocabulary=8, layers=1, width=16, prompt_length=2, response_length=4, batch=32)
WORLDS = {**CASES, EXACT.name: EXACT}
STEP = "a training step"

Array = np.ndarray


def timed_way(way: Way, device: torch.device, seconds: float) -> Contender:
    """A way as a contender, which gives seconds a run."""

    @torch.no_grad()
    def work(times: int) -> None:
        for _ in range(times):
            way.evaluate()

    return for_seconds(seconds, work, clock(device), of_each=way.runs)


def table(caption: str, responses: int, times: Mapping[str, Array]) -> Table:
    """One world, from seconds a run [rounds] of each contender: a step, ours, the naive way, and all."""
    _, ours, *_ = times
    rows = [
        (
            name,
            number(1e3 * spread(seconds).median),
            "" if name == STEP else number(1e6 * spread(seconds).median / responses),
            "1" if name == STEP else shown(ratio(times, name, STEP)),
            "1" if name == ours else shown(ratio(times, name, ours)),
        )
        for name, seconds in times.items()
    ]
    columns = ("", "ms a run", "µs a response", "in training steps", "times ours")
    return Table(caption=caption, columns=columns, rows=rows)


def measured(case: Case, device: torch.device, rounds: int, seconds: float) -> Table:
    """Measure one world."""
    kind: Kind = "enumerable" if case is EXACT else "sampled"
    ways = ways_in(case, kind, device)
    evaluations = {name: timed_way(way, device, seconds) for name, way in ways.of.items()}
    times = interleaved({STEP: of_ours(case, ways.stack, device, seconds), **evaluations}, rounds)
    what = f"{kind} world, {ways.responses:,} responses of a run, {ways.stack} runs in a stack"
    return table(f"{case.told}; {what}", ways.responses, times)


def section(device: torch.device, rounds: int, seconds: float, cases: Sequence[Case]) -> Section:
    """Measure these worlds."""
    return Section(
        title=on_device("Evaluation", device),
        machine=machine(device, "one thread"),
        about=(
            f"Medians over {counted(rounds, 'round')} in which all take turns, ratios with quartiles. Ours measures a "
            "stack, as at a checkpoint; the naive ways measure one run."
        ),
        tables=[measured(case, device, rounds, seconds) for case in cases],
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    timed_here("benchmarks.evaluation", __doc__, section, rounds=7, cases=WORLDS, seconds=0.5, arguments=arguments)


if __name__ == "__main__":
    main()
