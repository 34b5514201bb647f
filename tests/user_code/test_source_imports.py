"""Modules beside a user's file are read from source, whatever compiled code lies there."""

import os
import sys
from pathlib import Path

import pytest

from simulator.user_code.source_imports import importing_beside


@pytest.fixture
def beside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file with a package beside it, on a Python that keeps compiled code."""
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    (tmp_path / "lot").mkdir()
    (tmp_path / "lot" / "__init__.py").touch()
    return tmp_path / "mine.py"


def powers(path: Path) -> tuple[int, int]:
    """What a module and one of a package say."""
    with importing_beside(path):
        names: dict[str, int] = {}
        exec("from helper_of_mine import POWER as one\nfrom lot.inner import POWER as two", names)
    return names["one"], names["two"]


def test_a_module_that_changed_within_a_second_is_not_run_as_it_was(beside: Path) -> None:
    files = beside.parent / "helper_of_mine.py", beside.parent / "lot" / "inner.py"
    for power in (2, 6):
        for file in files:
            file.write_text(f"POWER = {power}\n")
            os.utime(file, (1_700_000_000, 1_700_000_000))
        assert powers(beside) == (power, power)
    assert not list(beside.parent.rglob("__pycache__"))


def test_imports_are_as_before_afterwards(beside: Path) -> None:
    hooks, path = list(sys.path_hooks), list(sys.path)
    for file in ("helper_of_mine.py", "lot/inner.py"):
        (beside.parent / file).write_text("POWER = 1\n")
    powers(beside)
    assert (sys.path_hooks, sys.path) == (hooks, path)
    assert not [entry for entry in sys.path_importer_cache if entry.startswith(str(beside.parent))]
    assert not {"helper_of_mine", "lot", "lot.inner"} & set(sys.modules)
