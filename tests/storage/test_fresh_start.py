"""A fresh start removes the records of a sweep, proxies included."""

import shutil
from pathlib import Path

import pytest

from simulator import run_sweep
from tests.conftest import heard, small_sweep
from tests.methods.test_methods import PROXY


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a sweep with a proxy."""
    tables = {"proxy": PROXY, "train": {"steps": 6, "checkpoints": 3}, "rl": {"prompts": 3, "responses": 4}}
    with heard():  # that nothing reads beta
        sweep = small_sweep(**tables, sweep={"method": ["rl"], "seeds": 1})
        return run_sweep(sweep, tmp_path_factory.mktemp("methods") / "all", workers=1)


def test_a_fresh_start_removes_proxies(folder: Path, tmp_path: Path) -> None:
    from simulator.storage.compatibility import remove_records
    from simulator.storage.layout import ResultFolder

    again = tmp_path / "fresh"
    shutil.copytree(folder, again)
    remove_records(ResultFolder(path=again))
    assert list(again.iterdir()) == []
