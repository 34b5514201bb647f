"""Sweeps where what only POSIX has is missing, where Windows forbids names, and where a notebook calls."""

import asyncio
import errno
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

import run
import simulator.common.atomic_files
import simulator.common.terminal
from analysis.records.safe_names import file_name_part
from simulator import Sweep, run_sweep
from simulator.common.atomic_files import StorageError, remedy, write_atomically
from simulator.common.terminal import say
from simulator.execution.retry import failure_of_dead_process
from simulator.execution.worker_pool import workers_on
from tests.execution.test_worker_pool import folder_of, jobs_of

ROOT = Path(__file__).parents[2]
FORBIDDEN = frozenset('<>:"/\\|?*') | frozenset(map(chr, range(32)))
DEVICES = {"con", "prn", "aux", "nul", *(f"{port}{number}" for port in ("com", "lpt") for number in range(10))}
SWEEP = """
[world]
vocabulary = 4
response_length = 2
prompts = 2
[reference]
steps = 20
[policy]
width = 8
[train]
steps = 4
checkpoints = 2
[proxy]
steps = 2
width = 4
[best_of_n]
largest = 4
[sweep]
method = ["gpo", "best_of_n"]
loss = ["logistic", "inner/mine.py:half"]
beta = [0.5]
seeds = 1
"data.pairs" = [256, 320]
"""
LOSS = "import os\ndef half(z):\n    os.environ['SEEN'] = 'yes'\n    return (z - 0.5) ** 2\n"
WITHOUT_POSIX = r'''
"""Every module of ours, and a sweep, where `os` and `signal` are as on Windows and POSIX's modules are missing."""

import importlib, json, os, pkgutil, signal, sys, types
import cyclopts, filelock, jinja2, matplotlib.figure, pandas, platformdirs, plotly, psutil, pyarrow.parquet, pydantic
import matplotlib.backends.backend_agg, matplotlib.backends.backend_svg
import rich.console, rich.progress, safetensors.torch, scipy.optimize, scipy.stats, tomli_w, torch, PIL.Image
import concurrent.futures, multiprocessing, subprocess, tempfile

MODULES = ["crypt", "fcntl", "grp", "posix", "pty", "pwd", "resource", "syslog", "termios", "tty"]
ON_WINDOWS_TOO = ["SIGABRT", "SIGFPE", "SIGILL", "SIGINT", "SIGSEGV", "SIGTERM", "SIG_DFL", "SIG_IGN"]
FUNCTIONS = """
    chown chroot confstr environb fchdir fchmod fchown fdatasync fork forkpty fpathconf fstatvfs getegid getenvb geteuid
    getgid getgroups getloadavg getpgid getpgrp getpriority getsid getuid initgroups killpg lchown lockf mkfifo mknod
    nice openpty pathconf pipe2 posix_fadvise posix_fallocate posix_spawn posix_spawnp pread preadv pwrite pwritev
    register_at_fork sched_getaffinity sched_setaffinity sched_yield sendfile setegid seteuid setgid setgroups setpgid
    setpriority setregid setreuid setsid setuid splice statvfs sync sysconf tcgetpgrp tcsetpgrp ttyname uname wait wait3
    wait4 waitid WIFEXITED WEXITSTATUS WIFSIGNALED WTERMSIG O_DIRECTORY O_CLOEXEC O_NOFOLLOW O_NONBLOCK O_SYNC
""".split()
SIGNALS = [name for name in dir(signal) if name.startswith("SIG") and name not in ON_WINDOWS_TOO] + """
    alarm getitimer pause pthread_kill pthread_sigmask set_wakeup_fd setitimer siginterrupt sigpending sigtimedwait
    sigwait sigwaitinfo
""".split()


def without(module, names, **changed):
    """A module that lacks some names. The libraries keep the one that they have."""
    left = types.ModuleType(module.__name__)
    vars(left).update({name: value for name, value in vars(module).items() if name not in names}, **changed)
    return left


whole = {"os": os, "signal": signal}
sys.modules |= {"os": without(os, FUNCTIONS, name="nt"), "signal": without(signal, SIGNALS)}
sys.modules |= dict.fromkeys(MODULES)
packages = [importlib.import_module(name) for name in ("simulator", "gold_rewards", "analysis", "benchmarks")]
names = [info.name for package in packages for info in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")]
extra = ["benchmarks.contenders.by_trl", "benchmarks.peak"]
ours = [importlib.import_module(name) for name in ["run", *names] if name not in extra]
assert len(ours) > 150
assert not [module for module in ours for name, one in whole.items() if vars(module).get(name) is one]
sys.modules |= whole
kinds = sys.modules["analysis.figures.drawing"].KINDS
for name in {*kinds} - {"tradeoff", "overoptimization"}:
    del kinds[name]  # drawing all takes long
opened = []
sys.addaudithook(lambda event, given: opened.append(str(given[0])) if event in ("open", "os.mkdir") else None)
code = sys.modules["run"].main(sys.argv[1:])
print(json.dumps(opened), file=sys.stderr)
sys.exit(code)
'''


def sweep_file(folder: Path) -> Path:
    """A sweep with proxies, figures, and a loss of the user's own in an inner folder."""
    (folder / "inner").mkdir()
    (folder / "inner" / "mine.py").write_text(LOSS, encoding="utf-8")
    (folder / "tiny.toml").write_text(SWEEP, encoding="utf-8")
    return folder / "tiny.toml"


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The curves of the sweep as this system has them."""
    folder = tmp_path_factory.mktemp("expected")
    return (run_sweep(Sweep.from_toml(sweep_file(folder)), folder / "out", workers=1) / "curves.parquet").read_bytes()


def allowed(name: str) -> bool:
    """Whether Windows takes a name for a file."""
    return not (FORBIDDEN & set(name) or name.endswith((" ", ".")) or name.split(".")[0].lower() in DEVICES)


@pytest.mark.slow
def test_without_what_only_posix_has_a_sweep_gives_the_same_bytes(tmp_path: Path, expected: bytes) -> None:
    out = tmp_path / "out"
    command = [sys.executable, "-c", WITHOUT_POSIX, "sweep", str(sweep_file(tmp_path)), "--workers", "1"]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONUTF8": "0", "LC_ALL": "C"}
    done = subprocess.run(
        [*command, "--out", str(out)], env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert (out / "curves.parquet").read_bytes() == expected
    assert (out / "report.html").exists()
    assert not [path for path in (out, out / "parts") if (path / ".lock").exists()]
    opened = {Path(path) for path in json.loads(done.stderr.splitlines()[-1])}
    named = {path.relative_to(out) for path in {*opened, *out.rglob("*")} if out in path.parents}
    assert {path.suffix for path in named} >= {".toml", ".parquet", ".npz", ".json", ".png", ".html", ".partial", ".py"}
    assert not [path for path in named if not all(map(allowed, path.parts))]
    assert len({str(path).lower() for path in named}) == len(named)


def test_names_of_figures_are_allowed_everywhere() -> None:
    for name in (*FORBIDDEN, "a:b", "C:\\mine.py:half", "ends in a dot.", "nul"):
        assert allowed(f"tradeoff-axis-{file_name_part(name)}.png")


class NotebookStream(io.StringIO):
    """A stream such as a notebook has in place of a file: without a descriptor, and no terminal."""

    def fileno(self) -> int:
        raise io.UnsupportedOperation("fileno")


@pytest.mark.usefixtures("undrawn")
def test_a_notebook_may_call_from_any_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, expected: bytes) -> None:
    """A loop is running, in the main thread, and no stream is a file."""
    for name in ("stdin", "stdout", "stderr"):
        monkeypatch.setattr(sys, name, NotebookStream())
    config = sweep_file(tmp_path)

    async def cells() -> tuple[Path, int]:
        folder = await asyncio.to_thread(run_sweep, Sweep.from_toml(config), tmp_path / "called", workers=1)
        arguments = ["sweep", str(config), "--out", str(tmp_path / "command"), "--workers", "1"]
        return folder, await asyncio.to_thread(run.main, arguments)

    folder, code = asyncio.run(cells())
    assert code == 0, sys.stderr.getvalue()
    for place in (folder, tmp_path / "command"):
        assert (place / "curves.parquet").read_bytes() == expected


def test_workers_stop_without_signals_and_save_their_stacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simulator.execution.worker_pool.HAS_SIGTERM", False)
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


def test_a_file_that_a_reader_holds_open_is_replaced_when_it_lets_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = as_windows(monkeypatch, simulator.common.atomic_files)
    tries: list[Path] = []

    def refuse(path: Path, place: Path) -> None:
        tries.append(place)
        if len(tries) < 3:
            raise PermissionError(errno.EACCES, "in use", str(path))
        os.replace(path, place)

    system.replace = refuse
    monkeypatch.setattr(simulator.common.atomic_files, "PAUSES", (0.0, 0.0))
    write_atomically(tmp_path / "table", b"new")
    assert (tmp_path / "table").read_bytes() == b"new"
    assert len(tries) == 3
    monkeypatch.setattr(simulator.common.atomic_files, "PAUSES", (0.0,))
    tries.clear()
    with pytest.raises(StorageError, match="in use"):
        write_atomically(tmp_path / "table", b"newer")
    assert [path.name for path in tmp_path.iterdir()] == ["table"]
    held = PermissionError(errno.EACCES, "held")
    held.winerror = 32
    assert remedy(held) == "close the program that holds it open"


class System:
    """What a module of ours finds as `os`: this system's, under the name of another."""

    name = "nt"

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)


def as_windows(monkeypatch: pytest.MonkeyPatch, module: Any) -> Any:
    """Let a module find itself on Windows; what it finds as `os`."""
    system = System()
    monkeypatch.setattr(module, "os", system)
    return system


@pytest.mark.parametrize("code", [errno.EINVAL, errno.ENOTSUP])
def test_a_file_system_that_flushes_no_folders_will_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    whole, calls = os.fsync, []

    def only_files(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) == 2:
            raise OSError(code, os.strerror(code))
        whole(descriptor)

    monkeypatch.setattr(os, "fsync", only_files)
    write_atomically(tmp_path / "table", b"content")
    assert (tmp_path / "table").read_bytes() == b"content"
    assert len(calls) == 2


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


def test_names_of_losses_are_recorded_alike_on_every_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import simulator.sweeps.sweep as sweeps

    system = as_windows(monkeypatch, sweeps)
    system.sep, system.path = "\\", __import__("ntpath")
    assert sweeps.loss_name("inner/./mine.py:half") == sweeps.loss_name("inner\\mine.py:half") == "inner/mine.py:half"
