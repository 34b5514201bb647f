"""What a sweep says of itself in the terminal."""

import numpy as np

from analysis.report.terminal_text import text, which_diverged
from tests.helpers import synthetic_curves as planted


def test_the_terminal_says_which_runs_diverged() -> None:
    curves = planted.sweep(np.random.default_rng(0), seeds=4, truth={"a": planted.hump, "b": planted.hump}, steps=3)
    lost = (curves["loss"] == "a") & (curves["beta"] == 0.01) & (curves["seed"] < 2) & (curves["step"] == 2)
    curves["status"] = curves["status"].where(~lost, "diverged")
    assert which_diverged(curves) == "a at beta 0.01 (2 of 4 seeds)"


def test_the_terminal_has_a_heading_short_columns_and_plain_words(results) -> None:
    lines = text(results).split("\n")
    assert lines[0] == "54 runs, 0 of them diverged"
    assert lines[2] == "The most gold of each loss, over beta and training"
    assert max(map(len, lines)) <= 100
    below_table = " ".join(lines[lines.index(next(line for line in lines if line.startswith("Gold is in"))) :])
    for words in (
        "± is half of a 95 % interval over 3 seeds",
        "Peaks are looked for on the other seeds",
        "sure: how often",
    ):
        assert words in below_table
