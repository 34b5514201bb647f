"""The README's commands are the ones that the gate runs, and what it says exists."""

import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import run
from simulator import Sweep
from simulator.sweeps.sweep import Sweep as Config
from tests.conftest import heard

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = dict(enumerate(re.findall(r"```(\w+)\n(.*?)```", README, flags=re.DOTALL)))
COMMANDS = [
    shlex.split(line, comments=True)[2:]
    for kind, block in BLOCKS.values()
    if kind == "bash"
    for line in block.splitlines()
    if line.startswith("python run.py")
]


MARKED = {
    "main command": "pip install -e . && python run.py sweep",
    "test command": "pip install -e '.[test]' && python -m pytest",
}


@pytest.mark.parametrize("mark", MARKED)
def test_the_gate_runs_a_command_of_the_readme(mark: str) -> None:
    gate = (ROOT / ".ci" / "run").read_text()
    (taken,) = re.findall(r'^  command="\$\((sed .+)\)"$', gate, flags=re.MULTILINE)
    found = subprocess.run(
        ["bash", "-c", f"mark='{mark}'; {taken}"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert found.stdout.splitlines() == [MARKED[mark]]


def test_the_gate_runs_the_commands_of_the_readme_in_their_order() -> None:
    gate = (ROOT / ".ci" / "run").read_text()
    (marks,) = re.findall(r'^for mark in ((?:"[^"]+" ?)+); do$', gate, flags=re.MULTILINE)
    assert shlex.split(marks) == list(MARKED) == re.findall(r"^<!-- (.+ command) -->$", README, flags=re.MULTILINE)
    assert '\n  eval "$command"\n' in gate


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The text that the README makes, made as it says."""
    (command,) = re.findall(r"^(python -c .+) > docs\.txt$", README, flags=re.MULTILINE)
    path = tmp_path_factory.mktemp("text") / "docs.txt"
    with open(path, "wb") as file:
        subprocess.run([sys.executable, *shlex.split(command)[1:]], stdout=file, check=True)
    return path


def test_the_text_of_the_readme_is_about_a_megabyte(text: Path) -> None:
    assert 1e6 < text.stat().st_size < 2e6


@pytest.mark.parametrize("words", [words for words in COMMANDS if words[0] == "sweep"], ids=" ".join)
def test_every_sweep_of_the_readme_can_be_planned(
    words: list[str], text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(ROOT / "configs", tmp_path / "configs")
    shutil.copy(ROOT / "README.md", tmp_path)
    monkeypatch.chdir(tmp_path)
    words = [word.replace("docs.txt", str(text)).replace("my.txt", str(text)) for word in words]
    with heard():
        assert run.main([*words, *([] if "--dry-run" in words else ["--dry-run"])]) == 0
    assert "runs" in capsys.readouterr().out


def test_the_tour_is_a_valid_sweep_that_shows_the_defaults() -> None:
    (tour,) = [block for kind, block in BLOCKS.values() if kind == "toml"]
    tables = tomllib.loads(tour)
    assert tables["sweep"].pop("data.pairs") == [256, 1024]
    assert Sweep.model_validate(tables) == Config()


@pytest.mark.parametrize("place", re.findall(r"^    (\S+/|run\.py) ", README, flags=re.MULTILINE))
def test_every_place_that_is_named_exists(place: str) -> None:
    assert (ROOT / place).exists()


def test_the_picture_is_there() -> None:
    for path in re.findall(r"!\[.*?\]\((.+?)\)", README):
        assert (ROOT / path).read_bytes().startswith(b"\x89PNG")
