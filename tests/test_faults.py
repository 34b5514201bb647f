"""Nothing is lost: sweeps that are killed, or whose disk fails, go on and end with the same bytes.

In the suite a few moments stand for all; `pytest tests/test_faults.py --long` takes 100 random ones, and every write.
"""

import random
import signal
import subprocess
import sys
import time
import warnings
from contextlib import suppress
from pathlib import Path

import pandas as pd
import pytest

from simulator import SweepError, run_sweep
from simulator.files import StorageError
from tests.conftest import SMALL
from tests.faults import deep_sweep, failing, leftovers, started, unreadable

ROOT = Path(__file__).parent.parent
TABLES = ("curves", "responses", "gold_law", "margins")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a deep sweep that ran through."""
    return run_sweep(deep_sweep(), tmp_path_factory.mktemp("whole") / "out", workers=1)


@pytest.fixture(scope="module")
def calls(whole: Path, tmp_path_factory: pytest.TempPathFactory) -> int:
    """How often it turns to the file system where that could change something."""
    with failing("EIO", 0) as made:
        run_sweep(deep_sweep(), tmp_path_factory.mktemp("counted") / "out", workers=1, save_every=0.0)
    assert len(made) > 100
    return len(made)


def check_same(out: Path, whole: Path) -> None:
    for name in TABLES:
        assert (out / f"{name}.parquet").read_bytes() == (whole / f"{name}.parquet").read_bytes(), name
    assert len(pd.read_parquet(out / "runs.parquet")) == len(pd.read_parquet(whole / "runs.parquet"))
    assert leftovers(out) == []


def test_kills_at_random_moments(whole: Path, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    wanted = 100 if request.config.getoption("--long") else 16
    longest = 0.0
    for name in ("cold", "warm"):  # the server of processes starts with the first
        began = time.monotonic()
        process = started(tmp_path / name)
        process.join()
        longest = time.monotonic() - began
        check_same(tmp_path / name, whole)
    rng, killed, folders, attempts = random.Random(0), 0, 1, 0
    while killed < wanted:
        out = tmp_path / str(folders)
        process = started(out)
        process.join(rng.uniform(0.0, 0.9 * longest / (1 + attempts)))
        process.kill()
        process.join()
        attempts += 1
        if process.exitcode == 0:
            check_same(out, whole)
            folders, attempts = folders + 1, 0
            continue
        assert process.exitcode == -signal.SIGKILL
        assert unreadable(out) == []
        killed += 1
    last = started(out)
    last.join()
    assert last.exitcode == 0
    check_same(out, whole)


@pytest.mark.parametrize("how", ["kill", "torn"])
def test_kills_at_and_inside_writes(
    how: str, whole: Path, calls: int, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    step = 1 if request.config.getoption("--long") else calls // 6
    for number in range(1 + step // 2, calls + 1, step):
        out = tmp_path / f"{number}"
        process = started(out, (how, number))
        process.join()
        assert process.exitcode == -signal.SIGKILL
        assert unreadable(out) == []
        again = started(out)
        again.join()
        assert again.exitcode == 0
        check_same(out, whole)


@pytest.mark.parametrize("how", ["ENOSPC", "EIO", "EROFS"])
def test_a_disk_that_fails_once_at_any_write(
    how: str, whole: Path, calls: int, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    step = 1 if request.config.getoption("--long") else calls // 8
    offset = {"ENOSPC": 0, "EIO": step // 3, "EROFS": 2 * step // 3}[how]
    failed = 0
    for number in range(1 + offset, calls + 1, step):
        out = tmp_path / f"{number}"
        with warnings.catch_warnings(), failing(how, number):
            warnings.simplefilter("ignore")
            try:
                run_sweep(deep_sweep(), out, workers=1, save_every=0.0)
            except (SweepError, StorageError) as error:
                failed += 1
                assert str(tmp_path) in str(error)
                assert {"ENOSPC": "make room there", "EIO": "see that", "EROFS": "allow writing there"}[how] in str(
                    error
                )
        assert unreadable(out) == []
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            run_sweep(deep_sweep(), out, workers=1)
        check_same(out, whole)
    assert failed


def test_the_command_is_killed_and_its_workers_end_with_it(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    out, config = tmp_path / "out", tmp_path / "small.toml"
    world = [f"{name} = {value}" for name, value in SMALL["world"].items()]
    grid = ["[sweep]", 'loss = "squared"', "beta = [0.1, 1.0]", "seeds = 2", '"data.pairs" = [16, 24, 32]']
    config.write_text("\n".join(["[world]", *world, "[reference]", "steps = 50", "[train]", "steps = 300", *grid]))
    command = [sys.executable, str(ROOT / "run.py"), "sweep", str(config), "--workers", "2", "--out"]
    rng = random.Random(1)
    for _ in range(20 if request.config.getoption("--long") else 4):
        with subprocess.Popen([*command, str(out)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            deadline = time.monotonic() + 60
            while process.poll() is None and not (out / "running.json").exists() and time.monotonic() < deadline:
                time.sleep(0.01)
            with suppress(subprocess.TimeoutExpired):
                process.wait(rng.uniform(0.0, 4.0))
            process.kill()
    for folder in (out, tmp_path / "whole"):
        done = subprocess.run([*command, str(folder)], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    assert (out / "curves.parquet").read_bytes() == (tmp_path / "whole" / "curves.parquet").read_bytes()
    assert leftovers(out) == []
