"""How far a sweep is: a live line on a terminal, a plain line now and then elsewhere."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import IO, TextIO, cast

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from simulator.common.terminal import BestEffortStream, say
from simulator.execution.jobs.job_queue import Watch
from simulator.execution.request import Request

PLAIN_EVERY = 10.0  # seconds between plain lines
LIVE_EVERY = 0.1  # seconds between two pictures of the live line
EARLY = 0.1  # share of the work before which the time left is not foretold


@dataclass(kw_only=True)
class ProgressCounts:
    """Counts of one sweep. What was found finished when it began counts as done but not towards the speed."""

    runs: int
    run_steps: int
    proxies: int = 0
    proxy_steps: int = 0
    done_runs: int = 0
    done_steps: int = 0
    trained_steps: int = 0
    header_shown: bool = False
    start_time: float = field(default_factory=time.monotonic)

    def add(self, steps: int, runs: int, *, worked: bool) -> None:
        """Count steps and runs that are done in addition."""
        self.header_shown = True
        self.done_steps += steps
        self.done_runs += runs
        self.trained_steps += steps if worked else 0

    def line(self) -> str:
        """The counts as text: runs done, run-steps per second, time left."""
        begun = self.done_runs or self.done_steps >= self.proxy_steps  # proxies come first
        text = f"{self.done_runs} of {self.runs} runs" if begun else f"training {self.proxies} proxies"
        elapsed = time.monotonic() - self.start_time
        left = self.run_steps - self.done_steps
        if self.trained_steps and elapsed > 0:
            speed = self.trained_steps / elapsed
            text += f", {speed:,.0f} run-steps/s"
            if self.trained_steps >= EARLY * (self.trained_steps + left):  # the first checkpoints are close together
                text += f", {clock(left / speed)} left"
        return text


def clock(seconds: float) -> str:
    """A time span as people say it."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 90 else f"{minutes / 60:.1f} h"


@contextmanager
def progress_on(stream: TextIO, request: Request, place: str) -> Iterator[Watch]:
    """Show on `stream` how far a sweep is while the block runs; what it yields is `run_sweep`'s `watch`.

    place: what computes, or where, for people.
    """
    runs, proxies = request.wanted, request.wanted_members
    proxy_steps = sum(member.steps for member in proxies)
    tally = ProgressCounts(runs=len(runs), run_steps=request.steps, proxies=len(proxies), proxy_steps=proxy_steps)
    also = f" and {len(proxies)} prox{'ies' if len(proxies) > 1 else 'y'}" if proxies else ""
    counted = f"{tally.runs} run{'s' * (tally.runs != 1)}{also}, {tally.run_steps:,} run-steps"
    header = f"{counted} {place}"
    whatever = BestEffortStream(stream=stream)
    if stream.isatty():
        columns = (TextColumn("{task.description}"), BarColumn())
        console = Console(file=cast(IO[str], whatever))
        # No thread of its own: workers may be copies of this process.
        with Progress(*columns, console=console, transient=True, auto_refresh=False) as progress:
            task = progress.add_task("making the world", total=tally.run_steps)
            progress.refresh()
            drawn = 0.0

            def live(run_steps: int, runs: int, worked: bool) -> None:
                nonlocal drawn
                if not tally.header_shown:
                    progress.console.print(header, highlight=False)
                tally.add(run_steps, runs, worked=worked)
                if time.monotonic() - drawn >= LIVE_EVERY:
                    drawn = time.monotonic()
                    progress.update(task, completed=tally.done_steps, description=tally.line(), refresh=True)

            yield live
    else:
        last = time.monotonic()

        def plain(run_steps: int, runs: int, worked: bool) -> None:
            nonlocal last
            if not tally.header_shown:
                say(header, stream=cast(TextIO, whatever))
            tally.add(run_steps, runs, worked=worked)
            if time.monotonic() - last >= PLAIN_EVERY:
                last = time.monotonic()
                say(tally.line(), stream=cast(TextIO, whatever))

        yield plain
