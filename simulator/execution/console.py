"""A sweep on a terminal: what it would take, how far it is, and what an interruption leaves.

What is heavy is imported when a sweep is run, so that the command line answers at once.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from simulator.sweeps.sweep import Sweep
    from simulator.tracking.process import Tracking

STOPPING = b"\nstopping when what is being written is on disk; once more stops at once\n"

Switch = Annotated[bool, Parameter(negative=())]


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Running:
    """How a sweep is run.

    Parameters
    ----------
    device
        Where policies are trained.
    workers
        Processes to train in on a CPU; one for each core unless said.
    memory
        What they may take together, such as 2GiB (on a GPU, its memory); half of what is free unless said.
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
    fresh: Switch = False
    track: str | None = None
    accept_source: Switch = False
    dry_run: Switch = False

    def tracking(self) -> AbstractContextManager[Tracking]:
        """The tracker at work while the block runs, if one was asked for. Raises ConfigError."""
        from simulator.tracking.process import tracking

        return tracking(self.track, work=not self.dry_run)

    def start(self, sweep: Sweep, target: Path, tracking: Tracking) -> bool:
        """Run a sweep, or with `dry_run` print what it would take; whether it ran."""
        from simulator.execution.devices import end_importing

        end_importing()
        if self.dry_run:
            print_plan(sweep, target, self)
        else:
            tracking.await_own()
            run_with_progress(sweep, target, self)
            tracking.log(target)
        return not self.dry_run


def print_plan(sweep: Sweep, target: Path, options: Running) -> None:
    """Print what a sweep into this folder would take. Raises ConfigError."""
    from simulator.common.terminal import say
    from simulator.execution.devices import choose_device, processes_on
    from simulator.execution.estimate import make_plan

    plan = make_plan(
        sweep,
        processes_on(options.device, options.workers),
        memory=options.memory,
        device=choose_device(options.device),
        out=target,
        fresh=options.fresh,
        accept_source=options.accept_source,
    )
    say(*plan.lines(target))


def run_with_progress(sweep: Sweep, target: Path, options: Running) -> None:
    """Run a sweep into this folder with its progress on standard output. Raises what `run_sweep` raises."""
    from simulator.common.signals import handling_signals
    from simulator.common.terminal import say
    from simulator.execution.devices import choose_device
    from simulator.execution.progress import progress_on
    from simulator.execution.run_sweep import run_sweep
    from simulator.storage.inventory import describe_unfinished
    from simulator.storage.layout import ResultFolder

    try:
        with handling_signals(STOPPING), progress_on(sys.stdout, sweep, choose_device(options.device)) as watch:
            run_sweep(
                sweep,
                target,
                device=options.device,
                workers=options.workers,
                memory=options.memory,
                fresh=options.fresh,
                accept_source=options.accept_source,
                watch=watch,
                copies=True,
            )
    except KeyboardInterrupt:
        say(f"interrupted: {describe_unfinished(ResultFolder(path=target))}; the same command goes on from there")
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
