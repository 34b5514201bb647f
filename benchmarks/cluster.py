"""What a Ray cluster costs: the quickstart on one beside local processes, and a driver whose tasks do nothing.

    the quickstart   `python run.py sweep` with local processes, and with `--cluster local`, in turns, into new folders;
                     and what starting the cluster takes, until its nodes have said what they are
    the driver       a grid of so many runs: its runs, their stacks, and a task for each that does nothing, on a cluster
                     of two CPUs that is there already; no table is written

A driver is a process of its own; its memory is that at its peak, less what it had when it was connected. On two cores
it takes five minutes. `python -m benchmarks.cluster --driver RUNS` is one driver, and `--start` one start.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from benchmarks.growth import exponents
from benchmarks.timing.machine import machine, one_thread
from benchmarks.timing.options import command_of, parser
from benchmarks.timing.processes import peak_bytes, run_python
from benchmarks.timing.results import Section, Table, counted, number, shown, tell
from benchmarks.timing.rounds import Contender, interleaved, ratio, spread
from simulator import Sweep
from simulator.common.terminal import say
from simulator.execution.cluster.connect import connected, import_ray
from simulator.execution.cluster.handing import Handing
from simulator.execution.cluster.node import Outcome
from simulator.execution.cluster.ticks import TickBox
from simulator.execution.jobs.retry import Job
from simulator.execution.jobs.stack_job import WorkerContext
from simulator.execution.request import make_request
from simulator.execution.workers import Where
from simulator.storage.layout import ResultFolder
from simulator.sweeps.stacking import stacks

RUNS = (1_000, 10_000, 100_000)
LOCAL, CLUSTER, START = "local processes", "`--cluster local`", "the cluster's start"
LESS = "less the start"
BETAS = 4

Array = np.ndarray


def nothing(*_: object) -> Outcome:
    """A job that is done at once and leaves nothing."""
    return Outcome()


def driver(runs: int) -> dict[str, float]:
    """Seconds and bytes for each run of a driver of so many runs, and its stacks."""
    where = Where(device="cpu", workers=2, cluster="local")
    sweep = Sweep.from_toml("quickstart", [f"sweep.seeds={max(1, runs // (6 * BETAS))}"])
    with tempfile.TemporaryDirectory() as place, connected(where, sweep, Path(place)) as workers:
        ray = import_ray()
        before, began = peak_bytes(), time.perf_counter()
        request = make_request(sweep, Path(place) / "out", fresh=False)
        arrangement = workers.arrange(request.wanted)
        index = {run.run_id: i for i, run in enumerate(request.runs)}
        jobs = [
            Job(kind="runs", indices=tuple(index[run.run_id] for run in stack))
            for stack in stacks(request.wanted, arrangement.sizes)
        ]
        handing = Handing(
            ray=ray,
            context=WorkerContext(
                folder=ResultFolder(path=Path(place)),
                sweep=sweep,
                runs=request.runs,
                members=[],
                device=torch.device("cpu"),
                save_every=1e9,
                worlds={},
            ),
            box=ray.remote(num_cpus=0)(TickBox).remote(),
            task=ray.put(None),
            options={"num_cpus": 1, "max_retries": 0},
            limit=None,
            needs=("CPU",),
            do=nothing,
        )
        done = 0

        def watch(steps: int, runs: int, worked: bool) -> None:
            nonlocal done
            done += runs

        failed = handing.execute(jobs, watch)
        assert (done, failed) == (len(request.runs), {})
        seconds = time.perf_counter() - began
        count = len(request.runs)
        return {"runs": count, "stacks": len(jobs), "seconds": seconds, "bytes": peak_bytes() - before}


def start() -> dict[str, float]:
    """Seconds until a cluster on this machine is there and its nodes have said what they are."""
    sweep = Sweep.from_toml("quickstart")
    with tempfile.TemporaryDirectory() as place:
        began = time.perf_counter()
        with connected(Where(device="cpu", cluster="local"), sweep, Path(place)):
            return {"seconds": time.perf_counter() - began}


def quickstart(*more: str) -> Contender:
    """Seconds of the command, into a new folder."""

    def measure() -> float:
        with tempfile.TemporaryDirectory() as place:
            began = time.perf_counter()
            run_python(["run.py", "sweep", "--out", f"{place}/results", "--device", "cpu", *more])
            return time.perf_counter() - began

    return measure


def in_process(*arguments: str) -> dict[str, float]:
    """What a process of this module prints."""
    found: dict[str, float] = json.loads(run_python(["-m", "benchmarks.cluster", *arguments]).splitlines()[-1])
    return found


def of_quickstart(times: Mapping[str, Array]) -> Table:
    """The quickstart, from seconds [rounds] of each way."""
    apart = {**times, LESS: times[CLUSTER] - times[START]}
    rows = [(LOCAL, shown(spread(times[LOCAL])), "1")]
    for name, caption in ((CLUSTER, CLUSTER), (LESS, f"{CLUSTER}, less its start")):
        rows.append((caption, shown(spread(apart[name])), shown(ratio(apart, name, LOCAL))))
    rows.append((START, shown(spread(times[START])), ""))
    return Table(caption="The quickstart", columns=("", "seconds", "times local"), rows=rows)


def of_drivers(found: Sequence[Sequence[Mapping[str, float]]]) -> Table:
    """Drivers, from what each gave in each round."""
    medians = [{name: float(np.median([one[name] for one in some])) for name in some[0]} for some in found]
    sizes = [one["runs"] for one in medians]
    growth = {
        name: ["", *map("{:.2f}".format, exponents(sizes, [one[name] for one in medians]))] for name in medians[0]
    }
    rows = [
        (
            *(f"{one['runs']:,.0f}", f"{one['stacks']:,.0f}"),
            *(number(one["seconds"]), number(1e3 * one["seconds"] / one["runs"]), growth["seconds"][i]),
            *(number(one["bytes"] / 2**20), number(one["bytes"] / 2**10 / one["runs"]), growth["bytes"][i]),
        )
        for i, one in enumerate(medians)
    ]
    columns = ("runs", "stacks", "seconds", "ms a run", "exponent", "MiB", "KiB a run", "exponent")
    return Table(caption="A driver whose tasks do nothing", columns=columns, rows=rows)


def section(rounds: int, runs: Sequence[int], *, whole: bool) -> Section:
    """Measure the drivers, and the quickstart where that is wanted."""
    tables = []
    if whole:
        ways: dict[str, Contender] = {
            LOCAL: quickstart(),
            CLUSTER: quickstart("--cluster", "local"),
            START: lambda: in_process("--start")["seconds"],
        }
        tables.append(of_quickstart(interleaved(ways, rounds)))
    found = [[in_process("--driver", str(count)) for _ in range(rounds)] for count in runs]
    tables.append(of_drivers(found))
    return Section(
        title="A sweep on a Ray cluster",
        machine=machine(torch.device("cpu"), "processes of one thread"),
        about=f"Medians over {counted(rounds, 'round')}, with quartiles; each is a process of its own.",
        tables=tables,
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    options = parser("benchmarks.cluster", __doc__, rounds=3)
    options.add_argument("--runs", type=int, nargs="+", default=RUNS, help="of the grids (%(default)s)")
    options.add_argument("--drivers-only", action="store_true", help="leave the quickstart out")
    options.add_argument("--driver", type=int, help=argparse.SUPPRESS)
    options.add_argument("--start", action="store_true", help=argparse.SUPPRESS)
    asked = options.parse_args(arguments)
    one_thread()
    if asked.driver or asked.start:
        say(json.dumps(driver(asked.driver) if asked.driver else start()))
        return
    found = section(asked.rounds, sorted(set(asked.runs)), whole=not asked.drivers_only)
    tell(found, command_of(options, arguments), record=asked.record)


if __name__ == "__main__":
    main()
