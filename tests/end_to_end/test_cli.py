"""The command line as a user meets it: what it prints and how it exits."""

import platform
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

import run
from simulator import Sweep, run_sweep

ROOT = Path(__file__).parents[2]
QUICK = ["--set", "train.steps=6", "train.checkpoints=3", "sweep.seeds=2", "data.pairs=32", "reference.steps=50"]
QUICK += ["world.vocabulary=4", "world.prompts=2", "sweep.beta=[0.1, 1.0]"]


def quick_sweep(*more: str) -> Sweep:
    """The sweep that QUICK and more settings make of the quickstart."""
    return Sweep.from_toml("quickstart", [*QUICK[1:], *more])


def call(*arguments: object) -> int:
    return run.main([str(argument) for argument in arguments])


def test_a_sweep_from_command_to_figures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    assert call("sweep", "--out", out, *QUICK, "--workers", 1) == 0
    said = capsys.readouterr().out
    assert "24 runs, 144 run-steps" in said
    assert "24 runs, none of them diverged" in said
    assert len(pd.read_parquet(out / "runs.parquet")) == 24
    assert (out / "figures" / "tradeoff.png").stat().st_size > 10_000
    assert call("sweep", "--out", out, *QUICK, "--dry-run") == 0
    assert re.search(rf"records +of 24 runs are in {out}", capsys.readouterr().out)
    assert call("sweep", "--out", out, *QUICK) == 0
    for more in ([], ["--dry-run"]):
        assert call("sweep", "--out", out, *QUICK, "--set", "data.pairs=33", *more) == 2
        assert "another sweep, where data.pairs = 32 and not 33" in capsys.readouterr().err


@pytest.mark.usefixtures("undrawn")
def test_where_records_go_by_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.toml").write_text("[sweep]\nloss = 'hinge'\n")
    assert call("sweep", "mine.toml", *QUICK, "--workers", 1) == 0
    assert (tmp_path / "results" / "mine" / "curves.parquet").exists()


def test_a_dry_run_prints_the_plan_and_does_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert call("sweep", "--dry-run") == 0
    said = capsys.readouterr().out
    assert re.search(r"runs +384, of 230,400 training steps", said)
    assert re.search(r"stacks +10", said)
    assert re.search(r"memory +about \d+\.\d GiB", said)
    assert re.search(r"estimated time +about \d+", said)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["sweep", "--set", "data.paris=3"], "unknown key data.paris (= 3); did you mean data.pairs?"),
        (["sweep", "--set", "sweep.beta=-1"], "sweep.beta[0] = -1: must be greater than 0"),
        (["sweep", "--set", "sweep.beta=[]"], "sweep.beta = []: must list at least one value"),
        (["sweep", "--set", "world.vocabulary=100"], "must be at most 8,388,608 for every response to be listed"),
        (["sweep", "--set", "sweep.data.pires=[1]"], "key sweep.data.pires (= [1]); did you mean sweep.data.pairs?"),
        (["sweep", "--set", "pairs"], "--set pairs: must be KEY=VALUE"),
        (["sweep", "nowhere.toml"], "nowhere.toml: cannot be read (No such file or directory)"),
        (["sweep", "--out", "/dev/null/x"], "--out /dev/null/x: cannot be written (/dev/null is not a directory)"),
        (["sweep", "--workers", "0"], "--workers 0: must be at least 1"),
        (["sweep", "--device", "tpu"], 'Invalid value "tpu" for --device'),
        (["sweep", "--dyr-run"], "Did you mean --dry-run?"),
        (
            ["sweep", "quickstart", "data.pairs=3", "x=2"],
            "data.pairs=3 x=2: is no argument of this command; keys of the sweep follow --set: --set data.pairs=3 x=2",
        ),
        (["reproduce", "gpo", "more"], "more: is no argument of this command; see --help"),
        (["swep"], 'Did you mean "sweep"?'),
        (["report", "nowhere"], "nowhere: is no result directory"),
        (["losses", "--picture", "losses.docx"], "losses.docx: must end in .png"),
    ],
)
def test_wrong_input_is_one_message_and_exit_2(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(*arguments) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.startswith("error: ")
    assert len(error.strip().splitlines()) == 1


def test_losses_are_listed_and_pictured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("losses", "--picture", tmp_path / "losses.png") == 0
    said = capsys.readouterr().out
    assert re.search(r"squared +1 +-2 +2 +1 +\(z - 1\)\^2", said)
    assert (tmp_path / "losses.png").stat().st_size > 10_000


def test_help_names_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("--help") == 0
    assert {"sweep", "report", "losses"} <= set(capsys.readouterr().out.split())


@pytest.mark.slow(but="SIGINT")
@pytest.mark.parametrize("which", [signal.SIGINT, signal.SIGTERM], ids=lambda which: which.name)
def test_an_interrupt_exits_130_and_the_same_command_goes_on(tmp_path: Path, which: signal.Signals) -> None:
    out = tmp_path / "out"
    command = [sys.executable, str(ROOT / "run.py"), "sweep", "--out", str(out), *QUICK, "--workers", "2"]
    more = ["train.steps=400", "sweep.data.pairs=[16,24,32]", 'sweep.loss="hinge"', "sweep.seeds=4"]
    command += ["--set", *more]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and not list(out.glob("parts/*.runs.parquet")):
            time.sleep(0.02)
        process.send_signal(which)
        said, error = process.communicate(timeout=120)
    assert process.returncode == 130, error
    under_way = len(list(out.glob("parts/*.safetensors")))
    states = f", and the state of {under_way} stack{'s' * (under_way > 1)} under way" if under_way else ""
    assert re.search(rf"what is finished is kept in {out}: (8|16|24) runs{states}; the same command goes on", said)
    assert "stopping when what is being written is on disk; once more stops at once" in error
    assert "Traceback" not in error
    kept = list(out.glob("parts/*.sha256"))
    assert kept
    assert not (out / "curves.parquet").exists()
    assert not list(out.rglob("*.partial"))
    run_sweep(quick_sweep(*more), out, workers=1)
    assert len(pd.read_parquet(out / "runs.parquet")) == 24


def test_a_second_interrupt_ends_at_once(tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = [sys.executable, str(ROOT / "run.py"), "sweep", "--out", str(out), *QUICK, "--workers", "1"]
    more = ["train.steps=600", "sweep.seeds=1", 'sweep.loss="hinge"']
    command += ["--set", *more]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and not (out / "running.json").exists():
            time.sleep(0.02)
        for _ in range(2):
            process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "Traceback" not in error
    run_sweep(quick_sweep(*more), out, workers=1)
    assert len(pd.read_parquet(out / "runs.parquet")) == 2


@pytest.mark.long_only
@pytest.mark.slow
@pytest.mark.usefixtures("undrawn")
def test_who_comes_second_is_told_who_was_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    command = [sys.executable, str(ROOT / "run.py"), "sweep", "--out", str(out), *QUICK, "--workers", "1"]
    with subprocess.Popen([*command, "--set", "train.steps=5000"], stdout=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and not (out / "running.json").exists():
            time.sleep(0.02)
        for more in ([], ["--fresh"]):
            assert call("sweep", "--out", out, *QUICK, "--set", "train.steps=5000", *more) == 2
            said = capsys.readouterr().err
            assert f"another sweep is writing there (process {process.pid} on {platform.node()}, since 20" in said
        process.kill()
    assert (out / "running.json").exists()
    assert call("sweep", "--out", out, *QUICK, "--workers", "1", "--fresh") == 0
    assert not (out / "running.json").exists()


@pytest.mark.usefixtures("undrawn")
def test_a_finished_sweep_is_reported_from_what_is_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    assert call("sweep", "--out", out, *QUICK, "--workers", 1) == 0
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in out.rglob("*") if path.is_file()}
    capsys.readouterr()
    assert call("sweep", "--out", out, *QUICK, "--workers", 1) == 0
    assert "all 24 runs were there, none of them diverged" in capsys.readouterr().out
    assert {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in out.rglob("*") if path.is_file()} == before
    (out / "report.html").unlink()
    assert call("sweep", "--out", out, *QUICK, "--workers", 1) == 0
    assert (out / "report.html").exists()


@pytest.mark.usefixtures("undrawn")
def test_altered_records_are_told_of(results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    shutil.copytree(results, out)
    rows = pd.read_parquet(out / "curves.parquet")
    rows.assign(gold=rows["gold"] + 1).to_parquet(out / "curves.parquet")
    assert call("report", out) == 0
    error = capsys.readouterr().err
    assert f"warning: {out / 'curves.parquet'}: is not as the sweep wrote it" in error


def test_an_unforeseen_failure_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("simulator.objectives.loss_table.describe", broken)
    with pytest.raises(ZeroDivisionError):
        call("losses")
