"""The source distribution holds every file of the checkout, and the wheel what is read beside the code."""

import ctypes
import os
import re
import shlex
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.helpers.engines import needs_engine

ROOT = Path(__file__).parents[2]
ENGINE = re.compile(r"simulator/native/_engine\.[\w.-]+")  # where a compiler is at hand


@pytest.fixture(scope="module")
def tracked() -> list[str]:
    """The files that git knows of and that are there."""
    if shutil.which("git") is None:
        pytest.skip("needs git")
    git = ["git", "-C", str(ROOT)]
    top = subprocess.run([*git, "rev-parse", "--show-toplevel"], capture_output=True, text=True, check=False)
    if top.returncode or Path(top.stdout.strip()) != ROOT.resolve():
        pytest.skip("needs a git checkout; this is none")
    listed = subprocess.run([*git, "ls-files", "-z"], capture_output=True, text=True, check=True).stdout
    return [name for name in listed.split("\0") if name and os.path.lexists(ROOT / name)]


@pytest.fixture(scope="module")
def unpacked(tracked: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source distribution of what git knows of, unpacked."""
    folder = tmp_path_factory.mktemp("sdist")
    source = folder / "source"
    for name in tracked:
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, source / name, follow_symlinks=False)
    built = build("sdist", source, folder)
    with tarfile.open(built) as archive:
        archive.extractall(folder / "unpacked", filter="data")
    (root,) = (folder / "unpacked").iterdir()
    return root


def build(
    kind: str, source: Path, target: Path, *, compiled: bool = False, environment: Mapping[str, str] | None = None
) -> Path:
    """Build without a network, by the backend that pyproject.toml names."""
    program = f"import sys, setuptools.build_meta as backend; backend.build_{kind}(sys.argv[1])"
    without = {} if compiled else {"CXX": "false"}  # a compiler that fails is none
    environment = {**os.environ, **without, **(environment or {})}
    subprocess.run(
        [sys.executable, "-c", program, str(target)], cwd=source, check=True, capture_output=True, env=environment
    )
    (built,) = (path for path in target.iterdir() if path.name.endswith((".tar.gz", ".whl")))
    return built


def test_every_file_of_the_checkout_is_in_the_source_distribution(tracked: list[str], unpacked: Path) -> None:
    missing = [name for name in tracked if not (unpacked / name).exists()]
    assert not missing, "MANIFEST.in leaves out files"
    for name in tracked:
        if not (ROOT / name).is_dir():
            assert (unpacked / name).read_bytes() == (ROOT / name).read_bytes(), name
            assert os.access(unpacked / name, os.X_OK) == os.access(ROOT / name, os.X_OK), name


def test_configs_are_the_shipped_sweeps_in_the_source_distribution(unpacked: Path) -> None:
    shipped = {path.name: path.read_bytes() for path in (ROOT / "simulator" / "sweeps" / "shipped").iterdir()}
    assert {path.name: path.read_bytes() for path in (unpacked / "configs").iterdir()} == shipped


def test_a_wheel_of_the_source_distribution_has_what_is_read_beside_the_code(
    tracked: list[str], unpacked: Path, tmp_path: Path
) -> None:
    with zipfile.ZipFile(build("wheel", unpacked, tmp_path)) as wheel:
        names = set(wheel.namelist())
    packages = ("simulator/", "analysis/", "gold_rewards/")
    inside = {name for name in names if ".dist-info/" not in name and not ENGINE.fullmatch(name)}
    assert inside == {name for name in tracked if name.startswith(packages)} | {"run.py"}
    assert {f"{package}py.typed" for package in packages} <= inside
    assert "simulator/sweeps/shipped/quickstart.toml" in inside
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)


def test_a_wheel_is_made_without_a_compiler_and_for_every_python(unpacked: Path, tmp_path: Path) -> None:
    wheel = build("wheel", unpacked, tmp_path)
    assert "-py3-none-" in wheel.name
    with zipfile.ZipFile(wheel) as content:
        assert not [name for name in content.namelist() if ENGINE.fullmatch(name)]


FAKE = """#!{python}
import sys
open(sys.argv[sys.argv.index("-o") + 1], "w").write(" ".join(sys.argv))
"""


@pytest.mark.skipif(os.name != "posix", reason="the compiler is a script")
def test_wheels_for_two_systems_have_an_engine_each(unpacked: Path, tmp_path: Path) -> None:
    """Built one after the other in one folder, by a compiler that only writes down what it is asked."""
    compiler = tmp_path / "a compiler"
    compiler.write_text(FAKE.format(python=sys.executable))
    compiler.chmod(0o755)
    for target, ending in (
        ("x86_64-windows-gnu", ".dll"),
        ("aarch64-macos.11.0", ".dylib"),
        ("x86_64-linux-gnu", ".so"),
    ):
        asked = {"ENGINE_TARGET": target, "ZIG": shlex.quote(str(compiler))}
        with zipfile.ZipFile(build("wheel", unpacked, tmp_path / ending, environment=asked)) as content:
            (name,) = (name for name in content.namelist() if ENGINE.fullmatch(name))
            assert name.endswith(ending)
            assert f"-target {target} " in content.read(name).decode()


@needs_engine
@pytest.mark.long_only
def test_a_wheel_has_the_engine_that_a_compiler_made(unpacked: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(build("wheel", unpacked, tmp_path / "dist", compiled=True)) as content:
        (name,) = (name for name in content.namelist() if ENGINE.fullmatch(name))
        content.extract(name, tmp_path)
    assert ctypes.CDLL(str(tmp_path / name)).engine_source is not None


@needs_engine
def test_an_engine_of_todays_source_is_not_compiled_again(tmp_path: Path) -> None:
    copy = tmp_path / "checkout"
    shutil.copytree(ROOT / "simulator", copy / "simulator", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE", "run.py"):
        shutil.copy(ROOT / name, copy / name)
    shutil.rmtree(copy / "build", ignore_errors=True)
    environment = {name: value for name, value in os.environ.items() if name != "CXX"} | {"PATH": ""}  # no compiler
    subprocess.run(
        [sys.executable, "setup.py", "-q", "build_ext", "--build-lib", str(tmp_path / "there")],
        cwd=copy,
        env=environment,
        check=True,
        capture_output=True,
    )
    (built,) = (tmp_path / "there" / "simulator" / "native").iterdir()
    assert built.read_bytes() == Path(ROOT / "simulator" / "native" / built.name).read_bytes()
