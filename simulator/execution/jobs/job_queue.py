"""Handing jobs out, to whatever does them, until each is done or stays failed.

What is tried after a failure is decided in `simulator/execution/jobs/retry.py`.
"""

import threading
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from simulator.common.signals import stop_if_requested
from simulator.engine.recorder import Tick
from simulator.execution.jobs.retry import Failure, Job, failure_of, next_try, retry_message

Watch = Callable[[int, int, bool], None]
Failures = dict[Job, Failure]
Executor = Callable[[Sequence[Job], Watch], Failures]
RunJob = Callable[[Job, Tick, Tick], Failure | None]  # a job, which reports steps taken and steps found


class OutsideError(RuntimeError):
    """What would hit every other job too has ended one; the text says what."""


@dataclass(kw_only=True)
class Counter:
    """Steps and runs of jobs, given to a watch by one thread at a time; what a failed job had done is taken back."""

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

    def put_back(self, job: Job) -> None:
        """A job that was begun waits again, since it had no chance."""
        with self.changed:
            self.running -= 1
            self.waiting.insert(0, job)
            self.changed.notify_all()

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
