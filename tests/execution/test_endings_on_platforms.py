"""How processes and readers end on other systems than Linux."""

import errno
import os
from collections.abc import Iterable
from pathlib import Path

import pytest

import simulator.common.terminal
from simulator import Sweep
from simulator.common.terminal import say
from simulator.execution.jobs.retry import failure_of_dead_process
from simulator.execution.local.worker_pool import workers_on
from tests.execution.test_worker_pool import folder_of, jobs_of
from tests.helpers.other_systems import NotebookStream, as_windows, sweep_file


def test_workers_stop_without_signals_and_save_their_stacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simulator.execution.local.worker_pool.HAS_SIGTERM", False)
    config = sweep_file(tmp_path)
    longer = ["train.steps=40000", "train.checkpoints=200", "sweep.loss=['logistic']", "sweep.method=['gpo']"]
    sweep = Sweep.from_toml(config, longer)
    (tmp_path / "out").mkdir()
    folder = folder_of(sweep, tmp_path / "out")

    def interrupted(run_steps: int, runs: int, worked: bool) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), workers_on(folder, 1, 1e9) as execute:
        execute(jobs_of(sweep)[:1], interrupted)
    assert len(list(folder.parts.glob("*.safetensors"))) == 1


def test_a_reader_who_is_gone_is_told_of_alike_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    class Unread(NotebookStream):
        def write(self, text: str) -> int:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    with pytest.raises(OSError, match="Invalid argument"):
        say("here", stream=Unread())
    as_windows(monkeypatch, simulator.common.terminal)
    with pytest.raises(BrokenPipeError):
        say("there", stream=Unread())


def test_a_crash_is_told_from_an_end_on_every_system() -> None:
    def causes(codes: Iterable[int]) -> list[str]:
        return [failure_of_dead_process(code).cause for code in codes]

    assert causes([-9, -11, 0xC0000005, 0xC0000409]) == ["ended"] * 4
    assert causes([1, 2, 255]) == ["outside"] * 3
