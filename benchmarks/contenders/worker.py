"""Some runs by our engine: `python -m benchmarks.contenders.worker CASE STEPS FIRST COUNT STACK DATA OUT`.

It reads the pairs of the COUNT runs from number FIRST on from DATA, see `cases.kept`, trains them in stacks of at most
STACK for STEPS steps, and writes their final parameters to OUT: what one process for each run does with TRL.
"""

import sys
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from benchmarks.contenders.cases import CASES, Case, found, problem_of
from simulator.engine.gradient_steps import advance, start


def trained(case: Case, steps: int, runs: range, data: Path) -> Tensor:
    """The final parameters of one stack, [R, D]."""
    reference, pairs = found(data, runs)
    problem = problem_of(case, pairs, reference, runs, steps)
    return advance(start(reference, len(runs), problem), problem, steps).parameters


def main(name: str, steps: str, first: str, count: str, stack: str, data: str, out: str) -> None:
    """Train the runs, one stack after the other."""
    torch.set_num_threads(1)
    end, size = int(first) + int(count), int(stack)
    stacks = [range(begin, min(begin + size, end)) for begin in range(int(first), end, size)]
    parameters = [trained(CASES[name], int(steps), runs, Path(data)) for runs in stacks]
    save_file({"parameters": torch.cat(parameters)}, out)


if __name__ == "__main__":
    main(*sys.argv[1:])
