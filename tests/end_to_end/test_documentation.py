"""Results in the documentation were written by docs/write.py, by code that determines today's numbers."""

import hashlib
import importlib.util
import json
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

from analysis.instruments.stopping.record import findings, read_record
from analysis.published.papers import PAPERS
from docs.writing.found import FOUND, sweeps_in, with_found
from docs.writing.instruments import BLOCK, INSTRUMENTS, with_instruments
from simulator.storage.provenance import results_source, verdicts_source

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
AGAIN = (
    "results of the documentation are of other code: run `python docs/write.py`, and raise the version if they changed"
)


@pytest.fixture(scope="module")
def writer() -> ModuleType:
    spec = importlib.util.spec_from_file_location("write_documentation", DOCS / "write.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def made() -> dict:
    return json.loads((DOCS / "made.json").read_text(encoding="utf-8"))


def test_results_are_of_the_code_of_today(made: dict) -> None:
    assert made["results_source"] == results_source(), AGAIN
    assert made["verdicts_source"] == verdicts_source(), AGAIN
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert made["version"] == version, AGAIN
    assert made["references"]


def test_every_picture_is_one_that_was_written(made: dict, writer: ModuleType) -> None:
    paths = [*DOCS.glob("*.png"), DOCS / writer.FILM]
    pictures = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths if path.stem not in INSTRUMENTS
    }
    assert pictures == made["pictures"]
    assert set(pictures) == {*writer.PICTURES, writer.PAGE, writer.FILM}


def test_text_says_what_the_records_of_the_claims_say(made: dict, writer: ModuleType) -> None:
    claims = json.loads((DOCS / "claims.json").read_text(encoding="utf-8"))
    assert list(claims) == list(PAPERS)
    for name, entries in claims.items():
        paper = PAPERS[name]
        judged = [claim for part in paper.parts for claim in paper.claims if claim.part == part]
        assert len(judged) == len(paper.claims)
        assert [entry["name"] for entry in entries] == [claim.name for claim in judged]
        assert [entry["statement"] for entry in entries] == [claim.statement for claim in judged]
        assert {entry["results_source"] for entry in entries} == {made["results_source"]}
        assert {entry["verdicts_source"] for entry in entries} == {made["verdicts_source"]}
        assert {entry["version"] for entry in entries} == {made["version"]}
        assert not any(entry["quick"] for entry in entries)
    assert (DOCS / "reference" / "claims.md").read_text(encoding="utf-8") == writer.claims_page(claims, made)


def test_pages_say_what_the_records_of_the_sweeps_say(made: dict) -> None:
    found = json.loads((DOCS / "found.json").read_text(encoding="utf-8"))
    assert set(found) == set(FOUND)
    for entry in found.values():
        assert {name: entry[name] for name in ("results_source", "verdicts_source")} == {
            name: made[name] for name in ("results_source", "verdicts_source")
        }
    blocks = []
    for path in (ROOT / "README.md", *DOCS.rglob("*.md")):
        text = path.read_text(encoding="utf-8")
        assert with_found(text, found) == text, path
        blocks += sweeps_in(text)
    assert sorted(blocks) == sorted(FOUND)


def test_pages_say_what_the_instruments_found(made: dict) -> None:
    found = json.loads((DOCS / "instruments.json").read_text(encoding="utf-8"))
    assert set(found) == set(INSTRUMENTS)
    assert {entry["results_source"] for entry in found.values()} == {made["results_source"]}
    blocks = []
    for path in (ROOT / "README.md", *DOCS.rglob("*.md")):
        text = path.read_text(encoding="utf-8")
        assert with_instruments(text, found) == text, path
        blocks += [match[1] for match in BLOCK.finditer(text)]
    for name, one in INSTRUMENTS.items():
        assert blocks.count(name) == 2  # on its own page, and on the one of all
        assert blocks.count(f"{name}_more") == (one.more is not None)
        assert (DOCS / f"{name}.png").read_bytes().startswith(b"\x89PNG")


def test_the_record_of_rules_is_of_the_code_that_the_page_names() -> None:
    found = json.loads((DOCS / "instruments.json").read_text(encoding="utf-8"))["rules"]
    about = read_record().about
    assert {name: about[name] for name in ("results_source", "instruments_source")} == {
        name: found[name] for name in ("results_source", "instruments_source")
    }
    assert findings(read_record()) == found["findings"]


def test_a_block_holds_the_headline() -> None:
    found = {"headline": ["One.", "Two."], "runs": 1200, "date": "2026-01-01"}
    found |= {"results_source": "abc", "verdicts_source": "def"}
    text = "Before.\n\n<!-- found: mass -->\nold\n<!-- end -->\n\nAfter.\n"
    written = with_found(text, {"mass": found})
    assert written.startswith("Before.\n\n<!-- found: mass -->\n- One.\n- Two.\n\n*1,200 runs.")
    assert written.endswith("(results `abc`, verdicts `def`).*\n<!-- end -->\n\nAfter.\n")
    assert with_found(written, {"mass": found}) == written


def test_a_claim_as_a_row(writer: ModuleType) -> None:
    entry = {
        "name": "a",
        "statement": "It rises",
        "verdict": "holds",
        "estimate": 0.5,
        "interval": [-0.25, 0.75],
        "level": 0.9,
        "unit": "nats",
        "note": "1 | 2",
    }
    assert writer.row(entry) == "| It rises | **holds** | 0.5 [−0.25, 0.75] (90 %) nats; 1 \\| 2 |"
    assert "0.5 (exact) nats" in writer.row(entry | {"interval": [0.5, 0.5]})
    assert "no number" in writer.row(entry | {"estimate": None, "interval": None})
