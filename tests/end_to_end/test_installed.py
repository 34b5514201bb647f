"""A wheel, installed outside of any checkout, has the command, the sweeps that ship and the page's template."""

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what a wheel installs, its command in bin/; libraries are those of this environment."""
    folder = tmp_path_factory.mktemp("installed")
    source = folder / "source"
    for name in ("simulator", "gold_rewards", "analysis"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("run.py", "pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, source)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    wheels = folder / "wheels"
    pip_wheel = [*pip, "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", str(wheels), str(source)]
    subprocess.run(pip_wheel, check=True, capture_output=True)
    (wheel,) = wheels.glob("alignment_simulator-*.whl")
    target = folder / "site"
    subprocess.run([*pip, "install", "-q", "--no-deps", "--target", str(target), str(wheel)], check=True)
    shutil.rmtree(source)
    return target


def command(installed: Path, cwd: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment["PYTHONPATH"] = str(installed)
    return subprocess.run(
        [str(installed / "bin" / "alignment-simulator"), *arguments],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_it_sweeps_what_ships_and_makes_its_page(installed: Path, tmp_path: Path) -> None:
    small = ("sweep.seeds=1", "sweep.beta=[1.0]", 'sweep.loss=["dpo"]', "train.steps=2", "train.checkpoints=2")
    tiny = ("world.vocabulary=4", "world.response_length=2", "world.prompts=2", "reference.steps=2", "data.pairs=16")
    done = command(installed, tmp_path, "sweep", "gpo", "--workers", "1", "--set", *small, *tiny)
    assert done.returncode == 0, done.stderr
    out = tmp_path / "results" / "gpo"
    assert (out / "curves.parquet").exists()
    assert "<title>" in (out / "report.html").read_text(encoding="utf-8")
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert command(installed, tmp_path, "--version").stdout.strip() == version


def test_every_sweep_that_ships_is_found_by_name(installed: Path, tmp_path: Path) -> None:
    shipped = {path.stem for path in (ROOT / "configs").glob("*.toml")}
    there = {path.stem for path in (installed / "simulator" / "sweeps" / "shipped").glob("*.toml")}
    assert there == shipped
    done = command(installed, tmp_path, "sweep", "gpoo")
    assert done.returncode == 2
    assert "did you mean gpo?" in done.stderr


def test_a_package_of_the_same_name_is_told_of(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "analysis").mkdir()
    (tmp_path / "analysis" / "__init__.py").write_text("")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(installed)])}
    done = subprocess.run(
        [str(installed / "bin" / "alignment-simulator"), "--help"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 2
    assert "has the name of our own package analysis and hides it; rename it" in done.stderr
