"""A sweep on a terminal: what it would take, how far it is, and what an interruption leaves.

What is heavy is imported when a sweep is run, so that the command line answers at once.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

    from simulator.execution.request import Request
    from simulator.execution.workers import Where
    from simulator.sweeps.sweep import Sweep
    from simulator.tracking.process import Tracking

STOPPING = b"\nstopping when what is being written is on disk; once more stops at once\n"

Switch = Annotated[bool, Parameter(negative=())]
Settings = Annotated[tuple[str, ...], Parameter(name="--set", consume_multiple=(1, 10_000), negative=())]
Show = Callable[[Path, str], list[str]]  # draws the table in a file by the figure of a name; lines on both


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Running:
    """How a sweep is run.

    Parameters
    ----------
    device
        Where policies are trained.
    workers
        Processes to train in on a CPU, or stacks at a time on a cluster; one for each core unless said.
    memory
        What they may take together, such as 2GiB (on a GPU, its memory; on a cluster, that of each node); half of what
        is free unless said.
    cluster
        Run on a Ray cluster: its address, such as 10.0.0.1:6379 or auto, or local to start one on this machine.
    fresh
        Start over: remove the records that the folder holds.
    track
        Log every run to a tracker when the sweep has ended: mlflow, or one of your own as my_file.py:function.
    accept_source
        Go on with records that other code made, which may give other numbers; records and the page say so.
    dry_run
        Print the time and memory that the unfinished runs would take, and do nothing.

    """

    device: Literal["auto", "cpu", "cuda"] = "auto"
    workers: int | None = None
    memory: str | None = None
    cluster: str | None = None
    fresh: Switch = False
    track: str | None = None
    accept_source: Switch = False
    dry_run: Switch = False

    def tracking(self) -> AbstractContextManager[Tracking]:
        """The tracker at work while the block runs, if one was asked for. Raises ConfigError."""
        from simulator.tracking.process import tracking

        return tracking(self.track, work=not self.dry_run)

    @property
    def where(self) -> Where:
        """Where stacks run."""
        from simulator.execution.workers import Where

        return Where(
            device=self.device, workers=self.workers, memory=self.memory, cluster=self.cluster, copies=not self.cluster
        )

    def start(self, sweep: Sweep, target: Path, tracking: Tracking, some: SomeRuns | None = None) -> bool:
        """Run a sweep, or with `dry_run` print what it would take; whether it ran. some: which of its runs."""
        from simulator.execution.devices import end_importing
        from simulator.execution.request import make_request

        end_importing()
        some = some or SomeRuns()
        request = make_request(sweep, target, part=some.part, grow=some.grow, fresh=self.fresh)
        if self.dry_run:
            print_plan(request, self)
        else:
            tracking.await_own()
            run_with_progress(request, self)
            tracking.log(target)
        return not self.dry_run


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class SomeRuns:
    """Which runs of a sweep are run.

    Parameters
    ----------
    grow
        Add what the sweep lists, such as more seeds or values of beta, to the sweep that the folder holds.
    part
        Run one part of the runs, such as 3/8, for jobs that know nothing of each other; join puts them together.

    """

    grow: Switch = False
    part: str | None = None

    def folder(self, config: Path) -> Path:
        """Where records go unless said. Raises ConfigError."""
        from pathlib import Path

        from simulator.joining.part import parse_part

        return Path("results") / f"{config.stem}{parse_part(self.part).suffix if self.part else ''}"


def print_plan(request: Request, options: Running) -> None:
    """Print what a sweep into its folder would take. Raises ConfigError."""
    from simulator.common.terminal import say
    from simulator.execution.planning.estimate import make_plan

    plan = make_plan(request, options.where, accept_source=options.accept_source)
    say(*plan.lines(request.folder.path))


def run_with_progress(request: Request, options: Running) -> None:
    """Run a sweep with its progress on standard output. Raises what `run_sweep` raises."""
    from simulator.common.signals import handling_signals
    from simulator.common.terminal import say
    from simulator.execution.devices import choose_device
    from simulator.execution.progress import progress_on
    from simulator.execution.run_sweep import run_request
    from simulator.storage.inventory import describe_unfinished
    from simulator.sweeps.grid import engines_used

    where = options.where
    place = f"on a cluster ({where.cluster})"
    if where.cluster is None:
        place = f"by {engines_used(request.wanted, choose_device(where.device))}"
    try:
        with handling_signals(STOPPING), progress_on(sys.stdout, request, place) as watch:
            run_request(request, where, accept_source=options.accept_source, watch=watch)
    except KeyboardInterrupt:
        say(f"interrupted: {describe_unfinished(request.folder)}; the same command goes on from there")
        raise


def schema() -> None:
    """Print the JSON Schema of sweep files, for editors that complete keys and mark mistakes.

    Save it beside your sweeps, as with `python run.py schema > sweep.schema.json`; with `#:schema sweep.schema.json` on
    the first line of a sweep, editors that use Taplo, such as VS Code with Even Better TOML, find it.
    """
    from simulator.common.terminal import say
    from simulator.sweeps.json_schema import schema_text

    say(*schema_text().split("\n"))


def left_over(words: Sequence[str]) -> str:
    """What to answer where no option of a command takes these words of its command line."""
    text = " ".join(words)
    hint = f"keys of the sweep follow --set: --set {text}" if all("=" in word for word in words) else "see --help"
    return f"{text}: is no argument of this command; {hint}"
