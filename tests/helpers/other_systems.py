"""A small sweep with a loss of the user's own, and what our modules find on other systems."""

import io
import os
from pathlib import Path
from typing import Any

import pytest

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


def sweep_file(folder: Path) -> Path:
    """A sweep with proxies, figures, and a loss of the user's own in an inner folder."""
    (folder / "inner").mkdir()
    (folder / "inner" / "mine.py").write_text(LOSS, encoding="utf-8")
    (folder / "tiny.toml").write_text(SWEEP, encoding="utf-8")
    return folder / "tiny.toml"


class NotebookStream(io.StringIO):
    """A stream such as a notebook has in place of a file: without a descriptor, and no terminal."""

    def fileno(self) -> int:
        raise io.UnsupportedOperation("fileno")


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
