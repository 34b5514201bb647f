"""A tracker in a process of its own: what it logs, says and breaks; and that nothing of it leaves the machine."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
from mlflow import MlflowClient

import run
from simulator import ConfigError
from simulator.tracking import process
from simulator.tracking.process import tracking
from simulator.user_code.loading import said_if_slow
from tests.conftest import heard
from tests.end_to_end.test_cli import QUICK

OWN = """
import json, os, sys
from pathlib import Path

class Mine:
    def begin(self, folder, settings):
        import beside
        self.count = beside.ZERO
        print("a word of the tracker's")
        return sys.stdin.read().split()

    def finished(self, runs, curves):
        self.count += len(runs)

    def end(self, folder, ending):
        return f"{self.count} runs of {folder.name}, {ending}, {Path.cwd().name}"

class Dies(Mine):
    def finished(self, runs, curves):
        os._exit(0)

class Raises(Mine):
    def finished(self, runs, curves):
        raise ValueError("no room")

class Slow(Mine):
    def end(self, folder, ending):
        import time
        time.sleep(60)

def tracker():
    return Mine()

def dies():
    return Dies()

def raises():
    return Raises()

def slow():
    return Slow()

def nothing():
    pass


def ends():
    os._exit(0)
"""
WATCHES = """
import os, sys

def watch(event, arguments):
    if event.startswith("socket.") and event != "socket.gethostname":
        with open(os.environ["HEARD"], "a") as file:
            file.write(f"{event} {arguments[1:]}\\n")

sys.addaudithook(watch)
"""
CALLS = ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto")


@pytest.fixture(autouse=True)
def _mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "PATIENCE", 600.0)  # whatever else the machine does
    (tmp_path / "mine.py").write_text(OWN)
    (tmp_path / "beside.py").write_text("ZERO = 0\n")


def answers(name: str, *folders: Path) -> list[str]:
    """What a tracker says of some folders."""
    said: list[str] = []
    with tracking(name) as at_work:
        at_work.await_own()
        for folder in folders:
            at_work.log(folder)
            at_work.end(folder, said.append)
    assert at_work.process is not None
    assert at_work.process.poll() is not None
    return said


def test_one_sweep_after_another_is_logged_to_one_of_the_users_own(
    folder: Path, results: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    count = len(pd.read_parquet(folder / "runs.parquet"))
    assert answers("mine.py:tracker", folder, results) == [
        f"{count} runs of {each.name}, finished, {tmp_path.name}" for each in (folder, results)
    ]
    out, error = capfd.readouterr()
    assert (out, error) == ("", "a word of the tracker's\n" * 2)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "said"), [("nothing", "an object with the methods"), ("ends", "a tracker, but ends the process")]
)
def test_one_that_is_none_is_refused_before_the_sweep(name: str, said: str) -> None:
    with tracking(f"mine.py:{name}") as at_work, pytest.raises(ConfigError) as error:
        at_work.await_own()
    assert str(error.value).startswith(f"--track mine.py:{name}: must return {said}")


@pytest.mark.slow
def test_one_that_raises_is_a_warning(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert answers("mine.py:raises", folder) == []
    error = capfd.readouterr().err.splitlines()
    assert error[1:] == [
        "warning: --track mine.py:raises: its method finished failed (ValueError, line 24: no room); nothing else "
        "depends on it, and the same command logs what is missing"
    ]


def test_one_that_dies_is_a_warning(folder: Path) -> None:
    with heard() as warned:
        assert answers("mine.py:dies", folder) == []
    assert warned == [
        "--track mine.py:dies: its process died; nothing else depends on it, and the same command logs what is missing"
    ]


@pytest.mark.slow
def test_one_that_takes_long_is_mentioned_and_ends_with_the_command(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "PATIENCE", 0.05)
    began = time.monotonic()
    with heard() as warned, tracking("mine.py:slow") as at_work:
        at_work.await_own()
        at_work.ask(end=str(folder))
        with said_if_slow("is still logging", 0.05):
            time.sleep(0.2)
    assert warned == ["is still logging"]
    assert time.monotonic() - began < 30
    assert at_work.process is not None
    assert at_work.process.returncode != 0  # it was killed


def test_one_whose_command_has_ended_says_nothing() -> None:
    nobody, answers_to = os.pipe()
    os.close(nobody)
    command = [sys.executable, "-m", "simulator.tracking.helper", "mine.py:tracker"]
    environment = {**os.environ, "PYTHONPATH": str(process.SOURCE)}
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=answers_to, stderr=subprocess.PIPE, env=environment, check=True
        )
    finally:
        os.close(answers_to)
    assert done.stderr == b""


def test_without_a_name_there_is_nothing(folder: Path) -> None:
    with tracking(None) as at_work:
        at_work.await_own()
        at_work.log(folder)
        at_work.end(folder, pytest.fail)
    assert at_work.process is None


@pytest.mark.slow
@pytest.mark.usefixtures("undrawn")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_sweep_with_mlflow_from_the_command_and_nothing_leaves_the_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Whatever connects is written down by an audit hook in the tracker's process, where MLflow sees no sign of tests,
    in which it would be silent by itself."""
    (tmp_path / "hook").mkdir()
    (tmp_path / "hook" / "sitecustomize.py").write_text(WATCHES)
    monkeypatch.setenv("HEARD", str(tmp_path / "heard"))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path / "hook"), os.environ.get("PYTHONPATH", "")]))
    for name in ("CI", "GITHUB_ACTIONS", "PYTEST_CURRENT_TEST", "MLFLOW_DISABLE_TELEMETRY", "DO_NOT_TRACK"):
        monkeypatch.delenv(name, raising=False)
    command = ["sweep", "--out", str(tmp_path / "out"), *QUICK, "sweep.loss=hinge", "--workers", "1"]
    assert run.main([*command, "--track", "mlflow"]) == 0
    out, error = capfd.readouterr()
    assert out.splitlines()[-1] == f"tracked  sqlite:///{tmp_path}/mlflow.db, experiment alignment-simulator"
    assert error == ""
    assert not [line for line in lines_of(tmp_path / "heard") if line.startswith(CALLS)]
    client = MlflowClient()
    there = client.search_runs([client.get_experiment_by_name("alignment-simulator").experiment_id])
    assert len(there) == 1 + len(pd.read_parquet(tmp_path / "out" / "runs.parquet"))
    caught = f"import socket; socket.create_connection(('127.0.0.1', {free_port()}))"
    assert subprocess.run([sys.executable, "-c", caught], capture_output=True, check=False).returncode == 1
    assert [line for line in lines_of(tmp_path / "heard") if line.startswith(CALLS)]


def lines_of(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def free_port() -> int:
    """One at which nobody answers."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])
