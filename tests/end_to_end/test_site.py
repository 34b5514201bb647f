"""The built site: it loads nothing from other hosts, and its pages fit a phone. SITE names the folder that has it.

The gate builds it, with warnings as errors; where nobody did, these are skipped.
"""

import os
import re
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import Browser

SITE = Path(os.environ.get("SITE", "nowhere")).resolve()
LOADED = re.compile(
    r"<(?:script|img|iframe|source|video|audio)\b[^>]*\bsrc=\"(?:https?:)?//[^\"]*\""
    r"|<link\b(?=[^>]*rel=\"(?:stylesheet|icon|preload|preconnect|manifest)\")[^>]*href=\"(?:https?:)?//[^\"]*\""
    r"|url\([\"']?(?:https?:)?//[^)]*\)|@import[^;]*//[^;]*;"
)
ACROSS = "document.documentElement.scrollWidth - innerWidth"

pytestmark = pytest.mark.skipif(not SITE.is_dir(), reason="SITE names no folder with the built site")


def test_nothing_is_named_that_would_be_loaded_from_other_hosts() -> None:
    files = [*SITE.rglob("*.html"), *SITE.rglob("*.css")]
    assert len(files) > 20
    assert {path.name: found for path in files if (found := LOADED.findall(path.read_text(encoding="utf-8")))} == {}


def test_what_would_be_loaded_is_found() -> None:
    told = ['<script src="https://a.org/b.js">', '<link href="//a.org/b.css" rel="stylesheet">', "url(http://a.org/b)"]
    assert [bool(LOADED.search(text)) for text in told] == [True, True, True]
    assert not LOADED.search('<a href="https://arxiv.org">x</a> <script src="assets/b.js">')


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Where the site is served; search wants a server."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(SITE))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize("width", [390, 1280])
def test_pages_open_alone_without_errors_and_as_wide_as_the_window(browser: Browser, address: str, width: int) -> None:
    page = browser.new_page(viewport={"width": width, "height": 900})
    outside: list[str] = []
    errors: list[str] = []
    page.on("request", lambda request: None if request.url.startswith(address) else outside.append(request.url))
    page.on("pageerror", lambda error: errors.append(str(error)))
    wide = {}
    for path in sorted(SITE.rglob("*.html")):
        name = path.relative_to(SITE).as_posix()
        page.goto(f"{address}/{name}")
        if beyond := page.evaluate(ACROSS):
            wide[name] = beyond
    page.close()
    assert (outside, errors, wide) == ([], [], {})


def test_search_finds_a_key(browser: Browser, address: str) -> None:
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.goto(f"{address}/index.html")
    page.click(".md-search__input")
    page.keyboard.type("behaviour_temperature")
    page.wait_for_selector(".md-search-result__item")
    assert "The sweep file" in page.inner_text(".md-search-result__list")
    page.close()
