"""A process that runs stacks: `python -m simulator.execution.local.worker DIR DEVICE SECONDS [BESIDE]`, or a copy.

One that was started reads the sweep from DIR/config.toml, whose code of the user's own is looked up in BESIDE, and
never in DIR. Then either takes one job after another from standard input, each as a line of JSON: {"kind": "runs",
"places": […]}, of runs in the grid, or of proxies among those that the grid needs. It answers on what was standard
output with lines of JSON: {"code": […]} the losses, gold rewards and features of the user's own that it is about to
run, {"found": n} steps that a saved state had taken, {"steps": n} now and then, and at last {"done": true} once the
stack's records are on disk, or {"failure": …}. Code of the user's own finds an empty standard input, and what it prints
goes to standard error. The state of a stack is saved every so many SECONDS.

It ends at once when its input does, that is, when the process that hands out jobs is gone: nobody else may write into
DIR then. Asked to stop by SIGTERM or by an empty line, once or several times, it saves the state of its stack first.

One thread: on a CPU two such processes finish sooner than one with two threads, and their sums do not
depend on how many cores the machine has.
"""

import json
import os
import queue
import signal
import sys
import threading
import warnings
from _thread import interrupt_main
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TextIO

import torch

from simulator.common.signals import INTERRUPTED, exit_now, handling_signals, stop_if_requested
from simulator.common.terminal import say
from simulator.execution.jobs.retry import Job, failure_of
from simulator.execution.jobs.stack_job import WorkerContext, context_in, run_job
from simulator.networks.compute_mode import one_thread
from simulator.own_rewards.source import is_own_reward
from simulator.settings.run import Run
from simulator.storage.layout import ResultFolder
from simulator.sweeps.own_code import own_code
from simulator.sweeps.sweep import Sweep
from simulator.user_code.loading import is_own


@dataclass(frozen=True, kw_only=True)
class Channel:
    """Where jobs come from and answers go, by descriptors of its own that code of the user's does not know."""

    jobs: TextIO
    answers: TextIO

    def say(self, **answer: object) -> None:
        """Send an answer."""
        self.answers.write(f"{json.dumps(answer)}\n")
        self.answers.flush()


def open_channel() -> Channel:
    """The channel on what are standard input and output, which become the null device and standard error."""
    channel = Channel(jobs=os.fdopen(os.dup(0), encoding="utf-8"), answers=os.fdopen(os.dup(1), "w", encoding="utf-8"))
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(2 if sys.stderr is not None else null, 1)
    os.close(null)
    return channel


def lines_of(jobs: TextIO) -> "queue.SimpleQueue[str]":
    """Lines of a stream as they come; the process ends when they do. An empty one does what SIGTERM would."""
    lines: queue.SimpleQueue[str] = queue.SimpleQueue()

    def read() -> None:
        for line in jobs:
            if not line.strip():
                interrupt_main(signal.SIGTERM)
            lines.put(line)
        exit_now(0)

    threading.Thread(target=read, daemon=True).start()
    return lines


def context_of(
    folder: ResultFolder, device: torch.device, every: float, beside: Path | None, channel: Channel
) -> WorkerContext:
    """What a process that was started works with, read from the folder."""
    sweep = Sweep.from_toml(folder.config, beside=beside)
    channel.say(code=[code.name for code in own_code(sweep)])
    return context_in(folder, sweep, device, every)


def serve(context: WorkerContext, lines: "queue.SimpleQueue[str]", channel: Channel) -> None:
    """Do the jobs that come, until there are no more."""
    runs = context.runs
    while True:
        stop_if_requested()  # an error may have come before the end of what held it off
        line = lines.get()
        if not line.strip():
            return
        asked = json.loads(line)
        job = Job(kind=asked["kind"], indices=tuple(asked["places"]))
        channel.say(code=own_code_of([runs[place] for place in job.indices] if job.kind == "runs" else []))
        answer(job, context, channel.say)


def own_code_of(runs: Sequence[Run]) -> list[str]:
    """The losses, gold rewards and features of the user's own that some runs use."""
    losses = {run.loss for run in runs if run.loss and is_own(run.loss)}
    policies = [run.settings.policy for run in runs]
    features = {each.features for each in policies if each.kind == "linear" and is_own(each.features)}
    return sorted(losses | features | {name for run in runs if is_own_reward(name := run.settings.gold.reward)})


def answer(job: Job, context: WorkerContext, say: Callable[..., None]) -> None:
    """Do a job, and say how it goes."""
    try:
        run_job(job, context, lambda steps: say(steps=steps), lambda steps: say(found=steps))
    except (Exception, SystemExit) as error:  # code of the user's own may end a process
        say(failure=asdict(failure_of(error)))
        return
    say(done=True)


def warn(message: Warning | str, *_: object, **__: object) -> None:
    """A warning as a line of standard error, unless that is gone."""
    with suppress(OSError):
        say(f"warning: {message}", stream=sys.stderr)


def work(context: WorkerContext | Callable[[Channel], WorkerContext], unblock: Sequence[signal.Signals] = ()) -> None:
    """Be a worker until the process ends. unblock: signals that are blocked until it listens to them."""
    warnings.showwarning = warn
    with suppress(KeyboardInterrupt, BrokenPipeError), handling_signals(once=True), one_thread():
        if unblock:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, unblock)
        channel = open_channel()
        lines = lines_of(channel.jobs)
        serve(context(channel) if callable(context) else context, lines, channel)
    exit_now(INTERRUPTED)


if __name__ == "__main__":
    place, where, seconds, *rest = sys.argv[1:]
    beside = Path(rest[0]) if rest else None
    work(partial(context_of, ResultFolder(path=Path(place)), torch.device(where), float(seconds), beside))
