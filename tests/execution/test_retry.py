"""What an error means, and what is tried next."""

import errno

import pytest
import torch

from simulator import ConfigError, StorageError
from simulator.execution.jobs.retry import Failure, Job, failure_of, failure_of_dead_process, next_try, retry_message

STACK = Job(kind="runs", indices=(3, 4, 5, 6, 7))


@pytest.mark.parametrize(
    ("error", "cause", "said"),
    [
        (MemoryError(), "memory", "memory ran out"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), "memory", "memory ran out"),
        (torch.OutOfMemoryError("CUDA out of memory"), "memory", "memory ran out"),
        (StorageError("x: cannot be written (full); make room there"), "outside", "x: cannot be written"),
        (FileNotFoundError(errno.ENOENT, "No such file", "proxies/a.npz"), "outside", "proxies/a.npz"),
        (ConfigError("sweep.loss = a.py:f: raises"), "inside", "sweep.loss = a.py:f: raises"),
        (ZeroDivisionError("by zero\nsecond line"), "inside", "ZeroDivisionError: by zero"),
        (RuntimeError("shapes"), "inside", "RuntimeError: shapes"),
        (SystemExit(3), "inside", "SystemExit: 3"),
    ],
)
def test_what_an_error_means(error: Exception, cause: str, said: str) -> None:
    found = failure_of(error)
    assert found.cause == cause
    assert said in found.text
    assert "\n" not in found.text


@pytest.mark.parametrize("cause", ["memory", "inside"])
def test_a_stack_goes_on_in_halves_down_to_single_runs(cause: str) -> None:
    failure, jobs, singles = Failure(cause=cause, text="it"), [STACK], []
    while jobs:
        then = next_try(jobs[0], failure)
        singles += [] if then else [jobs[0].indices]
        assert sorted(place for job in then for place in job.indices) == (list(jobs[0].indices) if then else [])
        jobs = [*jobs[1:], *then]
    assert sorted(singles) == [(3,), (4,), (5,), (6,), (7,)]


def test_a_process_that_died_is_given_its_stack_once_more() -> None:
    (again,) = next_try(STACK, failure_of_dead_process(-9))
    assert again.indices == STACK.indices
    assert [job.indices for job in next_try(again, failure_of_dead_process(-9))] == [(3, 4), (5, 6, 7)]
    assert next_try(Job(kind="runs", indices=(1,), retried=True), failure_of_dead_process(-9)) == []
    assert "for want of memory" in retry_message(STACK, failure_of_dead_process(-9), [again])
    assert failure_of_dead_process(1).cause == "outside"
