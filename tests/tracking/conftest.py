"""A result folder of each test's own, and an empty store of MLflow's in the working folder."""

import os
import shutil
from pathlib import Path

import pytest

from simulator.tracking.mlflow_place import SILENT


@pytest.fixture
def folder(results: Path, tmp_path: Path) -> Path:
    """A copy of the folder of a finished small sweep."""
    return Path(shutil.copytree(results, tmp_path / "small"))


@pytest.fixture(autouse=True)
def _no_settings_of_the_users_own(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("MLFLOW")]:
        monkeypatch.delenv(name)
    for name, value in SILENT.items():
        monkeypatch.setenv(name, value)


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store in which nothing is yet: to make one takes MLflow a second."""
    from mlflow import MlflowClient

    path = tmp_path_factory.mktemp("store") / "mlflow.db"
    MlflowClient(f"sqlite:///{path}")
    return path


@pytest.fixture
def store(empty_store: Path, tmp_path: Path) -> Path:
    """The store that MLflow finds in the working folder."""
    return Path(shutil.copy(empty_store, tmp_path))
