"""A wheel, installed outside of any checkout, has the command, the sweeps that ship and the page's template."""

import os
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment of its own with our wheel in it; other libraries are those of the test's environment."""
    folder = tmp_path_factory.mktemp("installed")
    source = folder / "source"
    for name in ("simulator", "gold_rewards", "analysis"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("run.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    wheels, environment = folder / "wheels", folder / "environment"
    pip_wheel = [*pip, "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", str(wheels), str(source)]
    subprocess.run(pip_wheel, check=True, capture_output=True)
    shutil.rmtree(source)
    (wheel,) = wheels.glob("alignment_simulator-*.whl")
    venv.create(environment, with_pip=False)
    python = str(environment / "bin" / "python")
    pip_install = [*pip, "--python", python, "install", "-q", "--no-deps", str(wheel)]
    subprocess.run(pip_install, env=without_python_path(), check=True)
    # A path in a .pth file brings what lies there, but not the .pth files there, such as that of an editable install.
    outer = [path for path in (sysconfig.get_path("purelib"), sysconfig.get_path("platlib")) if path]
    (site_packages(environment) / "outer.pth").write_text("\n".join(dict.fromkeys(outer)) + "\n")
    return environment


def without_python_path() -> dict[str, str]:
    """The environment without PYTHONPATH: a source on it that has an egg-info would count as installed."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


def site_packages(environment: Path) -> Path:
    (found,) = environment.glob("lib/python*/site-packages")
    return found


def command(installed: Path, cwd: Path, *arguments: str, path: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(installed / "bin" / "alignment-simulator"), *arguments],
        cwd=cwd,
        env=without_python_path() | ({"PYTHONPATH": path} if path else {}),
        capture_output=True,
        text=True,
        check=False,
    )


def test_modules_are_those_of_the_environment(installed: Path, tmp_path: Path) -> None:
    code = "import simulator, analysis, gold_rewards, run; print(*(m.__file__ for m in (simulator, analysis, run)))"
    python = [str(installed / "bin" / "python"), "-c", code]
    done = subprocess.run(python, cwd=tmp_path, env=without_python_path(), capture_output=True, text=True, check=True)
    assert all(Path(file).is_relative_to(installed) for file in done.stdout.split())


@pytest.mark.slow
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


@pytest.mark.slow
def test_it_writes_the_playground_from_what_ships(installed: Path, tmp_path: Path) -> None:
    """With the engine as WebAssembly, the lessons, and what Python's runs came to."""
    made = command(installed, tmp_path, "playground")
    assert made.returncode == 0, made.stderr
    assert made.stdout.startswith("playground in results/playground.html: ")
    assert "training in Python" not in made.stdout
    text = (tmp_path / "results" / "playground.html").read_text(encoding="utf-8")
    assert len(text) < 400_000
    assert 'id="engine"' in text


def test_every_sweep_that_ships_is_found_by_name(installed: Path, tmp_path: Path) -> None:
    shipped = {path.stem for path in (ROOT / "configs").glob("*.toml")}
    there = {path.stem for path in (site_packages(installed) / "simulator" / "sweeps" / "shipped").glob("*.toml")}
    assert there == shipped
    done = command(installed, tmp_path, "sweep", "gpoo")
    assert done.returncode == 2
    assert "did you mean gpo?" in done.stderr


def test_a_package_of_the_same_name_is_told_of(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "analysis").mkdir()
    (tmp_path / "analysis" / "__init__.py").write_text("")
    done = command(installed, tmp_path, "--help", path=str(tmp_path))
    assert done.returncode == 2
    assert "has the name of our own package analysis and hides it; rename it" in done.stderr
