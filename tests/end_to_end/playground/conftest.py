"""The page of the shipped world in a browser, and that world in Python."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

import run
from analysis.playground.page import script
from simulator.api.world import World
from simulator.playground.command import open_sweep
from simulator.sweeps.sweep import Sweep
from tests.helpers.playground_page import IN_WORKER, Seen


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("playground") / "page.html"
    assert run.main(["playground", "--out", str(path)]) == 0
    return path


@pytest.fixture(scope="module")
def opened() -> tuple[Sweep, World]:
    return open_sweep(Path("playground"), (), served=False, out=Path("page.html"))


@pytest.fixture(scope="module")
def world(opened: tuple[Sweep, World]) -> World:
    return opened[1]


@pytest.fixture
def visit(browser: Browser, file: Path) -> Iterator[Callable[..., Seen]]:
    """Open the page; what it asked for and complained of is looked at in the end."""
    seen_all = []

    def go(fragment: str = "", **how: Any) -> Seen:
        context = browser.new_context(**({"viewport": {"width": 1366, "height": 768}, "offline": True} | how))
        seen = Seen(page=context.new_page())
        seen.page.on("request", lambda request: seen.requests.append(request.url))
        seen.page.on("pageerror", lambda error: seen.errors.append(str(error)))
        seen.page.on("console", lambda said: seen.errors.append(said.text) if said.type == "error" else None)
        seen.page.goto(file.as_uri() + fragment)
        seen.until("Boolean(Screen.trainer())")
        seen_all.append(seen)
        return seen

    yield go
    for seen in seen_all:
        asked = [url for url in seen.requests if not url.startswith(("data:", "blob:"))]
        seen.page.context.close()
        assert {url.split("#")[0] for url in asked} == {file.as_uri()}
        assert seen.errors == []


@pytest.fixture(scope="module")
def truth(browser: Browser, file: Path) -> Iterator[Seen]:
    """One page that many tests ask for numbers; the worker's code is in it, too."""
    seen = Seen(page=browser.new_page())
    seen.page.goto(file.as_uri())
    seen.until("Boolean(Screen.trainer())")
    seen.page.evaluate(f"() => {{ {script('training.js')}; window.Training = Training; }}")
    seen.page.evaluate(IN_WORKER)
    yield seen
    seen.page.close()
