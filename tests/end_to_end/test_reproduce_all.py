"""`reproduce all`: every paper in turn, one page over all claims, and what a failing paper leaves of it."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

import run
from analysis.published.claim import Paper, Part
from analysis.published.papers import PAPERS
from analysis.report.reproduction.claims_page import write_claims_page
from analysis.report.reproduction.papers import Outcome, table
from analysis.report.side_tables import load_claims
from tests.helpers.made_claims import KINDS, entries_of_all_kinds, write_entries

SMALL = ("world.prompts=2", "world.response_length=2", "world.vocabulary=4", "reference.steps=50", "train.steps=6")
QUICK = (*SMALL, "train.checkpoints=4", "data.pairs=32", "sweep.seeds=2", "sweep.beta=[0.01,0.1]")
NAMES = ("first", "second")
GPO = PAPERS["gpo"]


def tiny(*settings: str) -> Paper:
    """A paper of one small sweep, whose claims are the first two of GPO."""
    part = Part(config="quickstart", quick=(*QUICK, 'sweep.loss=["logistic","hinge"]', *settings))
    return replace(GPO, title="Tiny", parts={"": part}, claims=GPO.claims[:2], examples=())


@pytest.fixture
def papers(monkeypatch: pytest.MonkeyPatch, undrawn: None) -> dict[str, Paper]:
    """Two papers instead of those that there are."""
    made = {name: tiny(f"world.seed={place}") for place, name in enumerate(NAMES)}
    for name in list(PAPERS):
        monkeypatch.delitem(PAPERS, name)
    for name, paper in made.items():
        monkeypatch.setitem(PAPERS, name, paper)
    return made


def reproduce(out: Path, *more: str) -> int:
    return run.main(["reproduce", "all", "--quick", "--workers", "1", "--out", str(out), *more])


@pytest.mark.usefixtures("papers")
def test_all_papers_are_judged_and_a_second_time_nothing_is_trained(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    out = tmp_path / "out"
    assert reproduce(out) == 0
    said = capsys.readouterr().out
    entries = json.loads((out / "claims.json").read_text())
    assert [(entry["paper"], entry["name"]) for entry in entries] == [
        (name, claim.name) for name in NAMES for claim in PAPERS[name].claims
    ]
    assert entries == [entry for name in NAMES for entry in json.loads((out / name / "claims.json").read_text())]
    assert all(entry["quick"] for entry in entries)
    page = (out / "claims.html").read_text()
    assert all(f'href="{name}/report.html"' in page for name in NAMES)
    assert "1 of 2: Tiny" in said
    lines = said.splitlines()
    head = next(place for place, line in enumerate(lines) if line.split()[:1] == ["paper"])
    assert [line.split()[:2] for line in lines[head + 1 : head + 4]] == [["first", "2"], ["second", "2"], ["all", "4"]]
    assert f"page     {out / 'claims.html'}" in said
    curves = {name: (out / name / "curves.parquet").stat().st_mtime_ns for name in NAMES}
    assert reproduce(out) == 0
    assert capsys.readouterr().out.count("tells again what they came to") == len(NAMES)
    assert curves == {name: (out / name / "curves.parquet").stat().st_mtime_ns for name in NAMES}
    assert (out / "claims.html").read_text() == page


@pytest.mark.slow
def test_a_paper_that_fails_stops_no_other(
    papers: dict[str, Paper], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    """The first is no sweep; when it is mended, the same command runs what is missing."""
    out = tmp_path / "out"
    monkeypatch.setitem(PAPERS, "first", tiny("data.paires=3"))
    assert reproduce(out) == 1
    said = capsys.readouterr()
    assert "error: first: unknown key data.paires (= 3); did you mean data.pairs?" in said.err
    assert said.err.endswith("error: failed: first; the same command runs what is missing\n")
    assert {entry["paper"] for entry in json.loads((out / "claims.json").read_text())} == {"second"}
    assert (
        "<strong>first failed,</strong> so its claims are not here: unknown key data.paires"
        in (out / "claims.html").read_text()
    )
    assert [line.split()[:2] for line in said.out.splitlines() if line.endswith(", failed")] == [["first", "0"]]
    monkeypatch.setitem(PAPERS, "first", papers["first"])
    assert reproduce(out) == 0
    assert {entry["paper"] for entry in json.loads((out / "claims.json").read_text())} == set(NAMES)
    assert "failed" not in (out / "claims.html").read_text().partition("<main>")[2].partition("<table")[0]


@pytest.mark.usefixtures("papers")
def test_an_error_of_ours_is_raised_when_the_others_are_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mistake in the code of a claim costs no other paper, and is not hidden."""

    def mistaken(_: object) -> None:
        raise KeyError("mistaken")

    claims = (replace(PAPERS["first"].claims[0], estimate=mistaken),)
    monkeypatch.setitem(PAPERS, "first", replace(PAPERS["first"], claims=claims))
    with pytest.raises(KeyError, match="mistaken"):
        reproduce(tmp_path / "out")
    assert (tmp_path / "out" / "claims.html").exists()


@pytest.mark.usefixtures("papers")
def test_what_every_paper_answers_alike_is_said_of_the_command(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert reproduce(tmp_path / "out", "--memory", "much") == 2
    assert capsys.readouterr().err.splitlines()[-1] == "error: --memory much: must be a size such as 500MB or 2GiB"
    assert not (tmp_path / "out" / "claims.html").exists()


@pytest.mark.usefixtures("papers")
def test_a_plan_of_all_does_nothing(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert reproduce(tmp_path / "out", "--dry-run") == 0
    said = capsys.readouterr().out
    assert [line for line in said.splitlines() if line.endswith(": Tiny")] == ["1 of 2: Tiny", "2 of 2: Tiny"]
    assert not (tmp_path / "out").exists()


def test_the_table_adds_up() -> None:
    entries = entries_of_all_kinds()
    outcomes = {
        name: Outcome(entries=[entry for entry in entries if entry["paper"] == name], seconds=seconds, error=error)
        for name, seconds, error in (("gpo", 59.6, None), ("gao", 600, None), ("coste", 1, OSError()))
    }
    assert table(outcomes) == [
        "paper  claims  holds  fails  undecided  time",
        "gpo         3      2      1          0  60 s",
        "gao         2      0      0          2  10 min",
        "coste       0      0      0          0  1 s, failed",
        "all         5      2      1          2  11 min",
    ]


@pytest.fixture
def opened(browser: Browser, tmp_path: Path) -> Iterator[Page]:
    """The page of claims of every kind, in a browser."""
    entries = load_claims(write_entries(tmp_path, entries_of_all_kinds()))
    page = browser.new_page(viewport={"width": 1280, "height": 900}, bypass_csp=True)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(write_claims_page(entries, tmp_path, {"tang": "stopped"}).as_uri())
    yield page
    assert [url for url in asked if not url.startswith("data:")] == [page.url]
    page.close()


def column(page: Page, place: int) -> list[str]:
    return page.evaluate(
        f"[...document.querySelectorAll('#all tbody tr:not([hidden])')].map((r) => r.cells[{place}].innerText)"
    )


def test_claims_are_sorted_and_filtered_in_the_browser(opened: Page) -> None:
    status = opened.locator("#count")
    assert status.inner_text() == f"{len(KINDS)} of {len(KINDS)} claims: 2 holds, 1 fails, 4 undecided"
    known = sorted(kind["estimate"] for _, kind in KINDS if kind["estimate"] is not None)
    head = opened.get_by_role("columnheader", name="Estimate")
    for direction, wanted in (("ascending", known), ("descending", known[::-1])):
        opened.get_by_role("button", name="Estimate").click()
        assert head.get_attribute("aria-sort") == direction
        shown = [words.replace("−", "-").split()[0] for words in column(opened, 3)]
        assert [float(value) for value in shown[:-1]] == wanted
        assert shown[-1] == "—"
    opened.get_by_role("button", name="Seeds").press("Enter")
    assert column(opened, 5) == ["3", "4", "10", "10", "—", "—", "—"]
    assert opened.locator("[aria-sort]").count() == 1
    opened.get_by_label("Paper", exact=True).select_option("gao")
    assert status.inner_text() == "2 of 7 claims: 0 holds, 0 fails, 2 undecided"
    opened.get_by_label("Words in the row").fill("24 SEEDS")
    assert status.inner_text() == "1 of 7 claims: 0 holds, 0 fails, 1 undecided"
    opened.get_by_label("Paper", exact=True).select_option("all")
    opened.get_by_label("Words in the row").fill("")
    opened.get_by_label("Verdict").select_option("reopened by Holm")
    assert column(opened, 0) == ["✗ fails"]


@pytest.mark.slow(but="1280-light")
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_the_page_is_for_everyone(opened: Page, width: int, scheme: str) -> None:
    opened.emulate_media(color_scheme=scheme)
    opened.set_viewport_size({"width": width, "height": 900})
    opened.get_by_role("button", name="Verdict").click()
    found = Axe().run(opened).response["violations"]
    assert [(each["id"], [node["html"][:80] for node in each["nodes"]][:3]) for each in found] == []
    assert opened.evaluate("document.documentElement.scrollWidth") <= width


def test_without_javascript_the_table_is_plain(browser: Browser, tmp_path: Path) -> None:
    entries = load_claims(write_entries(tmp_path, entries_of_all_kinds()))
    page = browser.new_page(java_script_enabled=False)
    page.goto(write_claims_page(entries, tmp_path, {}).as_uri())
    assert page.locator("#all tbody tr").count() == len(KINDS)
    assert page.locator("#filters").is_hidden()
    assert page.locator("#all button").count() == 0
    page.close()
