"""Whatever dies in a cluster, and whatever joins it, a sweep ends with the same bytes as on one machine."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from simulator import Sweep, run_sweep
from tests.conftest import ROOT, extent, heard, small_sweep

ray = pytest.importorskip("ray")
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.slow,
]

STEPS = 160
RUNS = 24
SWEEP = {
    "train": {"steps": STEPS},
    "keep": {"policies": "checkpoints"},
    "sweep": {
        "loss": ["logistic", "squared"],
        "beta": [0.1],
        "seeds": 2,
        "train.batch": [8, 10, 12, 14, 15, 16],
    },
}


@pytest.fixture
def cluster() -> Iterator[Any]:
    """A cluster of two nodes on this machine, each with one CPU; the second is `cluster.second`."""
    from ray.cluster_utils import Cluster

    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    made.second = made.add_node(num_cpus=1)
    yield made
    ray.shutdown()
    made.shutdown()


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    return records(run_sweep(sweep(), tmp_path_factory.mktemp("here") / "out", workers=2))


def sweep() -> Sweep:
    return small_sweep(**SWEEP)


def records(folder: Path) -> dict[str, bytes]:
    """The curves, and every policy that was kept."""
    paths = [folder / "curves.parquet", *sorted((folder / "policies").iterdir())]
    assert len(paths) > RUNS / 4  # a file for each stack and checkpoint
    return {path.name: path.read_bytes() for path in paths}


def at_work(below: psutil.Process) -> list[psutil.Process]:
    """The processes below another one that do a job now."""
    found = []
    for process in below.children(recursive=True):
        with suppress(psutil.Error):
            found += [process] if " ".join(process.cmdline()).startswith("ray::do_job") else []
    return found


@pytest.fixture
def _in_the_long_form(request: pytest.FixtureRequest) -> None:
    if extent(request.config) != "long":
        pytest.skip("the long form has it")


class Acting:
    """A watch that acts once a stack is done, and again until that has done what it should."""

    def __init__(self, act: Callable[[], bool]) -> None:
        self.act, self.runs, self.steps, self.acted = act, 0, 0, False

    def __call__(self, steps: int, runs: int, worked: bool) -> None:
        self.runs, self.steps = self.runs + runs, self.steps + steps
        if self.runs and not self.acted:
            self.acted = self.act()


@pytest.mark.long_only
def test_a_node_that_is_removed_in_the_middle(cluster: Any, tmp_path: Path, expected: dict[str, bytes]) -> None:
    [raylet] = cluster.second.all_processes["raylet"]

    def remove() -> bool:
        if not at_work(psutil.Process(raylet.process.pid)):
            return False
        cluster.remove_node(cluster.second, allow_graceful=False)
        return True

    watch = Acting(remove)
    with heard() as said:
        folder = run_sweep(sweep(), tmp_path / "out", cluster=cluster.address, watch=watch)
    assert records(folder) == expected
    assert (watch.runs, watch.steps) == (RUNS, RUNS * STEPS)
    assert [text for text in said if text.startswith("a node is gone; its stack of ")]
    assert not list((folder / "parts").glob("*"))


@pytest.mark.long_only
def test_a_driver_that_is_killed_and_started_again(cluster: Any, tmp_path: Path, expected: dict[str, bytes]) -> None:
    config, out = tmp_path / "small.toml", tmp_path / "out"
    config.write_text(sweep().to_toml(), encoding="utf-8")
    program = "import sys; from simulator import Sweep, run_sweep; _, config, out, cluster = sys.argv; "
    program += "run_sweep(Sweep.from_toml(config), out, cluster=cluster)"
    command = [sys.executable, "-c", program, str(config), str(out), cluster.address]
    driver = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=ROOT)
    deadline = time.monotonic() + 120
    while not list((out / "parts").glob("*.sha256")) and time.monotonic() < deadline and driver.poll() is None:
        time.sleep(0.02)
    driver.send_signal(signal.SIGKILL)
    assert driver.wait() == -signal.SIGKILL
    assert not (out / "curves.parquet").exists()
    again = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert (again.returncode, records(out)) == (0, expected), again.stderr


@pytest.mark.usefixtures("_in_the_long_form")
def test_workers_that_are_each_killed_once(cluster: Any, tmp_path: Path, expected: dict[str, bytes]) -> None:
    killed: set[int] = set()

    def kill() -> bool:
        for raylet in (node.all_processes["raylet"][0].process.pid for node in cluster.list_all_nodes()):
            for process in at_work(psutil.Process(raylet)):
                if len(killed) < 2 and process.pid not in killed:
                    killed.add(process.pid)
                    process.kill()
        return len(killed) == 2

    watch = Acting(kill)
    with heard() as said:
        folder = run_sweep(sweep(), tmp_path / "out", cluster=cluster.address, watch=watch)
    assert (records(folder), watch.acted) == (expected, True)
    assert len([text for text in said if text.endswith("; it is run once more")]) == 2


@pytest.mark.usefixtures("_in_the_long_form")
def test_a_node_that_is_added_in_the_middle(cluster: Any, tmp_path: Path, expected: dict[str, bytes]) -> None:
    cluster.remove_node(cluster.second)
    watch = Acting(lambda: bool(cluster.add_node(num_cpus=1)))
    folder = run_sweep(sweep(), tmp_path / "out", cluster=cluster.address, watch=watch)
    assert (records(folder), watch.acted) == (expected, True)
