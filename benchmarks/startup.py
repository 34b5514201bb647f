"""How soon the command line answers, and how long whole commands take, from start to end of a process.

Seconds from start to end of a process, with files read before. An interpreter with Pydantic and Cyclopts is the least
that a command with checked settings can take.

    nothing     an interpreter that ends at once
    libraries   one that imports Pydantic and Cyclopts
    the package import simulator, and the list of its names
    help        run.py --help
    a typo      run.py sweep with an unknown key
    the grid    run.py sweep with a point of the grid that cannot be
    a plan      run.py sweep --dry-run, which is right and so imports torch

Whole commands use all cores, and are given in times of a process that imports torch: the quickstart, from the command
to its page, with a reference in the cache or without, and with the sweep logged to MLflow; a report of 27 runs; and a
sweep of 1,008 runs that ended, again.
"""

import itertools
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import torch

from benchmarks.timing.machine import cores, machine
from benchmarks.timing.options import at_least_one, command_of, parser
from benchmarks.timing.results import Section, Table, counted, number, shown, tell
from benchmarks.timing.rounds import Array, Contender, interleaved, ratio, spread

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
    "a plan": ((RUN, "sweep", "--dry-run", "--out", "no-records"), 0),
}


IMPORTING = "import torch"
FEW = ("sweep.loss=['logistic', 'hinge', 'squared']", "sweep.beta=[0.01, 0.1, 1.0]", "sweep.seeds=3")
TRACKED = ("--track", "mlflow")
MANY = ("sweep.seeds=42", "world.vocabulary=4", "world.response_length=3", "train.steps=20")


def took(arguments: Sequence[str], code: int = 0, cache: str = "", place: Path | None = None) -> float:
    """Seconds of a process, with another cache of references, and in another working folder, where one is named.

    Raises RuntimeError where it ends otherwise than with this exit code.
    """
    environment = os.environ | ({"SIMULATOR_CACHE": cache} if cache else {})
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, check=False, env=environment, cwd=place
    )
    seconds = time.perf_counter() - began
    if done.returncode != code:
        raise RuntimeError(f"{' '.join(arguments)}: ended with {done.returncode}, not {code}: {done.stderr}")
    return seconds


def whole_commands(folder: Path) -> dict[str, Contender]:
    """Whole commands, with records below a folder; what they need is made here."""
    numbers, cache = itertools.count(), str(folder / "references")

    def quickstart(*more: str, cached: bool = True) -> float:
        new = folder / f"{next(numbers)}"
        command = (RUN, "sweep", "--out", str(new), *more)
        return took(command, cache=cache if cached else f"{new}-references", place=folder)

    few, many = (
        (RUN, "sweep", "--out", str(folder / name), "--set", *settings)
        for name, settings in (("few", FEW), ("many", MANY))
    )
    for command in (few, many):
        took(command, cache=cache)
    quickstart(*TRACKED)
    return {
        IMPORTING: partial(took, ("-c", IMPORTING)),
        "the quickstart": quickstart,
        "the same, its reference trained, too": partial(quickstart, cached=False),
        "the same, logged to MLflow": partial(quickstart, *TRACKED),
        "a report of 27 runs": partial(took, (RUN, "report", str(folder / "few"))),
        "1,008 finished runs again": partial(took, many, cache=cache),
    }


def table(caption: str, times: Mapping[str, Array], least: str) -> Table:
    """Seconds of each, and their ratio to one of them."""
    return Table(
        caption=caption,
        columns=("", "seconds", f"times as long as {least}"),
        rows=[
            (name, number(spread(seconds).median), shown(ratio(times, name, least))) for name, seconds in times.items()
        ],
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    options = parser("benchmarks.startup", __doc__, rounds=9)
    options.add_argument("--whole-rounds", type=at_least_one, default=3, help="of whole commands (%(default)s)")
    asked = options.parse_args(arguments)
    ways = {name: partial(took, command, code) for name, (command, code) in COMMANDS.items()}
    for way in ways.values():
        way()
    tables = [table("From start to end of a process", interleaved(ways, asked.rounds), LEAST)]
    with tempfile.TemporaryDirectory() as folder:
        times = interleaved(whole_commands(Path(folder)), asked.whole_rounds)
        tables.append(table(f"Whole commands, on {counted(cores(), 'core')}", times, IMPORTING))
    section = Section(
        title="How soon the command line answers",
        machine=machine(torch.device("cpu"), "a process each"),
        about=(
            f"Medians over {counted(asked.rounds, 'round')}, of whole commands over "
            f"{counted(asked.whole_rounds, 'round')}, in which all take turns; ratios within rounds."
        ),
        tables=tables,
    )
    tell(section, command_of(options, arguments), record=asked.record)


if __name__ == "__main__":
    main()
