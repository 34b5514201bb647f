"""A sweep of 64 runs of 200 steps on all cores, start-up included, ours against TRL with one process a run.

    ours, training             one process for each core, which reads the pairs of its share of the runs, trains them in
                               stacks and writes their final parameters: what TRL does here, too
    ours, the whole command    `python run.py sweep` from a TOML file of the same sizes: the world, the reference's
                               training, the labels, training with all its measurements, records, figures and page
    TRL, lean                  one process a run, as many at a time as there are cores

All that is measured is seconds from the first process's start to the last one's end. TRL's runs are alike, so few of
them are enough: a table says how many were run, and scales their time to 64. On two cores it takes a quarter of an
hour.
"""

import itertools
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np
import tomli_w
import torch
from safetensors.torch import save_file

from benchmarks.contenders.cases import CASES, Case, kept
from benchmarks.contenders.planned import stack_of, tables_of
from benchmarks.timing.machine import cores, machine
from benchmarks.timing.options import asked_cases, at_least_one, command_of, parser
from benchmarks.timing.processes import run_python, seconds_of
from benchmarks.timing.results import Section, Table, counted, shown, tell, trl_is_here
from benchmarks.timing.rounds import Contender, interleaved, ratio, spread

BETAS = (0.03, 0.1, 0.3, 1.0)
TRAINING, COMMAND, TRL = "ours, training", "ours, the whole command", "TRL, lean"
OURS = (TRAINING, COMMAND)

Array = np.ndarray


@dataclass(frozen=True, kw_only=True)
class Asked:
    """How large the sweep is: `seeds` for each of BETAS. trl_runs: how many of its runs TRL is asked for."""

    seeds: int
    steps: int
    trl_runs: int

    @property
    def runs(self) -> int:
        """How many runs it has."""
        return len(BETAS) * self.seeds


def shares(runs: int, parts: int) -> list[range]:
    """The runs in as many parts, as equal as can be."""
    bounds = np.linspace(0, runs, min(parts, runs) + 1).astype(int).tolist()
    return [range(first, end) for first, end in itertools.pairwise(bounds)]


def even(count: int, most: int) -> int:
    """The size of stacks of at most `most` that hold `count` runs and are alike."""
    return -(-count // -(-count // most))


def of_training(case: Case, asked: Asked, data: Path) -> Contender:
    """Our engine alone, in a process for each core."""
    most, commands = stack_of(case, torch.device("cpu")), []
    for some in shares(asked.runs, cores()):
        numbers = asked.steps, some.start, len(some), even(len(some), most)
        out = data.with_name(f"ours-{some.start}.safetensors")
        commands.append(["-m", "benchmarks.contenders.worker", case.name, *map(str, numbers), str(data), str(out)])
    return lambda: seconds_of(commands, cores())


def of_trl(case: Case, asked: Asked, data: Path) -> Contender:
    """TRL with a process for each run, scaled to all runs."""
    commands = []
    for run in range(asked.trl_runs):
        out = data.with_name(f"trl-{run}.safetensors")
        commands.append(
            ["-m", "benchmarks.contenders.by_trl", case.name, str(asked.steps), str(run), str(data), str(out)]
        )
    return lambda: seconds_of(commands, cores()) * asked.runs / asked.trl_runs


def of_command(case: Case, asked: Asked, folder: Path) -> Contender:
    """The command line, into a new folder each time, without a reference that was trained before."""
    config = folder / "sweep.toml"
    grid = {"loss": ["logistic"], "beta": [*BETAS], "seeds": asked.seeds}
    config.write_text(tomli_w.dumps(tables_of(case, asked.steps) | {"sweep": grid}), encoding="utf-8")

    def measure() -> float:
        with tempfile.TemporaryDirectory(dir=folder) as place:
            began = perf_counter()
            run_python(
                ["run.py", "sweep", str(config), "--out", f"{place}/results", "--device", "cpu"],
                {"SIMULATOR_CACHE": f"{place}/references"},
            )
            return perf_counter() - began

    return measure


def contenders(case: Case, asked: Asked, folder: Path) -> dict[str, Contender]:
    """Everyone at one size; without TRL where that is missing."""
    data = folder / "pairs.safetensors"
    save_file(kept(case, asked.runs), data)
    found = {TRAINING: of_training(case, asked, data), COMMAND: of_command(case, asked, folder)}
    if trl_is_here():
        found[TRL] = of_trl(case, asked, data)
    return found


def table(case: Case, asked: Asked, times: Mapping[str, Array]) -> Table:
    """One size, from seconds [rounds] of each contender."""
    rows = [
        (name, shown(spread(seconds)), *("1" if name == ours else shown(ratio(times, name, ours)) for ours in OURS))
        for name, seconds in times.items()
    ]
    measured = f"{asked.trl_runs} of TRL's {asked.runs} runs were measured"
    scaled = f", and their time scaled by {asked.runs / asked.trl_runs:g}" if asked.trl_runs < asked.runs else ""
    caption = f"{case.told}; {asked.runs} runs, {asked.steps} steps{f'; {measured}{scaled}' if TRL in times else ''}"
    return Table(caption=caption, columns=("", "seconds", "times our training", "times our command"), rows=rows)


def section(asked: Asked, rounds: int, cases: Sequence[Case]) -> Section:
    """Measure everyone at these sizes."""
    tables = []
    for case in cases:
        with tempfile.TemporaryDirectory() as folder:
            times = interleaved(contenders(case, asked, Path(folder)), rounds)
            tables.append(table(case, asked, times))
    return Section(
        title="A sweep, start-up included",
        machine=machine(torch.device("cpu"), f"{cores()} processes of one thread"),
        about=(
            f"Seconds from the first process's start to the last one's end; medians over "
            f"{counted(rounds, 'round')} in which the contenders take turns, with quartiles."
        ),
        tables=tables,
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    options = parser("benchmarks.sweep", __doc__, rounds=1, cases=CASES)
    options.add_argument(
        "--trl-runs",
        type=at_least_one,
        default=8,
        help="runs that TRL is asked for, or so many that all cores are busy (8)",
    )
    options.add_argument("--seeds", type=at_least_one, default=16, help="runs of each of four betas (16)")
    options.add_argument("--steps", type=at_least_one, default=200, help="of each run (200)")
    given = options.parse_args(arguments)
    runs = len(BETAS) * given.seeds
    full = -(-given.trl_runs // cores()) * cores()  # no core is idle while the last one works
    asked = Asked(seeds=given.seeds, steps=given.steps, trl_runs=min(full, runs))
    tell(section(asked, given.rounds, asked_cases(given, CASES)), command_of(options, arguments), record=given.record)


if __name__ == "__main__":
    main()
