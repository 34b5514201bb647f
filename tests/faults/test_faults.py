"""Nothing is lost: sweeps that are killed, or whose disk fails, go on and end with the same bytes.

In the suite a few moments stand for all; `pytest tests/faults/test_faults.py --long` takes 100 random ones, and every
call to the file system; `--share` takes every 32nd call.
"""

import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from simulator import ConfigError, Sweep, SweepError, run_sweep
from simulator.common.atomic_files import StorageError
from tests.conftest import SMALL, extent, heard
from tests.helpers.fault_injection import deep_sweep, failing, leftovers, started, steady, unreadable

pytestmark = pytest.mark.long_form
ROOT = Path(__file__).parents[2]
TABLES = ("curves", "responses", "gold_law", "margins", "ledger")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a deep sweep that ran through."""
    return run_sweep(deep_sweep(), tmp_path_factory.mktemp("whole") / "out", workers=1)


@pytest.fixture(scope="module")
def counted(whole: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, int]:
    """How often it turns to the file system where that could change something, and to read a record."""
    made = {}
    for kind, how in (("writes", "EIO"), ("reads", "read EIO")):
        out = tmp_path_factory.mktemp("counted") / "out"  # which is a call, too
        with failing(how, 0) as calls, steady():
            run_sweep(deep_sweep(), out, workers=1, save_every=0.0)
        made[kind] = len(calls)
    assert made["writes"] > 150
    assert made["reads"] > 20
    return made


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Each `part` of the calls is every so many of them, from the first or a later one on.

    All calls in the long form, every 96th of them as a fixed share, and a few in the suite.
    """
    if "part" in metafunc.fixturenames:
        all_of = [(first, 16) for first in range(16)]
        parts = {"long": all_of, "share": [(3, 96)], "suite": [(40, 200)]}[extent(metafunc.config)]
        metafunc.parametrize("part", parts, ids=lambda part: f"{part[0]} of {part[1]}")


def check_same(out: Path, whole: Path) -> None:
    for name in TABLES:
        assert (out / f"{name}.parquet").read_bytes() == (whole / f"{name}.parquet").read_bytes(), name
    assert len(pd.read_parquet(out / "runs.parquet")) == len(pd.read_parquet(whole / "runs.parquet"))
    assert leftovers(out) == []


def test_kills_at_random_moments(whole: Path, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    wanted = {"long": 100, "share": 16, "suite": 3}[extent(request.config)]
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


@pytest.mark.long_only("3 of 32-torn")
@pytest.mark.slow(but="40 of 200-kill")
@pytest.mark.parametrize("how", ["kill", "torn"])
def test_kills_at_and_inside_writes(
    how: str, part: tuple[int, int], whole: Path, counted: dict[str, int], tmp_path: Path, record_property: Any
) -> None:
    numbers = range(1 + part[0], counted["writes"] + 1, part[1])
    for number in numbers:
        out = tmp_path / f"{number}"
        process = started(out, (how, number))
        process.join()
        assert process.exitcode == -signal.SIGKILL
        assert unreadable(out) == []
        again = started(out)
        again.join()
        assert again.exitcode == 0
        check_same(out, whole)
    record_property("cases", len(numbers))
    assert len(numbers) > 1


REMEDIES = {"ENOSPC": "make room there", "EIO": "see that the disk works", "EROFS": "allow", "EACCES": "allow"}


@pytest.mark.long_only("3 of 32-EIO", "3 of 32-EROFS", "3 of 32-read EACCES")
@pytest.mark.slow(but=("40 of 200-ENOSPC", "40 of 200-read EIO"))
@pytest.mark.parametrize("how", ["ENOSPC", "EIO", "EROFS", "read EIO", "read EACCES"])
def test_a_disk_that_fails_once_at_any_call(
    how: str, part: tuple[int, int], whole: Path, counted: dict[str, int], tmp_path: Path, record_property: Any
) -> None:
    reads = how.startswith("read ")
    first, step = (part[0] % 16, 16) if reads else part
    numbers, failed = range(1 + first, counted["reads" if reads else "writes"] + 1, step), 0
    for number in numbers:
        out = tmp_path / f"{number}"
        with heard(), steady(), failing(how, number) as calls:
            try:
                run_sweep(deep_sweep(), out, workers=1, save_every=0.0)
            except (SweepError, StorageError, ConfigError) as error:
                failed += 1
                assert str(tmp_path) in str(error), calls[number - 1]
                assert REMEDIES[how.removeprefix("read ")] in str(error), calls[number - 1]
        assert unreadable(out) == []
        with heard():
            run_sweep(deep_sweep(), out, workers=1)
        check_same(out, whole)
    record_property("cases", len(numbers))
    record_property("ended", failed)
    assert failed or how == "read EACCES"


@pytest.mark.slow
def test_the_command_is_killed_and_its_workers_end_with_it(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    out, config = tmp_path / "out", tmp_path / "small.toml"
    world = [f"{name} = {value}" for name, value in SMALL["world"].items()]
    grid = ["[sweep]", 'loss = "squared"', "beta = [0.1, 1.0]", "seeds = 2", '"data.pairs" = [16, 24, 32]']
    config.write_text("\n".join(["[world]", *world, "[reference]", "steps = 50", "[train]", "steps = 200", *grid]))
    command = [sys.executable, str(ROOT / "run.py"), "sweep", str(config), "--workers", "2", "--out"]
    rng = random.Random(1)
    for _ in range({"long": 20, "share": 4, "suite": 2}[extent(request.config)]):
        with subprocess.Popen([*command, str(out)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            deadline = time.monotonic() + 60
            while process.poll() is None and not (out / "running.json").exists() and time.monotonic() < deadline:
                time.sleep(0.01)
            with suppress(subprocess.TimeoutExpired):
                process.wait(rng.uniform(0.0, 4.0))
            process.kill()
    for folder in (out, tmp_path / "whole"):
        run_sweep(Sweep.from_toml(config), folder, workers=1)
    assert (out / "curves.parquet").read_bytes() == (tmp_path / "whole" / "curves.parquet").read_bytes()
    assert leftovers(out) == []
