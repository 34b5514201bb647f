"""Which program made a record: versions, and a hash of our own source, which tells apart what versions do not."""

import hashlib
import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import torch

OURS = ("simulator", "gold_rewards")


@cache
def source_hash() -> str:
    """Ten hexadecimal digits of the SHA-256 of the code that makes records."""
    together, root = hashlib.sha256(), Path(__file__).resolve().parent.parent
    for path in sorted(path for package in OURS for path in (root / package).rglob("*.py")):
        together.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    return together.hexdigest()[:10]


def made_by() -> dict[str, str]:
    """Columns of `runs.parquet`."""
    try:
        ours = version("alignment-simulator")
    except PackageNotFoundError:
        ours = "not installed"
    return {
        "simulator_version": ours,
        "simulator_source": source_hash(),
        "python_version": platform.python_version(),
        "torch_version": torch.__version__,
        "numpy_version": np.__version__,
    }
