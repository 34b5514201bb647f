"""A small world and a small sweep that many tests look at."""

import os
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

torch.set_num_threads(1)
RUN = os.environ.get("PYTEST_XDIST_TESTRUNUID", str(os.getpid()))
os.environ["SIMULATOR_CACHE"] = str(Path(tempfile.gettempdir()) / f"simulator-cache-{RUN}")

from simulator import Sweep, run_sweep  # noqa: E402
from simulator.world import World, build_world  # noqa: E402

SMALL = {
    "world": {"vocabulary": 4, "response_length": 3, "prompts": 3, "seed": 1},
    "reference": {"steps": 300},
    "data": {"pairs": 48},
    "policy": {"layers": 2, "width": 8, "heads": 2},
    "train": {"steps": 40, "batch": 16, "checkpoints": 6, "learning_rate": 0.01},
    "sweep": {"beta": [0.05, 0.5, 5.0], "seeds": 3},
}


def small_sweep(**tables: dict[str, object]) -> Sweep:
    """SMALL with some keys of its tables replaced."""
    return Sweep.model_validate({name: {**SMALL.get(name, {}), **tables.get(name, {})} for name in {**SMALL, **tables}})


@pytest.fixture(scope="session")
def world() -> World:
    return build_world(small_sweep())


@pytest.fixture(scope="session")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished small sweep."""
    return run_sweep(small_sweep(), tmp_path_factory.mktemp("results") / "small", workers=1)


@pytest.fixture(scope="session")
def curves(results: Path) -> pd.DataFrame:
    return pd.read_parquet(results / "curves.parquet")


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)
