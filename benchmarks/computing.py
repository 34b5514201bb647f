"""What defaults rest on: a step in bfloat16 and compiled, and with stacks of other sizes than the project's own.

Milliseconds per run and step, one thread, at the three sizes of a training step and at a width of 256. Compiling takes
half a minute for each size, which is not counted.

    ours               eager, float32, in a stack as large as the project chooses itself
    half, twice, …     stacks of other sizes
    bfloat16           the factors of products rounded to bfloat16: train.precision
    compiled           passes compiled by torch's inductor: train.compile
"""

import warnings
from collections.abc import Sequence
from dataclasses import replace

import torch

from benchmarks.contenders.cases import CASES, Case, posed
from benchmarks.contenders.planned import stack_of
from benchmarks.step import OURS, table
from benchmarks.timing.machine import machine
from benchmarks.timing.options import timed_here
from benchmarks.timing.results import Section, counted, on_device
from benchmarks.timing.rounds import Contender, clock, for_seconds, interleaved
from simulator.engine.gradient_steps import advance, start
from simulator.networks.compute_mode import EAGER, Computing, can_compile

WIDE = Case(name="wide", vocabulary=64, layers=2, width=256, prompt_length=8, response_length=16, batch=32)
SIZES = {**CASES, WIDE.name: WIDE}


def computed(case: Case, runs: int, computing: Computing, device: torch.device, seconds: float) -> Contender:
    """Our engine, with a stack of so many runs, computed so."""
    reference, problem = posed(case, runs, device)
    problem = replace(problem, computing=computing)
    state = start(reference, runs, problem)

    def work(steps: int) -> None:
        nonlocal state
        state = advance(state, problem, steps)

    work(2)  # compiled here
    return for_seconds(seconds, work, clock(device), of_each=runs)


def contenders(case: Case, device: torch.device, seconds: float) -> dict[str, Contender]:
    """All ways at one size."""
    stack = stack_of(case, device)
    sizes = {"a quarter": stack // 4, "half": stack // 2, "twice": 2 * stack, "four times": 4 * stack}
    ways = {"bfloat16": Computing(precision="bfloat16")}
    if can_compile(device):
        ways["compiled"] = Computing(compiled=True)
    found = {f"{OURS}, {stack} in a stack": computed(case, stack, EAGER, device, seconds)}
    found |= {name: computed(case, stack, how, device, seconds) for name, how in ways.items()}
    return found | {
        f"{name} as many, {runs}": computed(case, runs, EAGER, device, seconds) for name, runs in sizes.items() if runs
    }


def section(device: torch.device, rounds: int, seconds: float, cases: Sequence[Case]) -> Section:
    """Measure all ways at these sizes."""
    return Section(
        title=on_device("Ways to compute a step", device),
        machine=machine(device, "one thread"),
        about=(
            f"Medians over {counted(rounds, 'round')} in which the contenders take turns, with quartiles; ratios are "
            "taken within rounds. Compiling is left out."
        ),
        tables=[table(case, interleaved(contenders(case, device, seconds), rounds)) for case in cases],
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # inductor's own
        timed_here("benchmarks.computing", __doc__, section, rounds=9, cases=SIZES, seconds=0.5, arguments=arguments)


if __name__ == "__main__":
    main()
