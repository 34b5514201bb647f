"""The command `generations`: what it says, what it writes, and how it refuses; and its page."""

import os
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis import best_of_n
from analysis.figures.layout import shown_data, text_of
from analysis.figures.look import PAGE, drawn_as
from analysis.generations.figure import draw_comparison, draw_curves
from analysis.generations.summary import lines_of
from run import main
from tests.analysis.test_generations import sampled, table

PAGE_TEXT = (Path(__file__).parents[2] / "docs" / "howto" / "generations.md").read_text(encoding="utf-8")


def test_tables_and_figures_are_written_and_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, out = tmp_path / "made.csv", tmp_path / "out"
    table(12, 8, proxies=2).rename(columns={"gold": "judge"}).to_csv(file, index=False)
    assert main(["generations", str(file), "--gold", "judge", "--proxy", "proxy_0", "proxy_1", "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "12 prompts with 8 responses each (prompt: prompt; gold: judge; proxies: proxy_0" in said
    assert "Ranked by proxy_0, gold" in said
    assert "Of the ensembles, " in said
    assert f"{out / 'best_of_n.csv'}" in said
    assert all(len(line) <= 80 for line in said.splitlines() if str(tmp_path) not in line)
    names = {path.relative_to(out).as_posix() for path in out.rglob("*.*")}
    pictures = {
        f"figures/{name}.{kind}" for name in ("best_of_n", "ensembles") for kind in ("png", "svg", "pdf", "csv")
    }
    assert names == {"best_of_n.csv", "laws.csv", *pictures}
    found = best_of_n(file, gold="judge")
    for name, kept in (("best_of_n", found.curves), ("laws", found.laws)):
        pd.testing.assert_frame_equal(pd.read_csv(out / f"{name}.csv"), kept, check_dtype=False, rtol=1e-6)


def test_one_proxy_has_no_ensembles_and_results_lie_beside_those_of_sweeps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    table(12, 8).to_json("made.jsonl", orient="records", lines=True)
    assert main(["generations", "made.jsonl", "--largest-n", "4"]) == 0
    assert "Of the ensembles" not in capsys.readouterr().out
    figures = tmp_path / "results" / "generations" / "made" / "figures"
    assert {path.stem for path in figures.iterdir()} == {"best_of_n"}
    assert pd.read_csv(figures.parent / "best_of_n.csv")["n"].max() == 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["made.csv", "--gold", "golden"], "error: made.csv: has no column golden (--gold); did you mean gold?"),
        (["nowhere.csv"], "error: nowhere.csv: cannot be read (No such file or directory)"),
        (["made.csv", "--largest-n", "99"], "error: made.csv: --largest-n 99: must be from 2 to 8"),
        (["made.csv", "--out", "sweep"], "error: --out sweep: holds the records of a sweep; name another folder"),
        (["made.csv", "--out", "made.csv"], "error: --out made.csv: cannot be written ("),
        (["made.csv", "--proxies", "proxy"], "error: Unknown option: --proxies. Did you mean --proxy?"),
    ],
)
def test_wrong_input_has_one_message_and_writes_nothing(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    table(12, 8).to_csv("made.csv", index=False)
    (tmp_path / "sweep").mkdir()
    (tmp_path / "sweep" / "curves.parquet").touch()
    assert main(["generations", *arguments]) == 2
    said = capsys.readouterr()
    assert said.err.startswith(message)
    assert said.out == ""
    assert not (tmp_path / "results").exists()


def test_the_title_says_what_gold_does() -> None:
    with drawn_as(PAGE):
        falls, rises = (draw_curves(best_of_n(rows)) for rows in (sampled(0, 200), table(30, 16)))
    assert re.match(r"Gold peaks at .* sd at n = \d+, and falls by .* to n = 16", text_of(falls, "title"))
    assert re.match(r"Gold rises to .* sd at n = 16, the largest here", text_of(rises, "title"))
    backwards = sampled(0, 50).assign(gold=lambda rows: -rows["proxy"] + 0.1 * rows["gold"])
    assert "gold is highest at n = 1, and falls by" in " ".join(lines_of(best_of_n(backwards)))


def test_what_is_drawn_is_what_was_found() -> None:
    found = best_of_n(table(12, 8, proxies=6))
    with drawn_as(PAGE):
        curves, comparison = shown_data(draw_curves(found)), shown_data(draw_comparison(found))
    assert curves["panel"].nunique() == 6  # the first proxies, and the ensembles
    kept = found.curves[found.curves["score"] == "ensemble_mean"]
    for line, name in (("gold, ensemble_mean", "gold"), ("score, ensemble_mean", "proxy")):
        drawn = curves[curves["line"] == line]
        np.testing.assert_allclose(drawn[["x", "y", "low", "high"]], kept[["d", name, f"{name}_low", f"{name}_high"]])
    assert comparison["line"].nunique() == 6 + 3 + 1


def test_names_that_typesetting_would_take_for_commands_are_drawn() -> None:
    rows = table(12, 8, proxies=2).rename(columns={"proxy_0": "proxy_$x_1", "proxy_1": "proxy_\n\x1b"})
    found = best_of_n(rows)
    with drawn_as(PAGE):
        draw_curves(found).canvas.draw()
    assert "\x1b" not in "".join(lines_of(found))


def test_the_page_shows_what_its_example_prints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    first, last = re.findall(r"```python\n(.*?)```", PAGE_TEXT, re.DOTALL)
    assert len([line for line in first.splitlines() if line and not line.startswith("import")]) <= 10
    exec(first, {})
    assert main(["generations", "made.csv"]) == 0
    (printed,) = re.findall(r"```text\n(.*?)```", PAGE_TEXT, re.DOTALL)
    assert capsys.readouterr().out.replace(os.sep, "/") == printed
    exec(last, {})
