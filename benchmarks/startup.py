"""How soon the command line answers: its help, and wrong input, beside an interpreter that does nothing.

Seconds from start to end of a process, with files read before. An interpreter with Pydantic and Cyclopts is the least
that a command with checked settings can take.

    nothing     an interpreter that ends at once
    libraries   one that imports Pydantic and Cyclopts
    the package import simulator, and the list of its names
    help        run.py --help
    a typo      run.py sweep with an unknown key
    the grid    run.py sweep with a point of the grid that cannot be
    a plan      run.py sweep --dry-run, which is right and so imports torch
"""

import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import torch

from benchmarks.timing.machine import machine
from benchmarks.timing.options import command_of, parser
from benchmarks.timing.results import Section, Table, counted, number, shown, tell
from benchmarks.timing.rounds import Array, interleaved, ratio, spread

RUN = str(Path(__file__).resolve().parent.parent / "run.py")
LEAST = "libraries"
IMPOSSIBLE = ("--set", 'world.kind="sampled"', "--set", 'sweep.method="gibbs"')
COMMANDS: dict[str, tuple[tuple[str, ...], int]] = {  # and how each ends
    "nothing": (("-c", "pass"), 0),
    LEAST: (("-c", "import pydantic, cyclopts"), 0),
    "the package": (("-c", "import simulator; dir(simulator)"), 0),
    "help": ((RUN, "--help"), 0),
    "a typo": ((RUN, "sweep", "--set", "data.paires=3"), 2),
    "the grid": ((RUN, "sweep", *IMPOSSIBLE), 2),
    "a plan": ((RUN, "sweep", "--dry-run"), 0),
}


def took(arguments: Sequence[str], code: int) -> float:
    """Seconds of a process. Raises RuntimeError where it ends otherwise than with this exit code."""
    began = time.perf_counter()
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - began
    if done.returncode != code:
        raise RuntimeError(f"{' '.join(arguments)}: ended with {done.returncode}, not {code}: {done.stderr}")
    return seconds


def table(times: Mapping[str, Array]) -> Table:
    """Seconds of each, and their ratio to the least that there can be."""
    return Table(
        caption="From start to end of a process",
        columns=("", "seconds", f"times as long as {LEAST}"),
        rows=[
            (name, number(spread(seconds).median), shown(ratio(times, name, LEAST))) for name, seconds in times.items()
        ],
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    options = parser("benchmarks.startup", __doc__, rounds=9)
    asked = options.parse_args(arguments)
    ways = {name: partial(took, command, code) for name, (command, code) in COMMANDS.items()}
    for way in ways.values():
        way()
    section = Section(
        title="How soon the command line answers",
        machine=machine(torch.device("cpu"), "a process each"),
        about=f"Medians over {counted(asked.rounds, 'round')} in which all take turns; ratios within rounds.",
        tables=[table(interleaved(ways, asked.rounds))],
    )
    tell(section, command_of(options, arguments), record=asked.record)


if __name__ == "__main__":
    main()
