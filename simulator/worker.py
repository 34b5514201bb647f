"""A process that runs stacks: `python -m simulator.worker DIR DEVICE SECONDS [BESIDE]`.

It reads the sweep from DIR/config.toml, whose code of the user's own is looked up in BESIDE, and never in DIR; then one
job after another from standard input, each as a line of JSON: {"kind": "runs", "places": […]}, of runs in the grid, or
of proxies among those that the grid needs. It answers with lines of JSON: {"found": n} steps that a saved state had
taken, {"steps": n} now and then, and at last {"done": true} once the stack's records are on disk, or {"trouble": …}.
The state of a stack is saved every so many SECONDS.

It ends at once when its input does, that is, when the process that hands out jobs is gone: nobody else may write into
DIR then. Asked to stop by SIGTERM, once or several times, it saves the state of its stack first.

One thread: on a CPU two such processes finish sooner than one with two threads, and their sums do not
depend on how many cores the machine has.
"""

import json
import os
import queue
import sys
import threading
import warnings
from collections.abc import Callable
from contextlib import redirect_stdout, suppress
from dataclasses import asdict
from pathlib import Path

import torch

from simulator.config import Sweep, code_of
from simulator.folder import Folder
from simulator.grid import expand, with_proxies
from simulator.interrupts import INTERRUPTED, listening, stop_if_wanted
from simulator.jobs import Job, trouble_of
from simulator.proxies import needed
from simulator.stacks import Desk, do, one_thread


def lines_of_input() -> "queue.SimpleQueue[str]":
    """Lines of standard input as they come; the process ends when they do."""
    lines: queue.SimpleQueue[str] = queue.SimpleQueue()

    def read() -> None:
        for line in sys.stdin:
            lines.put(line)
        os._exit(0)

    threading.Thread(target=read, daemon=True).start()
    return lines


def serve(folder: Folder, device: torch.device, every: float, beside: Path | None) -> None:
    """Answer standard input until it ends."""
    channel = sys.stdout

    def say(**answer: object) -> None:
        print(json.dumps(answer), file=channel, flush=True)

    lines = lines_of_input()
    with redirect_stdout(sys.stderr):  # code of the user's own may print
        sweep = Sweep.from_toml(folder.config, beside=beside)
        code_of(sweep)
        runs = expand(sweep)
        members = needed(with_proxies(runs))
        desk = Desk(folder=folder, sweep=sweep, runs=runs, members=members, device=device, every=every, worlds={})
        while True:
            stop_if_wanted()  # an error may have come before the end of what held it off
            asked = json.loads(lines.get())
            job = Job(kind=asked["kind"], places=tuple(asked["places"]))
            answer(job, desk, say)


def answer(job: Job, desk: Desk, say: Callable[..., None]) -> None:
    """Do a job, and say how it goes."""
    try:
        do(job, desk, lambda steps: say(steps=steps), lambda steps: say(found=steps))
    except (Exception, SystemExit) as error:  # code of the user's own may end a process
        say(trouble=asdict(trouble_of(error)))
        return
    say(done=True)


if __name__ == "__main__":
    place, where, seconds, *rest = sys.argv[1:]
    warnings.showwarning = lambda message, *_, **__: print(f"warning: {message}", file=sys.stderr)
    with suppress(KeyboardInterrupt, BrokenPipeError), listening(once=True), one_thread():
        serve(Folder(path=Path(place)), torch.device(where), float(seconds), Path(rest[0]) if rest else None)
    os._exit(INTERRUPTED)
