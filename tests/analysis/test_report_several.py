"""Pages over several sweeps: what they compare is planted, and what cannot be compared is said."""

import base64
import gzip
import io
import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import run
from analysis import ResultsError
from analysis.records.checksums import digest_of, read_checksums
from analysis.report.command import judge_paper
from analysis.report.page import LIMIT
from analysis.report.several import differing, names_of, write_comparison, write_paper_page
from analysis.report.side_tables import load_claims
from tests.helpers.report_fixture import CLAIM, best_of_n, oracle, plant, rows_of

LOSSES = ("logistic", "hinge")


def sweep_in(folder: Path, curves: pd.DataFrame, config: str = "") -> Path:
    plant(folder, curves)
    (folder / "config.toml").write_text(config or '[world]\nkind = "enumerable"\n[data]\npairs = 64\n')
    return folder


@pytest.fixture
def first(tmp_path: Path) -> Path:
    return sweep_in(tmp_path / "first", pd.concat([rows_of(LOSSES, 3), oracle()], ignore_index=True))


def data_of(text: str, name: str) -> pd.DataFrame:
    """What a figure of a page shows."""
    (packed,) = re.findall(rf'id="figure-{name}" data-name="{name}" data-csv="([^"]+)"', text)
    return pd.read_csv(io.BytesIO(gzip.decompress(base64.b64decode(packed))))


def test_a_difference_between_sweeps_is_the_planted_one(first: Path, tmp_path: Path) -> None:
    """The second sweep has 0.3 less gold away from the reference, another number of pairs, and a loss more."""
    lower = rows_of((*LOSSES, "savage"), 3).assign(gold=lambda t: t["gold"] - 0.3 * (t["kl"] > 0), pairs=256)
    second = sweep_in(tmp_path / "second", lower, '[world]\nkind = "enumerable"\n[data]\npairs = 256\n')
    text = write_comparison([first, second], tmp_path / "both.html").read_text()
    data = data_of(text, "both")
    below = data[data["line"] == "second less first"]
    assert len(below) == 10
    reach = data.loc[data["panel"] == "panel 1"].groupby("line")["x"].max().min()
    assert below["x"].to_numpy() == pytest.approx(reach * np.arange(1, 11) / 10, rel=0.02)
    assert below["y"].to_numpy()[1:] == pytest.approx(
        [-0.3] * 9, abs=0.02
    )  # the first lies before any point of a sweep
    assert (below["low"] <= below["y"]).all()
    assert "left out: savage" in text
    assert "<code>data.pairs</code></th><td>64</td><td>256</td>" in text
    assert text.count("<article>") == 2
    assert len(text.encode()) < LIMIT


def test_sweeps_are_compared_at_the_values_of_an_axis_that_both_have(first: Path, tmp_path: Path) -> None:
    noisy = [
        rows_of(LOSSES, 3, label_noise=noise).assign(gold=lambda t, n=noise: t["gold"] - 2 * n * (t["kl"] > 0))
        for noise in (0.0, 0.4)
    ]
    second = sweep_in(tmp_path / "second", pd.concat(noisy, ignore_index=True))
    plain = sweep_in(tmp_path / "third", rows_of(LOSSES, 3, label_noise=0.0))
    data = data_of(write_comparison([plain, second], tmp_path / "both.html").read_text(), "both")
    assert data.loc[data["line"] == "second less third", "y"].to_numpy() == pytest.approx([0.0] * 10, abs=1e-9)


@pytest.mark.parametrize(
    ("curves", "words"),
    [
        (
            best_of_n(2).assign(loss=None, beta=np.nan),
            "second has no training on pairs, so the sweeps are not compared at equal KL.",
        ),
        (rows_of(("savage",), 3), "The sweeps have no loss in common, so they are not compared at equal KL."),
    ],
)
def test_what_cannot_be_compared_is_said(first: Path, tmp_path: Path, curves: pd.DataFrame, words: str) -> None:
    text = write_comparison([first, sweep_in(tmp_path / "second", curves)], tmp_path / "both.html").read_text()
    assert words in text
    assert text.count("<article>") == 2


def test_a_folder_that_is_none_is_named(first: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run.main(["report", str(first), str(tmp_path / "nothing")]) == 2
    assert "config.toml: cannot be read" in capsys.readouterr().err
    assert run.main(["report", str(first), "--out", str(tmp_path / "page.pdf")]) == 2
    assert "must end in .html, since a comparison is one page" in capsys.readouterr().err
    assert run.main(["report", str(first), str(first)]) == 2
    assert "names a folder twice" in capsys.readouterr().err


def test_the_command_compares_and_names_the_page(
    first: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    second = sweep_in(tmp_path / "second", rows_of(LOSSES, 3))
    assert run.main(["report", str(first), str(second)]) == 0
    page = tmp_path / "first-and-second.html"
    assert capsys.readouterr().out == f"page     {page}\n"
    assert "<h1>first and second</h1>" in page.read_text()


def test_names_have_as_many_folders_as_tell_them_apart(tmp_path: Path) -> None:
    assert names_of([tmp_path / "a" / "x", tmp_path / "b" / "x"]) == ["a/x", "b/x"]
    assert names_of([tmp_path / "a" / "x", tmp_path / "b" / "y"]) == ["x", "y"]


def test_settings_that_differ_stand_side_by_side(tmp_path: Path) -> None:
    texts = (
        "[data]\npairs = 64\n[sweep]\nbeta = [0.1, 0.5]\n",
        "[data]\npairs = 64\nlabel_noise = 0.1\n[sweep]\nbeta = [0.1]\n",
    )
    folders = [tmp_path / name for name in ("a", "b")]
    for folder, text in zip(folders, texts, strict=True):
        folder.mkdir()
        (folder / "config.toml").write_text(text)
    assert differing(folders) == [("data.label_noise", ["-", "0.1"]), ("sweep.beta", ["0.1, 0.5", "0.1"])]


def test_a_sweep_that_lies_where_the_paper_does_keeps_its_page_and_its_checksums(first: Path) -> None:
    sweep_in(first / "more", pd.concat([rows_of(LOSSES, 3), oracle()], ignore_index=True))
    for folder in (first, first / "more"):
        (folder / "report.html").write_text("of the sweep")
    said: list[str] = []
    judge_paper(
        "A paper", ["", "more"], [CLAIM | {"p": 0.01, "ours": True}], first, say=lambda *text: said.extend(text)
    )
    assert (first / "report.html").read_text() == "of the sweep"
    assert said[-1] == f"page     {first / 'paper.html'}"
    text = (first / "paper.html").read_text()
    assert 'href="report.html"' in text
    assert 'href="more/report.html"' in text
    sums = read_checksums(first / "report.sha256")
    assert sums is not None
    assert sums["claims.json"] == digest_of(first / "claims.json")


def test_the_page_of_a_paper_has_its_claims_and_leads_to_its_sweeps(first: Path, tmp_path: Path) -> None:
    (first / "report.html").write_text("a page")
    (tmp_path / "claims.json").write_text(json.dumps([CLAIM]))
    page = write_paper_page("A paper <b>", [first], load_claims(tmp_path), tmp_path)
    text = page.read_text()
    assert page == tmp_path / "report.html"
    assert "<h1>A paper &lt;b&gt;</h1>" in text
    assert '<a href="first/report.html">first</a>' in text
    assert "Gold peaks &lt;b&gt;within&lt;/b&gt; training" in text
    with pytest.raises(ResultsError, match="is no result directory"):
        write_paper_page("A paper", [tmp_path / "gone"], [], tmp_path)
