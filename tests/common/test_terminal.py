"""What is printed: nothing in it acts on a terminal, and neither a reader nor a terminal that is gone is an error."""

import ast
import io
import os
import pty
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import pytest

import run
from simulator.common.errors import printable
from simulator.common.terminal import BestEffortStream, say

ROOT = Path(__file__).parents[2]
COLOURED = "red\x1b[31m\nerror: \u202eforged\udcff"
SMALL_WORLD = ["world.vocabulary=4", "world.prompts=2", "reference.steps=50", "data.pairs=32"]


def test_only_one_module_prints() -> None:
    """Whatever a user or a file named goes through `say`, so nothing else writes to a terminal."""
    paths = [
        ROOT / "run.py",
        *(
            path
            for name in ("simulator", "gold_rewards", "analysis", "benchmarks")
            for path in (ROOT / name).rglob("*.py")
        ),
    ]
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                assert called != "print", f"{path}:{node.lineno}"
                if called in ("sys.stdout.write", "sys.stderr.write"):
                    assert path.name == "run.py", f"{path}:{node.lineno}"  # of a package that hides ours


def test_lines_do_nothing_to_a_terminal() -> None:
    stream = io.StringIO()
    say(COLOURED, Path("a\tb"), 3, stream=stream)
    assert stream.getvalue() == "red\\x1b[31m\\nerror: \\u202eforged\\udcff\na\\tb\n3\n"


def printed_by(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    run.main(arguments)
    said = capsys.readouterr()
    return said.out + said.err


def test_no_name_reaches_a_terminal_raw(results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Names in every place that a command takes one, and in the place that it is run from."""
    odd = tmp_path / COLOURED
    odd.mkdir()
    there = shutil.copytree(results, odd / "results")
    (odd / "mine.toml").write_text("[data]\nparis = 1\n")
    (odd / "mine.py").write_text("def f(z):\n    raise ValueError('\\x1b[31m')\n")
    (odd / "text.txt").write_text("short")
    (there / "curves.parquet").write_bytes(b"damaged")
    commands = [
        ["sweep", "--dry-run", "--out", str(odd / "out")],
        ["sweep", "--out", f"/dev/null/{COLOURED}"],
        ["sweep", str(odd / "mine.toml")],
        ["sweep", str(odd / "none.toml")],
        ["sweep", "--dry-run", "--set", f"sweep.loss={odd / 'mine.py'}:f"],
        ["sweep", "--dry-run", "--set", f"world.language.text={odd / 'text.txt'}", 'world.kind="sampled"'],
        ["sweep", "--set", COLOURED],
        ["sweep", "--set", f"data.{COLOURED}=1"],
        ["sweep", "--memory", COLOURED],
        ["sweep", "--device", COLOURED],
        ["sweep", f"--{COLOURED}"],
        ["sweep", "--dry-run", "--out", str(there)],
        ["report", str(odd)],
        ["report", str(there)],
        ["losses", COLOURED],
        ["losses", f"{odd / 'mine.py'}:f"],
        ["losses", "--picture", str(odd / "losses.docx")],
        ["losses", "--picture", str(odd / "losses.png")],
        ["reproduce", COLOURED],
        ["reproduce", "gpo", "--quick", "--dry-run", "--out", str(odd)],
        [COLOURED],
    ]
    for arguments in commands:
        said = printed_by(arguments, capsys)
        assert said, arguments
        assert all(line.isprintable() for line in said.split("\n")), arguments
        assert not any(line.startswith("error: \\u202e") for line in said.split("\n")), arguments


@contextmanager
def nobody_reads() -> Iterator[None]:
    """Standard output is a pipe whose reader is gone."""
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as stream, mock.patch.object(sys, "stdout", stream):
        yield


@pytest.mark.parametrize(
    "arguments",
    [
        ["losses"],
        ["losses", "--picture", "losses.png"],
        ["schema"],
        ["sweep", "--dry-run"],
        ["reproduce", "gpo", "--quick", "--dry-run"],
        ["report", "results/there"],
    ],
    ids=" ".join,
)
def test_a_reader_who_is_gone_is_not_mentioned(
    arguments: list[str],
    results: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    shutil.copytree(results, tmp_path / "results/there")
    monkeypatch.chdir(tmp_path)
    with nobody_reads():
        assert run.main(arguments) == 141
    assert capfd.readouterr() == ("", "")


def test_a_sweep_that_nobody_watches_ends_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("simulator.execution.progress.PLAIN_EVERY", 0.0)
    few = ["train.steps=6", "train.checkpoints=3", "sweep.seeds=2", "sweep.loss=hinge"]
    with nobody_reads():
        assert run.main(["sweep", "--out", str(tmp_path), "--workers", "1", "--set", *SMALL_WORLD, *few]) == 141
    assert capfd.readouterr() == ("", "")
    assert (tmp_path / "curves.parquet").exists()


def test_what_may_be_lost_is() -> None:
    with nobody_reads():
        stream = BestEffortStream(stream=sys.stdout)
        assert stream.write("lost") == 4
        stream.flush()
        assert stream.fileno() == sys.stdout.fileno()
        with pytest.raises(BrokenPipeError):
            say("not lost in silence")
        say("but the second time it goes nowhere")


def test_head_ends_a_command_in_silence(tmp_path: Path) -> None:
    done = subprocess.run(
        ["bash", "-c", f"{sys.executable} {ROOT / 'run.py'} schema | head -1; echo ${{PIPESTATUS[0]}}"],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    assert (done.stdout.splitlines()[0], done.stderr) == ("{", "")
    assert done.stdout.splitlines()[1] in ("0", "141")  # whether head was gone before the last line


@pytest.mark.slow
def test_a_terminal_that_closes_saves_what_there_is(tmp_path: Path) -> None:
    """A closed window or a lost connection is SIGHUP, after which the terminal takes nothing that is printed."""
    out, errors = tmp_path / "out", tmp_path / "errors"
    settings = [*SMALL_WORLD, "train.steps=100000", "sweep.loss=hinge", "sweep.beta=1", "sweep.seeds=2"]
    command = [sys.executable, str(ROOT / "run.py"), "sweep", "--out", str(out), "--workers", "1", "--set", *settings]
    child, terminal = pty.fork()
    if child == 0:  # pragma: no cover
        signal.signal(signal.SIGHUP, signal.SIG_DFL)  # the caller of these tests may have shut it off, as nohup does
        os.execv("/bin/sh", ["sh", "-c", 'exec "$@" 2>"$0"', str(errors), *command])
    until = time.monotonic() + 120
    said = b""
    os.set_blocking(terminal, False)
    while time.monotonic() < until and b"run-steps/s" not in said:
        time.sleep(0.05)
        try:
            said += os.read(terminal, 65536)
        except BlockingIOError:
            continue
    os.close(terminal)
    while time.monotonic() < until + 60 and os.waitpid(child, os.WNOHANG)[0] == 0:
        time.sleep(0.05)
    with pytest.raises(ChildProcessError):
        os.waitpid(child, os.WNOHANG)
    told = errors.read_text()
    assert "Traceback" not in told
    assert "stopping when what is being written is on disk" in told
    assert len(list(out.glob("parts/*.safetensors"))) == 1
    assert not list(out.glob("*.lock"))


def test_a_hangup_that_a_caller_shut_off_stays_so() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        run.main(["--version"])
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        run.main(["--version"])
        assert signal.getsignal(signal.SIGHUP) == signal.default_int_handler
    finally:
        signal.signal(signal.SIGHUP, before)


def test_printable_keeps_what_people_write() -> None:
    assert printable("größe π 報酬 x^2") == "größe π 報酬 x^2"
