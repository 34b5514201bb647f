"""Worker processes of this machine, to which jobs are handed; their side is `simulator/execution/local/worker.py`."""

import json
import os
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from simulator.common.terminal import is_broken_pipe
from simulator.engine.recorder import Tick
from simulator.execution.devices import ONE_THREAD
from simulator.execution.jobs.job_queue import Counter, Executor, Failures, JobQueue, Watch, drain
from simulator.execution.jobs.retry import Failure, Job, failure_of_dead_process
from simulator.execution.jobs.stack_job import WorkerContext
from simulator.execution.local.copied_worker import Worker, add_copies, can_copy
from simulator.storage.layout import ResultFolder

GRACE = 20.0  # seconds
SLOW = 3.0  # seconds
HAS_SIGTERM = os.name == "posix"  # elsewhere terminating a process ends it at once
ANSWERS = ("code", "steps", "found", "done", "failure")
SOURCE = Path(__file__).resolve().parents[3]
ENVIRONMENT = ONE_THREAD | {
    "PYTHONPATH": os.pathsep.join(filter(None, [str(SOURCE), os.environ.get("PYTHONPATH")])),
}


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
            "simulator.execution.local.worker",
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
