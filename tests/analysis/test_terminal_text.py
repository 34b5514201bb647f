"""What a sweep says of itself in the terminal."""

import json
import shutil

import numpy as np

from analysis.headline.summary import write_summary
from analysis.report.terminal_text import text, which_diverged
from tests.helpers import synthetic_curves as planted


def test_the_terminal_says_which_runs_diverged() -> None:
    curves = planted.sweep(np.random.default_rng(0), seeds=4, truth={"a": planted.hump, "b": planted.hump}, steps=3)
    lost = (curves["loss"] == "a") & (curves["beta"] == 0.01) & (curves["seed"] < 2) & (curves["step"] == 2)
    curves["status"] = curves["status"].where(~lost, "diverged")
    assert which_diverged(curves) == "a at beta 0.01 (2 of 4 seeds)"


def test_the_terminal_has_a_heading_short_columns_and_plain_words(results) -> None:
    lines = text(results).split("\n")
    assert lines[0] == "54 runs, none of them diverged"
    assert lines[2].startswith("* ")
    assert max(map(len, lines)) <= 80
    assert len(lines) <= 24
    table = next(i for i, line in enumerate(lines) if line.startswith("loss "))
    rows = lines[table : table + 7]
    assert len({len(row) for row in rows}) == 1
    assert [row.split("  ")[0] for row in rows[1:3]] == ["logistic (DPO)", "hinge (SLiC)"]
    assert "± is half of a 95 % interval over 3 seeds" in " ".join(lines[table:])


def test_the_headline_is_that_of_the_summary(results, tmp_path) -> None:
    folder = shutil.copytree(results, tmp_path / "copy")
    summary = json.loads(write_summary(folder).read_text())
    said = " ".join(text(folder).split())
    assert 1 <= len(summary["headline"]) <= 5
    for sentence in summary["headline"]:
        assert " ".join(sentence.split()) in said
    assert [each["topic"] for each in summary["statements"]] == ["rise_and_fall", "best_beta", "losses"]
    assert summary["runs"] == 54
    assert summary["diverged"] == 0
