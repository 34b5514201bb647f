"""Every link and picture in the documentation leads to something that is there, anchors included."""

import itertools
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from urllib.parse import unquote

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).parents[2]
PAGES = [
    *(path for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md") if (path := ROOT / name).exists()),
    *sorted((ROOT / "docs").rglob("*.md")),
]
ELSEWHERE = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)  # a scheme


@dataclass(frozen=True, kw_only=True)
class Link:
    """Where a page points, and whether that is a picture."""

    target: str
    picture: bool


def tokens(text: str) -> Iterator[Token]:
    """Every token of a Markdown text, those inside others included."""
    for token in MarkdownIt("commonmark").enable("table").parse(text):
        yield token
        yield from token.children or ()


def links(text: str) -> list[Link]:
    """The links and pictures of a page that lead to files of ours or to places on it."""
    found = []
    for token in tokens(text):
        target = token.attrGet("href") if token.type == "link_open" else None
        target = token.attrGet("src") if token.type == "image" else target
        if target is not None and not ELSEWHERE.match(str(target)):
            found.append(Link(target=unquote(str(target)), picture=token.type == "image"))
        if token.type in ("html_inline", "html_block"):
            told = re.findall(r"<(a|img)\b[^>]*\b(?:href|src)=\"([^\"]*)\"", token.content)
            found += [Link(target=unquote(to), picture=kind == "img") for kind, to in told if not ELSEWHERE.match(to)]
    return found


@cache
def anchors(text: str) -> frozenset[str]:
    """The anchors of a page: its headings, as the site and GitHub name them, and what has an id."""
    found = []
    for before, token in itertools.pairwise(MarkdownIt("commonmark").parse(text)):
        if before.type == "heading_open":
            words = "".join(child.content for child in token.children or () if child.type in ("text", "code_inline"))
            found.append(re.sub(r"[^\w\- ]", "", words).strip().lower().replace(" ", "-"))
    return frozenset([*found, *re.findall(r"\bid=\"([^\"]+)\"", text), *re.findall(r"^::: (\S+)$", text, re.MULTILINE)])


def wrong(page: Path, text: str) -> list[str]:
    """The links of a page that lead nowhere."""
    found = []
    for link in links(text):
        path, _, anchor = link.target.partition("#")
        target = page.parent / path if path else page
        if (path and not target.exists()) or (link.picture and not target.is_file()):
            found.append(f"{link.target}: there is no such file")
        elif anchor and target.suffix == ".md":
            there = anchors(text if target == page else target.read_text(encoding="utf-8"))
            if anchor not in there:
                found.append(f"{link.target}: there is no such heading; there are {', '.join(sorted(there))}")
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_link_leads_somewhere(page: Path) -> None:
    assert wrong(page, page.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_pages_of_the_site_stay_in_it(page: Path) -> None:
    """What is outside docs/ is not on the site; a link to it would be one to nowhere there."""
    docs = ROOT / "docs"
    if page.is_relative_to(docs):
        for link in links(page.read_text(encoding="utf-8")):
            path = os.path.normpath(page.parent / link.target.partition("#")[0])
            assert Path(path).is_relative_to(docs), link.target


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[a](README.md) [b](README.md#run-it) ![c](docs/report.png) [d](https://example.org)", []),
        ("# One `two`, (three)\n[a](#one-two-three)", []),
        ("# Of β = 1 and κ\n[a](#of-β--1-and-κ)", []),
        ("[a](nowhere.md)", ["nowhere.md"]),
        ("![a](nowhere.png)", ["nowhere.png"]),
        ("![a](docs)", ["docs"]),
        ("| a |\n|---|\n| [b](nowhere.md) |", ["nowhere.md"]),
        ("[a][b]\n\n[b]: nowhere.md", ["nowhere.md"]),
        ("# Here\n[a](#there)", ["#there"]),
        ('<img src="nowhere.png">', ["nowhere.png"]),
        ("```\n[a](nowhere.md)\n```\n`[a](nowhere.md)`", []),
    ],
)
def test_a_link_that_leads_nowhere_is_found(text: str, told: list[str]) -> None:
    assert [problem.partition(":")[0] for problem in wrong(ROOT / "page.md", text)] == told
