"""For papers: figures of one column with embedded fonts, PGF that needs no TeX to be written, and tables of LaTeX."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import run
from analysis import load
from analysis.figures import paper
from analysis.figures.drawing import figures_of, file_of, lay_out
from analysis.figures.layout import Picture
from analysis.figures.look import PAPER, TEX, WIDER, drawn_as
from analysis.figures.marks import apart, inside
from analysis.figures.pgf import pgf_of
from analysis.figures.theory import losses as losses_figure
from analysis.records.names import loss_label
from analysis.records.safe_names import drawable_text, latex_text, printable, with_safe_names
from analysis.report.latex_tables import claims_table, summary_tables
from analysis.report.side_tables import load_claims
from analysis.statistics.peaks import best
from tests.end_to_end.test_escaping import hostile_losses
from tests.helpers.drawn_words import words_of
from tests.helpers.figure_tables import FIGURES
from tests.helpers.hostile_names import HOSTILE
from tests.helpers.latex_reader import read, rows_of
from tests.helpers.report_fixture import CLAIM, oracle, plant
from tests.helpers.report_fixture import rows_of as rows_of_losses

SIGNS = (
    "my_file.py:f",
    r"100%_$x${\a}~^#&",
    "tab\there\x00\x1b",
    "--- `a' ''b'' ,,",
    '[*] < > | "',
    "β ± − ½ √ ‖ …",
    "größe café ñ",
)


@pytest.mark.parametrize("name", [*HOSTILE, *SIGNS])
def test_latex_sets_every_name_as_it_is(name: str) -> None:
    assert read(latex_text(name)) == printable(name)


@pytest.mark.parametrize(
    ("sign", "spelled"), [("日", r"\u65e5"), ("🙂", r"\U0001f642"), ("\udc80", r"\udc80"), ("\u202e", r"\u202e")]
)
def test_what_no_font_of_latex_has_is_spelled(sign: str, spelled: str) -> None:
    assert read(latex_text(f"a{sign}b")) == f"a{spelled}b"


def test_signs_that_latex_would_join_or_take_for_arguments_are_kept_apart() -> None:
    assert latex_text("a--b ,, ''") == "a-{}-b ,{}, '{}'"
    assert latex_text("[1] *") == "{[}1{]} {*}"


@pytest.mark.slow(but="tradeoff")
@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_is_of_one_column_and_its_words_have_8_points_and_never_meet(name: str, curves: pd.DataFrame) -> None:
    with drawn_as(PAPER):
        figure = FIGURES[name](curves)
        lay_out(figure)
        words = words_of(figure)
    width, height = figure.get_size_inches() * 72
    assert width == pytest.approx(3.25 * 72)
    assert {word.size for word in words} == {8.0}
    for place, word in enumerate(words):
        assert -1 < word.left < word.right < width + 1, word
        assert -1 < word.low < word.high < height + 1, word
        assert [other.text for other in words[:place] if word.meets(other, 1.0)] == [], word
    assert figure.title
    assert figure.title not in " ".join(word.text for word in words)


def test_names_beside_a_panel_stay_beside_it_and_apart() -> None:
    places = inside(apart(np.array([2.0, 99.0, 99.0, 98.0]), 10.0), 10.0, 100.0)
    assert places.tolist() == [2.0, 90.0, 100.0, 80.0]
    assert inside(apart(np.array([1.0, 1.0, 50.0]), 10.0), 10.0, 100.0).tolist() == [0.0, 10.0, 50.0]


def test_fonts_are_embedded_as_truetype() -> None:
    with drawn_as(PAPER):
        figure = losses_figure.draw(hostile_losses().iloc[:122])
        lay_out(figure)
        content = file_of(figure, "pdf")
    assert content.count(b"/FontDescriptor ") >= content.count(b"/FontFile2 ") > 0
    assert not re.search(rb"/Subtype */Type3|/FontFile3? ", content)
    assert len(re.findall(rb"/Type */FontDescriptor", content)) == content.count(b"/FontFile2 ")
    box = re.search(rb"/MediaBox \[([\d. ]+)\]", content)
    assert box
    assert [float(end) for end in box[1].split()][:3] == [0, 0, 3.25 * 72]


@pytest.fixture
def no_tex(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without any TeX, on which nothing asks for one."""
    monkeypatch.setenv("PATH", "")
    for name in ("run", "Popen", "check_output"):
        monkeypatch.setattr(subprocess, name, lambda *_, **__: pytest.fail("asked for a program"))


def pgf_texts(content: bytes) -> list[tuple[str, str]]:
    """Where LaTeX sets each text of a figure, and the text."""
    return re.findall(
        r"\\pgftext\[([^\]]*)\]\{\\color\{textcolor\}\\fontsize\{8\}\{9.6\}\\selectfont (.*)\}%", content.decode()
    )


@pytest.mark.usefixtures("no_tex")
def test_pgf_is_written_without_tex_and_sets_names_as_they_are() -> None:
    with drawn_as(TEX):
        figure = losses_figure.draw(with_safe_names(hostile_losses(), drawable_text))
        lay_out(figure)
        content = pgf_of(figure, "losses")
    texts = [read(text) for _, text in pgf_texts(content)]
    assert len(texts) == content.count(rb"\pgftext")
    for name in HOSTILE[:6]:
        assert any(text.strip().startswith(printable(loss_label(name))[:25]) for text in texts), name
    for scope in ("pgfpicture", "pgfscope"):
        assert content.count(f"\\begin{{{scope}}}".encode()) == content.count(f"\\end{{{scope}}}".encode()) > 0
    assert {round(word.size / WIDER, 6) for word in words_of(figure)} == {8.0}


def test_latex_centres_texts_where_matplotlib_does() -> None:
    """Fonts differ in width: what is centred must not begin where it would in a font of matplotlib."""
    with drawn_as(TEX):
        figure = Picture(2.0)
        axes = figure.subplots()
        axes.set(xlabel="below $x^2$", ylabel="beside", xticks=[], yticks=[])
        lay_out(figure)
        places = {read(text): place for place, text in pgf_texts(pgf_of(figure, "one"))}
    left, low, right, high = axes.get_position().extents
    below, beside = (dict(re.findall(r"([xy])=([\d.]+)in", places[text])) for text in ("below x²", "beside"))
    assert all(place.startswith("base,") for place in places.values())
    assert float(below["x"]) == pytest.approx(3.25 * (left + right) / 2, abs=1e-3)
    assert float(beside["y"]) == pytest.approx(2.0 * (low + high) / 2, abs=1e-3)
    assert places["beside"].endswith(",rotate=90.000000")


def test_the_table_of_losses_has_the_numbers_of_the_records(results: Path) -> None:
    (heading, *rows), found = rows_of(summary_tables(results)), best(load(results))
    assert heading == ["loss", "best β", "peak gold", "KL", "falls by", "KL"]
    assert [row[0] for row in rows] == [loss_label(loss) for loss in found["loss"]]
    for row, (_, truth) in zip(rows, found.iterrows(), strict=True):
        value, half = map(float, row[2].split("±"))
        assert value == pytest.approx(truth["peak_gold"], abs=0.5)
        assert half == pytest.approx((truth["peak_gold_high"] - truth["peak_gold_low"]) / 2, abs=0.5)
        assert float(row[1].rstrip("*")) == truth["best_beta"]
        assert row[1].endswith("*") == truth["at_the_end"]
        assert float(row[3]) == pytest.approx(truth["peak_kl"], abs=0.051)


def test_tables_hold_hostile_names_as_text(tmp_path: Path) -> None:
    folder = plant(tmp_path / "hostile", pd.concat([rows_of_losses(HOSTILE, 2), oracle()], ignore_index=True), {})
    rows = rows_of(summary_tables(folder))
    assert [row[0] for row in rows[1:]] == [printable(loss_label(name)) for name in HOSTILE]
    assert {len(row) for row in rows} == {6}


def test_a_claim_stands_in_the_table_with_its_rule_interval_and_verdict(tmp_path: Path) -> None:
    hostile = {"statement": "100 % of $_{x} & \\more", "estimate": -1e-5, "interval": None, "rule": "", "quick": False}
    unknown = {"statement": HOSTILE[4], "estimate": None, "verdict": "undecided", "p_holm": 0.012, "quick": False}
    (tmp_path / "claims.json").write_text(json.dumps([CLAIM, CLAIM | hostile, CLAIM | unknown]))
    table = claims_table(load_claims(tmp_path))
    rows = rows_of(table)
    assert rows[1][0] == "Gold peaks <b>within</b> training (Fig. 1). Holds where the interval lies above 0."
    assert rows[1][1:] == ["0.25 [0.1, 0.4] (sd)", "–", "holds"]
    assert rows[2][0] == "100 % of $_{x} & \\more (Fig. 1)."
    assert rows[2][1] == "−1×10⁻⁵, no interval (sd)"
    assert rows[3][0].startswith(printable(HOSTILE[4]))
    assert rows[3][1:] == ["no number", "0.012", "undecided"]
    assert "quick version, small on purpose" in table


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (
            ["--formats", "jpg"],
            "--formats jpg: must be one or several of pdf, pgf, svg, png, not 'jpg'; did you mean png?",
        ),
        (["--formats", "pdf,"], "--formats pdf,: must be one or several of pdf, pgf, svg, png, not ''"),
        (["--table", "latx"], 'Invalid value "latx" for --table. Choose from: "latex". Did you mean "latex"?'),
        (["other", "--formats", "pdf"], "--formats pdf: is for one directory, and without --out"),
        (["--out", "a.html", "--table", "latex"], "--table latex: is for one directory, and without --out"),
    ],
)
def test_what_cannot_be_written_is_answered_before_anything_is_drawn(
    asked: list[str], said: str, results: Path, tmp_path: Path, capsys: Any
) -> None:
    folder = shutil.copytree(results, tmp_path / "copy")
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert run.main(["report", str(folder), *asked]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert len(error.splitlines()) == 1
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


@pytest.mark.usefixtures("undrawn", "no_tex")
def test_a_report_writes_for_a_paper_and_changes_nothing_else(
    results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setattr(paper, "figures_of", lambda folder: {"losses": figures_of(folder)["losses"]})
    folder = shutil.copytree(results, tmp_path / "copy")
    (folder / "claims.json").write_text(json.dumps([CLAIM]))
    assert run.main(["report", str(folder)]) == 0
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert run.main(["report", str(folder), "--formats", "PDF, pgf,svg,pdf", "--table", "latex"]) == 0
    after = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    new = {path.name: content for path, content in after.items() if path.parent.name == "paper"}
    assert set(new) == {"losses.pdf", "losses.pgf", "losses.svg", "figures.tex", "summary.tex", "claims.tex"}
    assert {path: content for path, content in after.items() if path.parent.name != "paper"} == before
    assert new["losses.pdf"].startswith(b"%PDF")
    assert b"<text" not in new["losses.svg"]  # letters are shapes
    captions = new["figures.tex"].decode()
    assert r"\includegraphics{\figurefolder losses.pdf}" in captions
    caption = read(re.search(r"\\caption\{(.*)\}\n", captions)[1])
    assert caption.startswith("Three of six losses weigh pairs on the wrong side ever more")
    said = " ".join(capsys.readouterr().out.split())
    assert "1 figure for one column, PDF and PGF and SVG; captions in figures.tex" in said
    assert str(folder / "paper" / "claims.tex") in said
