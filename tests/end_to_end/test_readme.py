"""The README's marked commands are the ones that the gate runs, and the places that it names exist."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")

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


@pytest.mark.parametrize("place", re.findall(r"^    (\S+/|run\.py) ", README, flags=re.MULTILINE))
def test_every_place_that_is_named_exists(place: str) -> None:
    assert (ROOT / place).exists()
