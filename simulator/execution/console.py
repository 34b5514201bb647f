"""A sweep on a terminal: what it would take, how far it is, and what an interruption leaves."""

import sys
from dataclasses import dataclass
from pathlib import Path

from simulator.common.signals import handling_signals
from simulator.common.terminal import say
from simulator.execution.devices import choose_device, processes_on
from simulator.execution.estimate import make_plan
from simulator.execution.progress import progress_on
from simulator.execution.run_sweep import run_sweep
from simulator.storage.inventory import describe_unfinished
from simulator.storage.layout import ResultFolder
from simulator.sweeps.sweep import Sweep

STOPPING = b"\nstopping when what is being written is on disk; once more stops at once\n"


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """Options of `run_sweep` that people set."""

    device: str
    workers: int | None
    memory: str | None
    fresh: bool
    accept_source: bool


def print_plan(sweep: Sweep, target: Path, options: RunOptions) -> None:
    """Print what a sweep into this folder would take. Raises ConfigError."""
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


def run_with_progress(sweep: Sweep, target: Path, options: RunOptions) -> None:
    """Run a sweep into this folder with its progress on standard output. Raises what `run_sweep` raises."""
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
