"""A headless browser of this machine. Where there is none tests are skipped; they fail where REQUIRE_BROWSER is set."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import pytest
from playwright.sync_api import Browser, Playwright, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge")


def browser_on(playwright: Playwright) -> str | None:
    """A Chromium of this machine, or the one that playwright has installed."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    own = playwright.chromium.executable_path
    return found or (own if own and Path(own).exists() else None)


def go_without() -> NoReturn:
    """Skip, or fail where a browser is required."""
    told = f"no browser found: none of {', '.join(NAMES)} is on the PATH"
    if os.environ.get("REQUIRE_BROWSER"):
        pytest.fail(told)
    pytest.skip(told)


@contextmanager
def a_browser() -> Iterator[Browser]:
    """A browser, closed in the end."""
    with sync_playwright() as playwright:
        path = browser_on(playwright)
        if path is None:
            go_without()
        root = hasattr(os, "geteuid") and os.geteuid() == 0
        with playwright.chromium.launch(executable_path=path, args=["--no-sandbox"] if root else []) as found:
            yield found
