"""What a worker answers is checked: a loss of the user may write where answers go."""

import subprocess
import sys

import pytest

from simulator.execution.local.worker_pool import read_answer


@pytest.mark.parametrize("line", ["hi\n", "3\n", '{"a": 1}\n', "[]\n", '{"done": true, "more": 1}\n', "\x00\n", ""])
def test_what_is_no_answer_is_known_for_it(line: str) -> None:
    assert read_answer(line) is None


def test_a_worker_that_answers_nonsense_is_ended_and_named() -> None:
    from simulator.execution.jobs.retry import Job
    from simulator.execution.local.worker_pool import send_job

    program = "print('hi', flush=True); input(); input()"
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as worker:
        failure = send_job(worker, Job(kind="runs", indices=(0,)), lambda steps: None, lambda steps: None)
    assert failure is not None
    assert failure.cause == "ended"
    assert "exit code -9" in failure.text
