"""The page over all claims of all papers: what it has in its cells, and by what they are sorted."""

from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from analysis import ResultsError
from analysis.report.reproduction.claims_page import COLUMNS, NAME, write_claims_page
from analysis.report.side_tables import load_claims
from tests.helpers.made_claims import entries_of_all_kinds, write_entries
from tests.helpers.report_fixture import EVIL


class Table(HTMLParser):
    """The rows of the table of claims: attributes of each row, and of each cell with its text."""

    def __init__(self) -> None:
        super().__init__()
        self.heads: list[dict[str, str | None]] = []
        self.rows: list[tuple[dict[str, str | None], list[list[Any]]]] = []
        self.inside = self.in_cell = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.inside = self.inside or found.get("id") == "all"
        if not self.inside:
            return
        if tag == "th":
            self.heads.append(found)
        if tag == "tr" and self.heads and len(self.heads) == len(COLUMNS):
            self.rows.append((found, []))
        if tag == "td":
            self.rows[-1][1].append([found, ""])
            self.in_cell = True

    def handle_endtag(self, tag: str) -> None:
        self.in_cell = self.in_cell and tag != "td"
        self.inside = self.inside and tag != "table"

    def handle_data(self, data: str) -> None:
        if self.in_cell:
            self.rows[-1][1][-1][1] += data


@pytest.fixture
def entries(tmp_path: Path) -> list[dict[str, Any]]:
    return load_claims(write_entries(tmp_path, entries_of_all_kinds()))


def read(page: Path) -> Table:
    table = Table()
    table.feed(page.read_text(encoding="utf-8"))
    return table


def test_each_claim_is_there_once_with_its_numbers(entries: list[dict[str, Any]], tmp_path: Path) -> None:
    found = read(write_claims_page(entries, tmp_path, {}))
    assert len(found.heads) == len(COLUMNS)
    assert [row["data-paper"] for row, _ in found.rows] == [entry["paper"] for entry in entries]
    for entry, (row, cells) in zip(entries, found.rows, strict=True):
        assert row["data-verdict"] == entry["verdict"]
        assert len(cells) == len(COLUMNS)
        said = [" ".join(words.split()) for _, words in cells]
        assert entry["verdict"] in said[0]
        assert said[1] == entry["paper"]
        assert said[2].startswith(entry["statement"])
        assert said[4] == entry["rule"]
        assert said[5] == ("—" if entry["seeds"] is None else str(entry["seeds"]))
        assert said[8].endswith(".")


def test_sorted_columns_have_numbers(entries: list[dict[str, Any]], tmp_path: Path) -> None:
    found = read(write_claims_page(entries, tmp_path, {}))
    numeric = [place for place, head in enumerate(found.heads) if "data-numeric" in head]
    assert [COLUMNS[place].name for place in numeric] == [column.name for column in COLUMNS if column.numeric]
    for entry, (_, cells) in zip(entries, found.rows, strict=True):
        keys = [cells[place][0]["data-key"] for place in numeric]
        assert all(key == "" or float(key) == float(key) for key in keys)
        known = [None if key == "" else float(key) for key in keys]
        assert known[2:6] == [entry[name] for name in ("estimate", "seeds", "p", "p_holm")]
        assert known[0] == ("holds", "fails", "undecided").index(entry["verdict"])


def test_papers_have_their_counts_and_links(entries: list[dict[str, Any]], tmp_path: Path) -> None:
    for name, page in (("gpo", "paper.html"), ("gpo", "report.html"), ("gao", "report.html")):
        (tmp_path / name).mkdir(exist_ok=True)
        (tmp_path / name / page).touch()
    text = write_claims_page(entries, tmp_path, {}).read_text(encoding="utf-8")
    assert text.count('href="gpo/paper.html"') == 1 + sum(entry["paper"] == "gpo" for entry in entries)
    assert text.count('href="gao/report.html"') == 1 + sum(entry["paper"] == "gao" for entry in entries)
    assert "wolf/" not in text
    assert ">Generalized Preference Optimization (Tang et al. 2024, arXiv:2402.05749)</a>" in text


def test_what_failed_and_what_is_quick_is_said(entries: list[dict[str, Any]], tmp_path: Path) -> None:
    text = write_claims_page(entries, tmp_path, {"rafailov": "3 of 24 runs failed"}).read_text(encoding="utf-8")
    assert "<strong>rafailov failed,</strong> so its claims are not here: 3 of 24 runs failed" in text
    assert "Those marked so were tested on small versions" in text
    whole = [entry | {"quick": False} for entry in entries]
    assert "Quick version." not in write_claims_page(whole, tmp_path, {}).read_text(encoding="utf-8")


def test_words_of_entries_do_nothing(entries: list[dict[str, Any]], tmp_path: Path) -> None:
    evil = [entry | {"statement": EVIL, "note": EVIL, "rule": EVIL} for entry in entries]
    text = write_claims_page(evil, tmp_path, {EVIL: EVIL}).read_text(encoding="utf-8")
    assert "<img" not in text
    assert text.count("</script>") == 1
    assert [cells[4][1] for _, cells in read(tmp_path / NAME).rows] == [EVIL] * len(entries)


def test_the_same_claims_give_the_same_bytes(entries: list[dict[str, Any]], tmp_path: Path) -> None:
    first = write_claims_page(entries, tmp_path, {}).read_bytes()
    assert write_claims_page(entries, tmp_path, {}).read_bytes() == first
    assert len(first) < 200_000


def test_a_wrong_number_of_seeds_is_refused(tmp_path: Path) -> None:
    folder = write_entries(tmp_path, [entries_of_all_kinds()[0] | {"seeds": "many"}])
    with pytest.raises(ResultsError, match="seeds is 'many'; must be null or a number"):
        load_claims(folder)
