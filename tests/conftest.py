"""A small world and a small sweep that many tests look at."""

import gc
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from analysis.figures import side_by_side
from simulator import Sweep, World, make_world, run_sweep
from simulator.worlds.build import build_world
from simulator.worlds.protocol import World as SimulatedWorld

SMALL = {
    "world": {"vocabulary": 4, "response_length": 3, "prompts": 3, "seed": 1},
    "reference": {"steps": 300},
    "data": {"pairs": 48},
    "policy": {"layers": 2, "width": 8, "heads": 2},
    "train": {"steps": 40, "batch": 16, "checkpoints": 6, "learning_rate": 0.01},
    "sweep": {"beta": [0.05, 0.5, 5.0], "seeds": 3},
}

ROOT = Path(__file__).resolve().parent.parent
CHANGES = {  # calls that change a file, and which argument names it
    **{"os.mkdir": 0, "os.remove": 0, "os.rmdir": 0, "os.truncate": 0, "shutil.rmtree": 0},
    **{"os.rename": 1, "os.link": 1, "os.symlink": 1},
}
WATCHED: list[Path] = []


def small_sweep(**tables: dict[str, object]) -> Sweep:
    """SMALL with some keys of its tables replaced."""
    return Sweep.model_validate({name: {**SMALL.get(name, {}), **tables.get(name, {})} for name in {**SMALL, **tables}})


def pytest_addoption(parser: pytest.Parser) -> None:
    long = "the long form of the tests that have one: minutes, not seconds"
    parser.addoption("--long", action="store_true", help=long)
    parser.addoption("--share", action="store_true", help="a fixed share of the long forms")


def extent(config: pytest.Config) -> str:
    """How much of a test that has a long form is asked for: "long", a "share" of it, or what is in the "suite"."""
    return "long" if config.getoption("--long") else "share" if config.getoption("--share") else "suite"


def is_marked(item: pytest.Item, mark: str) -> bool:
    """Whether a test has a mark that goes for all of its parameters, for those that are named, or for all but those."""
    marker = item.get_closest_marker(mark)
    if marker is None:
        return False
    name = item.callspec.id if hasattr(item, "callspec") else ""
    but = marker.kwargs.get("but", ())
    kept = (but,) if isinstance(but, str) else but
    known = {*marker.args, *kept}
    assert not known or name, f"{item.nodeid}: has no parameters"
    return name in marker.args if marker.args else name not in kept


WAITS_FOR = {"slow": ("share", "long"), "long_only": ("long",)}  # a mark, and where its tests are run


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Tests that wait for more than is asked for are left out; `-m slow` has those alone that are slow."""
    waiting = {item: [mark for mark in WAITS_FOR if is_marked(item, mark)] for item in items}
    for item, marks in waiting.items():
        item.own_markers[:] = [each for each in item.own_markers if each.name not in WAITS_FOR or each.name in marks]
    left_out = [item for item, marks in waiting.items() if any(extent(config) not in WAITS_FOR[each] for each in marks)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in set(left_out)]


@contextmanager
def heard() -> Iterator[list[str]]:
    """What is warned of while the block runs, all of it."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        told: list[str] = []
        yield told
    told.extend(str(warning.message) for warning in caught)


def pytest_configure() -> None:
    """No test may write into the checkout, nor read the results that lie there."""
    if not WATCHED:
        WATCHED.append(ROOT)
        sys.addaudithook(watch_checkout)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Garbage is looked for among what tests make: what is imported and collected stays, and is large."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.freeze()


def watch_checkout(event: str, arguments: tuple[Any, ...]) -> None:
    """Refuse what changes a file of the checkout, or opens one of its results; caches of tools aside."""
    if event == "open":
        place, mode, flags = arguments
        changes = bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)) or (
            isinstance(mode, str) and set(mode) & set("wax+")
        )
    elif event in CHANGES:
        place, mode, changes = arguments[CHANGES[event]], None, True
    else:
        return
    by_descriptor = mode is None if event == "open" else arguments[-1] not in (-1, None) and event != "os.truncate"
    if not isinstance(place, str | bytes | os.PathLike) or (by_descriptor and not os.path.isabs(place)):
        return
    path = Path(os.path.abspath(os.fsdecode(place)))
    if ROOT not in path.parents:
        return
    first, *inner = path.relative_to(ROOT).parts
    cache = (
        first.startswith((".", "pytest-cache-files")) or first.endswith(".egg-info") or "__pycache__" in (first, *inner)
    )
    if first == "results" or (changes and not cache):
        raise AssertionError(f"{event} {path}: tests keep out of the checkout")


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test leaves in the working folder is not in the checkout, and what lies in the checkout is not found."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="session", autouse=True)
def _apart_from_the_users_machine(tmp_path_factory: pytest.TempPathFactory) -> None:
    """One thread, and a cache of references that all test processes share and nobody else."""
    torch.set_num_threads(1)
    side_by_side.MOST = 0  # tests are side by side already
    os.environ["SIMULATOR_CACHE"] = str(tmp_path_factory.getbasetemp().parent / "references")


@pytest.fixture(scope="session")
def world() -> SimulatedWorld:
    return build_world(small_sweep())


@pytest.fixture(scope="session")
def lab() -> World:
    """The same world as users see it."""
    return make_world(small_sweep())


@pytest.fixture(scope="session")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished small sweep."""
    return run_sweep(small_sweep(), tmp_path_factory.mktemp("results") / "small", workers=1)


@pytest.fixture(scope="session")
def curves(results: Path) -> pd.DataFrame:
    return pd.read_parquet(results / "curves.parquet")


@pytest.fixture
def long(request: pytest.FixtureRequest) -> bool:
    """Whether the long form of a test is asked for."""
    return extent(request.config) == "long"


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands draw no figures, which have tests of their own."""
    monkeypatch.setattr("analysis.figures.drawing.draw_all", lambda *_, **options: [])


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)
