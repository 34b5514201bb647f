"""Who may write into a folder."""

import errno
import os
from pathlib import Path

import pandas as pd
import pytest

from simulator import ConfigError, Sweep, run_sweep
from simulator.common.result_files import PARTS
from simulator.execution.prepare import examine_worlds
from simulator.storage.layout import ResultFolder
from simulator.storage.lock import writing_to
from tests.conftest import small_sweep

GRID = {"loss": ["logistic", "hinge"], "beta": [0.1], "seeds": 2, "data.pairs": [16, 32]}


def sweep_of(**grid: object) -> Sweep:
    return small_sweep(sweep=GRID | grid, train={"steps": 6, "checkpoints": 3})


def test_another_sweep_that_came_first_is_not_mixed_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both found the folder empty; the other one has finished by the time that this one may write."""
    out = tmp_path / "out"

    def slowly(*arguments: object) -> object:
        found = examine_worlds(*arguments)
        with monkeypatch.context() as patch:
            patch.setattr("simulator.execution.run_sweep.examine_worlds", examine_worlds)
            run_sweep(sweep_of(beta=[7.0]), out, workers=1)
        return found

    monkeypatch.setattr("simulator.execution.run_sweep.examine_worlds", slowly)
    with pytest.raises(ConfigError, match=r"another sweep, where sweep\.beta = \(7\.0,\) and not"):
        run_sweep(sweep_of(), out, workers=1)
    assert (pd.read_parquet(out / "runs.parquet")["beta"] == 7.0).all()


def test_a_folder_that_is_held_is_refused_and_let_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simulator.storage.lock.PATIENCE", 0.05)
    folder = ResultFolder(path=tmp_path)
    with writing_to(folder, 3):
        with pytest.raises(ConfigError, match=r"another sweep is writing there \(process \d+ on .*, since 20"):
            run_sweep(sweep_of(), tmp_path, workers=1)
        assert list(tmp_path.glob("*.parquet")) == []
    assert list(tmp_path.iterdir()) == []
    assert not any(any(tmp_path.glob(part)) for part in PARTS)


def test_a_shared_disk_without_locks_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left(*_: object, **__: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("filelock.FileLock.acquire", none_left)
    with (
        pytest.raises(ConfigError, match=r"file system has no locks.*choose an --out on a local disk \(No locks"),
        writing_to(ResultFolder(path=tmp_path), 3),
    ):
        pass
    assert list(tmp_path.iterdir()) == []
