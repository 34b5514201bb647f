"""Worker processes, and handing stacks to them: the parent's side of `simulator/worker.py`."""

import json
import os
import queue
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from simulator.records import Folder

SOURCE = Path(__file__).resolve().parent.parent
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "PYTHONPATH": os.pathsep.join(filter(None, [str(SOURCE), os.environ.get("PYTHONPATH")])),
}


def start_worker(folder: Folder, beside: Path | None) -> subprocess.Popen[str]:
    """A worker on the CPU, in a process group of its own, so that an interrupt reaches it only through us."""
    where = [] if beside is None else [str(beside.resolve())]
    return subprocess.Popen(
        [sys.executable, "-m", "simulator.worker", str(folder.path.resolve()), "cpu", *where],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | ENVIRONMENT,
        start_new_session=True,
    )


Job = dict[str, list[int]]  # {"runs": places} or {"proxies": places}; see simulator/worker.py
Hand = Callable[[Sequence[Job], Callable[[int, int], None]], dict[int, str]]


def ask(worker: subprocess.Popen[str], job: Job) -> Iterator[dict[str, Any]]:
    """The answers of a worker that is given a stack, up to the one that ends it: done, or an error."""
    assert worker.stdin is not None
    assert worker.stdout is not None
    try:
        print(json.dumps(job), file=worker.stdin, flush=True)
    except BrokenPipeError:
        yield {"error": f"its process ended with exit code {worker.wait()}", "ended": True}
        return
    for line in worker.stdout:
        answer = json.loads(line)
        yield answer
        if "steps" not in answer:
            return
    yield {"error": f"its process ended with exit code {worker.wait()}", "ended": True}


def attend(
    worker: subprocess.Popen[str],
    jobs: Sequence[Job],
    waiting: "queue.SimpleQueue[int]",
    tick: Callable[[int, int], None],
) -> dict[int, str]:
    """Hand one of the jobs after another to a worker until none waits; the reasons of those that failed.

    `tick(stack, steps)` is called when a stack has taken `steps` more steps.
    """
    failed: dict[int, str] = {}
    while True:
        try:
            stack = waiting.get_nowait()
        except queue.Empty:
            return failed
        for answer in ask(worker, jobs[stack]):
            if "steps" in answer:
                tick(stack, answer["steps"])
            if "error" in answer:
                failed[stack] = answer["error"]
            if answer.get("ended"):
                return failed


@contextmanager
def workers_on(folder: Folder, workers: int, beside: Path | None = None) -> Iterator[Hand]:
    """`workers` processes for the sweep in a folder, to hand stacks to while the block runs.

    beside: where files that the sweep names are looked up first. hand(jobs, tick) runs the jobs, and gives the reasons
    of those that failed.
    """
    processes = [start_worker(folder, beside) for _ in range(workers)]
    try:
        yield lambda jobs, tick: hand_out(processes, jobs, tick)
    finally:
        for process in processes:
            process.terminate()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe:
                    pipe.close()


def hand_out(
    processes: Sequence[subprocess.Popen[str]], jobs: Sequence[Job], tick: Callable[[int, int], None]
) -> dict[int, str]:
    """Run jobs in the processes; the reasons of those that failed."""
    waiting: queue.SimpleQueue[int] = queue.SimpleQueue()
    for number in range(len(jobs)):
        waiting.put(number)
    failed: dict[int, str] = {}
    with ThreadPoolExecutor(len(processes)) as threads:
        try:
            attending = [threads.submit(attend, process, jobs, waiting, tick) for process in processes]
            for thread in attending:
                failed |= thread.result()
        except BaseException:
            for process in processes:
                process.terminate()
            while not waiting.empty():
                waiting.get_nowait()
            raise
    while not waiting.empty():
        failed[waiting.get_nowait()] = "no process was left to run it"
    return failed
