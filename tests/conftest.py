"""A small world and a small sweep that many tests look at."""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from simulator import Sweep, run_sweep
from simulator.world import World, build_world

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


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--share", action="store_true", help="a fixed share of the long forms")
    parser.addoption(
        "--long", action="store_true", help="the long form of the tests that have one: minutes, not seconds"
    )


@contextmanager
def heard() -> Iterator[list[str]]:
    """What is warned of while the block runs, all of it."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        told: list[str] = []
        yield told
    told.extend(str(warning.message) for warning in caught)


@pytest.fixture(scope="session", autouse=True)
def _apart_from_the_users_machine(tmp_path_factory: pytest.TempPathFactory) -> None:
    """One thread, and a cache of references that all test processes share and nobody else."""
    torch.set_num_threads(1)
    os.environ["SIMULATOR_CACHE"] = str(tmp_path_factory.getbasetemp().parent / "references")


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
