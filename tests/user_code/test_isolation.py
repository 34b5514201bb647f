"""Nothing that code of the user's own prints, sets, raises or exits reaches another run, and it is named."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import run
import simulator.user_code.isolation
from simulator import ConfigError, Sweep, SweepError, run_sweep
from simulator.common import signals as interrupts
from simulator.objectives.own_loss import own_loss
from simulator.user_code.isolation import GLOBAL_STATES, isolated
from tests.conftest import heard, small_sweep

ROOT = Path(__file__).parents[2]
CHANGES: dict[str, Callable[[], object]] = {
    "dtype": lambda: torch.set_default_dtype(torch.float64),
    "device": lambda: torch.set_default_device("meta"),
    "grad": lambda: torch.set_grad_enabled(not torch.is_grad_enabled()),
    "threads": lambda: torch.set_num_threads(torch.get_num_threads() + 1),
    "precision": lambda: torch.set_float32_matmul_precision("medium"),
    "deterministic": lambda: torch.use_deterministic_algorithms(True),
    "anomaly": lambda: torch.autograd.set_detect_anomaly(True),
    "torch's seed": lambda: torch.manual_seed(4),
    "torch's draw": lambda: torch.rand(3),
    "numpy's seed": lambda: np.random.seed(4),
    "numpy's draw": lambda: np.random.normal(),
    "python's seed": lambda: random.seed(4),
    "environment": lambda: os.environ.update(HOME="elsewhere", NEW_ONE="1"),
    "less environment": lambda: os.environ.pop("PATH"),
    "folder": lambda: os.chdir("/"),
    "numpy's errors": lambda: np.seterr(all="raise"),
    "path": lambda: sys.path.insert(0, "elsewhere"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_is_set_is_put_back(name: str) -> None:
    before = [part.read() for part in GLOBAL_STATES]
    with isolated():
        CHANGES[name]()
        changed = [part.read() for part in GLOBAL_STATES] != before
    assert changed
    assert [part.read() for part in GLOBAL_STATES] == before


def test_a_default_device_is_put_back_also_where_it_is_the_same() -> None:
    """Torch routes every call through it, which costs time."""
    modes = torch.overrides._get_current_function_mode_stack
    with isolated():
        torch.set_default_device("cpu")
        assert len(modes()) == 1
    assert modes() == []


def leave(name: str, *given: int) -> None:
    with isolated():
        torch.set_default_dtype(torch.float64)
        getattr(os, name)(*given)


def test_what_raises_is_put_back_too_and_no_exit_ends_the_process() -> None:
    dtype, exits = torch.get_default_dtype(), (os._exit, os.abort)
    for name, given in (("_exit", (3,)), ("abort", ())):
        with pytest.raises(simulator.user_code.isolation.ExitError, match="would end the whole sweep"):
            leave(name, *given)
    assert torch.get_default_dtype() == dtype
    assert (os._exit, os.abort) == exits


def test_a_working_folder_that_is_gone_is_no_trouble(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with isolated():
        torch.set_default_dtype(torch.float64)
    assert torch.get_default_dtype() == torch.float32


def complaint(folder: Path, body: str, name: str = "f") -> str:
    (folder / "mine.py").write_text(f"import os, random, torch\nSEEN = []\n{body}\n")
    with pytest.raises(ConfigError) as error:
        own_loss(f"mine.py:{name}", folder)
    return str(error.value)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("def f(z):\n    os._exit(3)", "raises (ExitError, line 4: it calls os._exit(3), which would end the whole"),
        ("os._exit(0)", "mine.py cannot be loaded (ExitError, line 3: it calls os._exit(0), which would end"),
        ("def f(z):\n    raise GeneratorExit", "raises (GeneratorExit, line 4: )"),
        ("class E(BaseException): pass\ndef f(z):\n    raise E('x')", "raises (E, line 5: x)"),
        (
            "def f(z):\n    SEEN.append(1)\n    return (z - 1) ** 2 + len(SEEN)",
            "must give the same values for the same pairs each time: it keeps state between calls, or draws random",
        ),
        (
            "def f(z):\n    SEEN.append(1)\n    return (z - 1) ** 2 + (len(SEEN) > 3)",
            "must give the same values for the same pairs each time",
        ),
        ("def f(z):\n    return (z - 1) ** 2 + torch.rand(())", "or draws random numbers"),
        ("def f(z):\n    return (z - 1) ** 2 + random.random()", "or draws random numbers"),
        ("def f(z):\n    return (z - 1) ** 2 * z.mean()", "must keep runs apart"),
    ],
)
def test_a_loss_that_cannot_be_is_refused_with_the_right_reason(tmp_path: Path, body: str, said: str) -> None:
    assert said in complaint(tmp_path, body)


def test_an_interrupt_that_nobody_asked_for_is_the_loss_s_own(tmp_path: Path) -> None:
    body = "def f(z):\n    raise KeyboardInterrupt"
    with interrupts.handling_signals():
        assert "raises (KeyboardInterrupt, line 4" in complaint(tmp_path, body)
    with pytest.raises(KeyboardInterrupt):
        own_loss("mine.py:f", tmp_path)  # nobody listens, so it may have been the user


NASTY = """
import os, signal, torch

def shouts(z):
    os.system("echo hi")
    os.write(1, b'{"done": true}\\n')
    print('{"done": true}')
    return (z - 1) ** 2

def reads(z):
    try:
        input()
    except EOFError:
        pass
    return (z - 1) ** 2

def widens(z):
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(0)
    os.environ["OMP_NUM_THREADS"] = "7"
    return (z - 1) ** 2

def trains(z):
    return os.getpid() != int(os.environ["PARENT"]) and z.dim() == 2 and z.requires_grad and z.abs().max() < 0.001

def dies(z):
    if trains(z):
        os.kill(os.getpid(), signal.SIGSEGV)
    return (z - 1) ** 2

def exits(z):
    if trains(z):
        os._exit(0)
    return (z - 1) ** 2
"""


@pytest.mark.slow
def test_losses_that_shout_read_set_die_and_exit_reach_no_other_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """In two worker processes: what others measure is what they measure alone, and the guilty are named."""
    monkeypatch.setenv("PARENT", str(os.getpid()))
    (tmp_path / "mine.py").write_text(NASTY)
    nasty = [f"mine.py:{name}" for name in ("shouts", "reads", "widens", "dies", "exits")]
    grid = {"loss": ["squared", *nasty], "beta": [0.3], "seeds": 2}
    short = {"steps": 8, "checkpoints": 3}
    (tmp_path / "sweep.toml").write_text(small_sweep(sweep=grid, train=short).to_toml())
    with heard(), pytest.raises(SweepError) as error:
        run_sweep(Sweep.from_toml(tmp_path / "sweep.toml"), tmp_path / "out", workers=2, memory="2GiB")
    runs = pd.read_parquet(tmp_path / "out" / "runs.parquet").set_index("loss")
    failed = runs[runs["status"] == "failed"]["reason"]
    assert set(failed.index) == {"mine.py:dies", "mine.py:exits"}
    assert set(failed["mine.py:dies"]) == {"sweep.loss = mine.py:dies: its process ended with exit code -11"}
    assert all("raises (ExitError" in reason for reason in failed["mine.py:exits"])
    assert "4 of 12 runs failed" in str(error.value)
    alone = small_sweep(sweep=grid | {"loss": ["squared"]}, train=short)
    expected = pd.read_parquet(run_sweep(alone, tmp_path / "alone", workers=1) / "curves.parquet")
    found = pd.read_parquet(tmp_path / "out" / "curves.parquet")
    measured = ["kl", "gold", "train_loss"]
    for loss in ("squared", *nasty[:3]):
        assert found.loc[found["loss"] == loss, measured].to_numpy() == pytest.approx(
            expected.loc[expected["loss"] == "squared", measured].to_numpy(), rel=1e-5, abs=1e-7
        )
    assert "hi" in capfd.readouterr().err


def test_a_trial_that_takes_long_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simulator.user_code.loading.PATIENCE", 0.01)
    (tmp_path / "mine.py").write_text("import time\ntime.sleep(0.3)\ndef f(z):\n    return (z - 1) ** 2\n")
    with heard() as told:
        own_loss("mine.py:f", tmp_path)
    assert told == ["sweep.loss = mine.py:f: is still being tried after 0.01 s; Ctrl-C stops"]


def command(folder: Path, *arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, str(ROOT / "run.py"), *arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + 120
    while not path.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert path.exists()


LOOPS = ("while True: pass", "while True:\n    try: time.sleep(1)\n    except Exception: pass")


@pytest.mark.slow(but="while True: pass")
@pytest.mark.parametrize("loop", LOOPS)
def test_ctrl_c_ends_a_trial_that_never_returns(tmp_path: Path, loop: str) -> None:
    source = f"import time\nfrom pathlib import Path\nPath('begun').touch()\n{loop}\n"
    (tmp_path / "mine.py").write_text(source)
    (tmp_path / "tiny.toml").write_text('[sweep]\nloss = "mine.py:f"\n')
    with command(tmp_path, "sweep", "tiny.toml", "--out", "out") as process:
        wait_for(tmp_path / "begun")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in out + err


TINY = """
[world]
vocabulary = 4
response_length = 3
prompts = 2
[reference]
steps = 20
[train]
steps = 4
checkpoints = 2
[sweep]
loss = ["hinge", "mine.py:f"]
beta = [0.1]
seeds = 1
"data.pairs" = [16, 32]
"""


@pytest.mark.slow
def test_files_named_like_modules_in_the_working_folder_hide_none(tmp_path: Path) -> None:
    for name in ("simulator.py", "json.py", "random.py", "torch.py", "numpy.py", "queue.py"):
        (tmp_path / name).write_text("raise SystemExit('a file of the user was imported')\n")
    (tmp_path / "analysis").mkdir()
    (tmp_path / "analysis" / "__init__.py").write_text("raise SystemExit('a folder of the user was imported')\n")
    (tmp_path / "mine.py").write_text("def f(z):\n    return (z - 1) ** 2\n")
    (tmp_path / "tiny.toml").write_text(TINY)
    program = "from simulator import Sweep, run_sweep; run_sweep(Sweep.from_toml('tiny.toml'), 'out', workers=2)"
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-P", "-c", program],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "SHA256SUMS").exists()


def test_a_file_beside_a_loss_that_is_named_like_one_of_ours_is_refused(tmp_path: Path) -> None:
    """And ours is imported afterwards, also where it was not before."""
    (tmp_path / "gold_rewards").mkdir()
    (tmp_path / "gold_rewards" / "__init__.py").write_text("MINE = 1\n")
    (tmp_path / "mine.py").write_text("import gold_rewards\ndef f(z):\n    return (z - 1) ** 2\n")
    ours = {name: module for name, module in sys.modules.items() if name.split(".")[0] == "gold_rewards"}
    for name in ours:
        del sys.modules[name]
    try:
        with pytest.raises(
            ConfigError, match=r"gold_rewards.__init__\.py: has the name of our own package gold_rewards"
        ):
            own_loss("mine.py:f", tmp_path)
        import gold_rewards

        assert hasattr(gold_rewards, "GOLD_REWARDS")
    finally:
        sys.modules.update(ours)


def test_a_package_that_hides_ours_is_named(tmp_path: Path) -> None:
    assert run.hidden_package() == ""
    (tmp_path / "simulator.py").write_text("raise SystemExit('a file of the user was imported')\n")
    program = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); sys.path.append({str(ROOT)!r}); import run; "
    done = subprocess.run(
        [sys.executable, "-P", "-c", program + "sys.exit(run.main(['losses']))"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 2
    assert "simulator.py: has the name of our own package simulator and hides it; rename it" in done.stderr
    assert "Traceback" not in done.stderr
