"""Sweeps where what only POSIX has is missing, where Windows forbids names, and where a notebook calls."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import run
from analysis.records.safe_names import file_name_part
from simulator import Sweep, run_sweep
from tests.helpers.other_systems import NotebookStream, as_windows, sweep_file

ROOT = Path(__file__).parents[2]
FORBIDDEN = frozenset('<>:"/\\|?*') | frozenset(map(chr, range(32)))
DEVICES = {"con", "prn", "aux", "nul", *(f"{port}{number}" for port in ("com", "lpt") for number in range(10))}
WITHOUT_POSIX = r'''
"""Every module of ours, and a sweep, where `os` and `signal` are as on Windows and POSIX's modules are missing."""

import importlib, json, os, pkgutil, signal, sys, types
import cyclopts, filelock, jinja2, matplotlib.figure, pandas, platformdirs, psutil, pyarrow.parquet, pydantic
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
extra = ["benchmarks.contenders.by_trl", "benchmarks.contenders.by_jax", "benchmarks.peak", "simulator.native._engine"]
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


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The curves of the sweep as this system has them."""
    folder = tmp_path_factory.mktemp("expected")
    return (run_sweep(Sweep.from_toml(sweep_file(folder)), folder / "out", workers=1) / "curves.parquet").read_bytes()


def allowed(name: str) -> bool:
    """Whether Windows takes a name for a file."""
    return not (FORBIDDEN & set(name) or name.endswith((" ", ".")) or name.split(".")[0].lower() in DEVICES)


@pytest.mark.long_only
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


@pytest.mark.slow
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


def test_names_of_losses_are_recorded_alike_on_every_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import simulator.sweeps.sweep as sweeps

    system = as_windows(monkeypatch, sweeps)
    system.sep, system.path = "\\", __import__("ntpath")
    assert sweeps.loss_name("inner/./mine.py:half") == sweeps.loss_name("inner\\mine.py:half") == "inner/mine.py:half"
