"""Handing jobs out, to worker processes or to this one, until each is done or stays failed.

What is tried after a failure is decided in `simulator/execution/retry.py`; the workers' side is
`simulator/execution/worker.py`.
"""

import json
import os
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from simulator.common.signals import stop_if_requested
from simulator.common.terminal import is_broken_pipe
from simulator.engine.recorder import Tick
from simulator.execution.copied_worker import Worker, add_copies, can_copy
from simulator.execution.devices import ONE_THREAD
from simulator.execution.retry import Failure, Job, failure_of, failure_of_dead_process, next_try, retry_message
from simulator.execution.stack_job import WorkerContext
from simulator.storage.layout import ResultFolder

GRACE = 20.0  # seconds
SLOW = 3.0  # seconds
HAS_SIGTERM = os.name == "posix"  # elsewhere terminating a process ends it at once
ANSWERS = ("code", "steps", "found", "done", "failure")
SOURCE = Path(__file__).resolve().parents[2]
ENVIRONMENT = ONE_THREAD | {
    "PYTHONPATH": os.pathsep.join(filter(None, [str(SOURCE), os.environ.get("PYTHONPATH")])),
}

Watch = Callable[[int, int, bool], None]
Failures = dict[Job, Failure]
Executor = Callable[[Sequence[Job], Watch], Failures]
RunJob = Callable[[Job, Tick, Tick], Failure | None]  # a job, told of steps taken and of steps found


class OutsideError(RuntimeError):
    """What would hit every other job too has ended one; the text says what."""


@dataclass(kw_only=True)
class Counter:
    """Steps and runs of jobs, told to a watch by one thread at a time; what a failed job had done is taken back."""

    watch: Watch
    lock: threading.Lock = field(default_factory=threading.Lock)
    steps: dict[Job, list[int]] = field(default_factory=dict)

    def add_steps(self, job: Job, steps: int, *, worked: bool) -> None:
        """A job has taken steps, or found them taken."""
        with self.lock:
            self.steps.setdefault(job, [0, 0])[worked] += steps
            self.watch(steps * len(job.indices), 0, worked)

    def end_job(self, job: Job, *, done: bool) -> None:
        """A job is done, or failed."""
        with self.lock:
            found, worked = self.steps.pop(job, [0, 0])
            if done:
                self.watch(0, len(job.indices) if job.kind == "runs" else 0, True)
            else:
                self.watch(-found * len(job.indices), 0, False)
                self.watch(-worked * len(job.indices), 0, True)


@dataclass(kw_only=True)
class JobQueue:
    """Jobs that wait, those that failed, and how many are being done."""

    waiting: list[Job]
    failed: Failures = field(default_factory=dict)
    running: int = 0
    closed: bool = False
    changed: threading.Condition = field(default_factory=threading.Condition)

    def next_job(self) -> Job | None:
        """The next job; waits while one that is being done may yet come back; None where none will."""
        with self.changed:
            while not self.waiting and self.running and not self.closed:
                self.changed.wait()
            if self.closed or not self.waiting:
                return None
            self.running += 1
            return self.waiting.pop(0)

    def end_job(self, job: Job, failure: Failure | None) -> None:
        """A job is done, or failed and is tried otherwise. Raises OutsideError."""
        with self.changed:
            self.running -= 1
            self.changed.notify_all()
            if failure is None or self.closed:
                return
            if failure.cause == "outside":
                self.closed = True
                raise OutsideError(failure.text)
            then = next_try(job, failure)
            self.waiting[:0] = then
            if not then:
                self.failed[job] = failure
        if text := retry_message(job, failure, then):
            warnings.warn(text, UserWarning, stacklevel=2)

    def close(self) -> None:
        """Nothing more is to be done."""
        with self.changed:
            self.closed = True
            self.changed.notify_all()


def drain(queue: JobQueue, counter: Counter, do: RunJob) -> None:
    """Do one job after another until none is left. Raises OutsideError."""
    while job := queue.next_job():
        failure = do(job, partial(counter.add_steps, job, worked=True), partial(counter.add_steps, job, worked=False))
        counter.end_job(job, done=failure is None)
        queue.end_job(job, failure)


def in_process(do: Callable[[Job, Tick, Tick], None]) -> Executor:
    """Has jobs done in this process. `do` may raise."""

    def tried(job: Job, tick: Tick, found: Tick) -> Failure | None:
        try:
            do(job, tick, found)
        except Exception as error:
            stop_if_requested()
            return failure_of(error)
        return None

    def execute(jobs: Sequence[Job], watch: Watch) -> Failures:
        queue = JobQueue(waiting=list(jobs))
        drain(queue, Counter(watch=watch), tried)
        return queue.failed

    return execute


def start_worker(folder: ResultFolder, every: float, beside: Path | None) -> subprocess.Popen[str]:
    """A worker on the CPU, in a process group of its own, so that an interrupt reaches it only through us.

    Its import path is safe: a file in the working folder that is named like a module hides none.
    """
    where = [] if beside is None else [str(beside.resolve())]
    return subprocess.Popen(
        [
            sys.executable,
            "-P",
            "-m",
            "simulator.execution.worker",
            str(folder.path.resolve()),
            "cpu",
            str(every),
            *where,
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        env=os.environ | ENVIRONMENT,
        start_new_session=True,
        creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),  # where there are no sessions
    )


def ask_to_stop(worker: Worker) -> None:
    """Ask a worker to save the state of its stack and end; one that is already doing so does not mind."""
    if HAS_SIGTERM:
        worker.terminate()
        return
    assert worker.stdin is not None
    with suppress(OSError, ValueError):  # it has ended
        worker.stdin.write("\n")
        worker.stdin.flush()


def send_job(worker: Worker, job: Job, tick: Tick, found: Tick) -> Failure | None:
    """Have a worker do a job: why it failed, or None. Of a worker that died, or answers nonsense, there is an end."""
    assert worker.stdin is not None
    assert worker.stdout is not None
    code: list[str] = []
    try:
        worker.stdin.write(f"{json.dumps({'kind': job.kind, 'places': job.indices})}\n")
        worker.stdin.flush()
    except OSError as error:
        if not is_broken_pipe(error):
            raise
        return failure_of_dead_process(worker.wait())
    for line in worker.stdout:
        answer = read_answer(line)
        if answer is None:
            worker.kill()
            return failure_of_dead_process(worker.wait(), code)
        if "code" in answer:
            code = answer["code"]
        elif "steps" in answer:
            tick(answer["steps"])
        elif "found" in answer:
            found(answer["found"])
        else:
            return Failure(**answer["failure"]) if "failure" in answer else None
    return failure_of_dead_process(worker.wait(), code)


def read_answer(line: str) -> dict[str, Any] | None:
    """What a worker says; None where it is no answer, since something else wrote into its channel."""
    try:
        answer = json.loads(line)
    except ValueError:
        return None
    known = isinstance(answer, dict) and len(answer) == 1 and next(iter(answer)) in ANSWERS
    return answer if known else None


@contextmanager
def workers_on(
    folder: ResultFolder,
    workers: int,
    every: float,
    beside: Path | None = None,
    copied: WorkerContext | None = None,
) -> Iterator[Executor]:
    """`workers` processes for the sweep in a folder, to hand jobs to while the block runs.

    every: seconds between two saved states of a stack. beside: where files that the sweep names are looked up first.
    copied: what copies of this process would work with, where workers may be such. A process that dies is replaced.
    """
    processes: list[Worker] = []

    def attend(number: int, queue: JobQueue, counter: Counter) -> None:
        def do(job: Job, tick: Tick, found: Tick) -> Failure | None:
            failure = send_job(processes[number], job, tick, found)
            if processes[number].poll() is not None and not queue.closed:
                close([processes[number]])
                processes[number] = start_worker(folder, every, beside)
            return failure

        try:
            drain(queue, counter, do)
        except BaseException:
            stop(queue)
            raise

    def stop(queue: JobQueue) -> None:
        queue.close()
        for process in processes:
            ask_to_stop(process)

    def execute(jobs: Sequence[Job], watch: Watch) -> Failures:
        queue, counter = JobQueue(waiting=list(jobs)), Counter(watch=watch)
        with ThreadPoolExecutor(workers) as threads:
            try:
                for thread in [threads.submit(attend, number, queue, counter) for number in range(workers)]:
                    thread.result()
            except BaseException:
                stop(queue)
                raise
        return queue.failed

    try:
        if copied and can_copy():
            add_copies(processes, copied, workers)
        while len(processes) < workers:
            processes.append(start_worker(folder, every, beside))
        yield execute
    finally:
        close(processes)


def close(processes: Sequence[Worker]) -> None:
    """End workers; one in the middle of a stack is given time to save its state, and this is said if it takes long."""
    for process in processes:
        ask_to_stop(process)
    began = time.monotonic()
    for process in processes:
        for until in (SLOW, GRACE):
            try:
                process.wait(max(0.0, began + until - time.monotonic()))
                break
            except subprocess.TimeoutExpired:
                if until == SLOW:
                    text = f"a worker is still in its stack; it is ended after {GRACE:g} s"
                    warnings.warn(text, UserWarning, stacklevel=2)
        else:
            process.kill()
            process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe:
                with suppress(OSError):  # what a process that died was still to be told
                    pipe.close()
