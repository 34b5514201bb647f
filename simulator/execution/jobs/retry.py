"""Jobs: what a process is given to do at once, and what is tried after one failed.

A run's numbers do not depend on which others are stacked with it, so a stack that fails can go on in halves: where
memory ran out, these fit, and where one run is to blame, it is found and the others finish. A process that died is
given its job once more, from its last saved state, before the job is cut. What comes from outside, such as a full disk,
would hit every other job too, and ends the sweep.
"""

import gc
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import torch

from simulator.common.atomic_files import StorageError, remedy
from simulator.common.errors import ConfigError
from simulator.common.signals import INTERRUPTED

CRASHED = 0xC0000000  # from here on exit codes say how Windows ended a process; those of other systems are below 256

Kind = Literal["runs", "proxies"]
Cause = Literal["outside", "memory", "ended", "inside"]


@dataclass(frozen=True, kw_only=True)
class Job:
    """A stack: of runs, by their indices in the grid, or of proxies, by their indices among those that it needs.

    retried: whether a process died over it.
    """

    kind: Kind
    indices: tuple[int, ...]
    retried: bool = False

    def halves(self) -> list["Job"]:
        """Two halves, or nothing where there is one place only."""
        half = len(self.indices) // 2
        parts = (self.indices[:half], self.indices[half:]) if half else ()
        return [replace(self, indices=part, retried=False) for part in parts]


@dataclass(frozen=True, kw_only=True)
class Failure:
    """Why a job failed. text: one line for people. detail: where in the code, of what nobody foresaw."""

    cause: Cause
    text: str
    detail: str = ""


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory is used up; torch has no class of its own for that on a CPU."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and "alloc" in str(error) and "memory" in str(error)


def failure_of(error: Exception | SystemExit) -> Failure:
    """What an error means for the job that it ended."""
    if isinstance(error, ConfigError):
        return Failure(cause="inside", text=str(error))
    detail = "".join(traceback.format_exception(error)).strip()
    if isinstance(error, OSError):
        foreseen = isinstance(error, StorageError) or error.errno is None
        text = str(error) if foreseen else f"{error.filename or 'a file'}: {error.strerror}; {remedy(error)}"
        return Failure(cause="outside", text=text, detail="" if isinstance(error, StorageError) else detail)
    if out_of_memory(error):
        gc.collect()
        return Failure(cause="memory", text="memory ran out", detail=detail)
    lines = str(error).splitlines()
    frames = traceback.extract_tb(error.__traceback__)
    where = f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else ""
    text = f"{': '.join([type(error).__name__, *lines[:1]])}{where}"
    return Failure(cause="inside", text=text, detail=detail)


def failure_of_dead_process(exit_code: int | None, code: Sequence[str] = ()) -> Failure:
    """The failure of a job whose process died: by a signal, or by itself, as any other process would, too.

    code: the losses of the user's own that it ran, which then are to blame.
    """
    perhaps = ", perhaps for want of memory" if exit_code == -9 else ""
    by_itself = exit_code is not None and 0 <= exit_code < CRASHED and exit_code != INTERRUPTED
    text = "its process died" if exit_code is None else f"its process ended with exit code {exit_code}{perhaps}"
    if code:
        return Failure(cause="inside", text=f"sweep.loss = {', '.join(code)}: {text}")
    return Failure(cause="outside" if by_itself else "ended", text=text)


def next_try(job: Job, failure: Failure) -> list[Job]:
    """What is tried after a job failed; nothing where it stays failed."""
    if failure.cause == "outside":
        return []
    if failure.cause == "ended" and not job.retried:
        return [replace(job, retried=True)]
    return job.halves()


def retry_message(job: Job, failure: Failure, then: Sequence[Job]) -> str:
    """What is said of a job that goes on otherwise; nothing where that is no news."""
    if not then or failure.cause == "inside":
        return ""
    count, what = len(job.indices), "runs" if job.kind == "runs" else "proxies"
    if len(then) == 1:
        return f"a stack of {count} {what}: {failure.text}; it is run once more"
    return f"a stack of {count} {what}: {failure.text}; it goes on in two halves"
