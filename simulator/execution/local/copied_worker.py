"""A worker that is a copy of this process (a fork): it has imported everything and holds the world, so it can begin.

A copy has one thread, whatever threads this process has, and a lock that another thread held stays locked in it. Nor
can a copy use a GPU. `can_copy` says where neither matters; elsewhere, as in a notebook, workers are started anew.
"""

import gc
import os
import signal
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from typing import IO

import torch

from simulator.common.signals import SIGNALS, forget_requests
from simulator.execution.devices import ONE_THREAD
from simulator.execution.jobs.stack_job import WorkerContext
from simulator.execution.local.worker import work

Pipe = tuple[int, int]  # descriptors to read from and to write to
MOST_COPIES = 64  # of one process, which holds four descriptors for each


def can_copy() -> bool:
    """Whether a copy of this process can work: on Linux, where libraries were told to have one thread, Python has one,
    and there is no GPU, for which torch has threads of its own as soon as it has taken a gradient.
    """
    alone = threading.active_count() == 1 and ONE_THREAD.items() <= os.environ.items()
    return sys.platform == "linux" and alone and not torch.accelerator.is_available()


@dataclass(frozen=True, kw_only=True)
class CopiedWorker:
    """A copy of this process at work, with the part of `subprocess.Popen` that is needed of it."""

    process: BaseProcess
    stdin: IO[str]
    stdout: IO[str]
    reaping: threading.Lock = field(default_factory=threading.Lock)

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code, once it has ended. Raises TimeoutExpired where it has not after `timeout` seconds."""
        if not wait([self.process.sentinel], timeout):
            raise subprocess.TimeoutExpired("a worker", timeout or 0.0)
        with self.reaping:  # one thread may learn the code
            self.process.join()
        assert self.process.exitcode is not None
        return self.process.exitcode

    def poll(self) -> int | None:
        """Its exit code, or None while it works."""
        return self.wait() if wait([self.process.sentinel], 0) else None

    def terminate(self) -> None:
        """Send SIGTERM."""
        self.process.terminate()

    def kill(self) -> None:
        """Send SIGKILL."""
        self.process.kill()


Worker = subprocess.Popen[str] | CopiedWorker


@contextmanager
def signals_blocked() -> Iterator[None]:
    """Signals that ask to stop wait until the block ends: a copy begins with the handlers of this process."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def copy_of_this(context: WorkerContext, others: Sequence[IO[str]]) -> CopiedWorker:
    """A copy of this process that works with `context`. others: channels of other workers, which it closes.

    Raises OSError where it cannot be made.
    """
    jobs = os.pipe()
    try:
        answers = os.pipe()
    except OSError:
        close_all(*jobs)
        raise
    process = get_context("fork").Process(target=be_worker, args=(context, jobs, answers, others), daemon=True)
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    gc.freeze()  # what is there now is shared with the copy, and not looked through there
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of threads that libraries have, and know how to copy
        try:
            process.start()
        except OSError:
            close_all(*jobs, *answers)
            raise
    close_all(jobs[0], answers[1])
    return CopiedWorker(
        process=process,
        stdin=os.fdopen(jobs[1], "w", encoding="utf-8"),
        stdout=os.fdopen(answers[0], encoding="utf-8"),
    )


def add_copies(processes: list[Worker], context: WorkerContext, wanted: int) -> None:
    """Add copies of this process, so many or as many as can be made. A signal waits until each is in the list."""
    with suppress(OSError):  # others are started then
        for _ in range(min(wanted, MOST_COPIES)):
            others = [pipe for process in processes for pipe in (process.stdin, process.stdout) if pipe]
            with signals_blocked():
                processes.append(copy_of_this(context, others))


def close_all(*descriptors: int) -> None:
    """Close files by their descriptors."""
    for each in descriptors:
        os.close(each)


def be_worker(context: WorkerContext, jobs: Pipe, answers: Pipe, others: Sequence[IO[str]]) -> None:
    """What a copy does: it takes the place of a worker that was started, in a process group of its own."""
    os.setsid()
    close_all(jobs[1], answers[0])
    for channel in others:
        channel.close()
    for end, standard in ((jobs[0], 0), (answers[1], 1)):
        if end != standard:
            os.dup2(end, standard)
            os.close(end)
    if sys.stderr is not None:  # a progress bar may have replaced it
        sys.stderr = os.fdopen(2, "w", buffering=1, errors="backslashreplace", closefd=False)
        sys.stdout = os.fdopen(1, "w", buffering=1, errors="backslashreplace", closefd=False)
    forget_requests()
    work(context, unblock=SIGNALS)
