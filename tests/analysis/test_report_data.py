"""What the page's controls choose from: short numbers, nothing that ends its element, and less where room is short."""

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np

from analysis.report.explorer.data import in_script, page_content, page_json
from analysis.report.explorer.json_numbers import evenly_spaced, rounded
from analysis.report.explorer.page_budget import LEVELS
from analysis.report.page import LIMIT
from tests.helpers.report_fixture import EVIL, beside, plant, rows_of


def means(text: str, name: str) -> Any:
    (found,) = [each for each in json.loads(text)["parts"][0]["families"] if each["name"] == name]
    return found["means"]


def test_nothing_in_a_script_element_can_end_it() -> None:
    value = [EVIL, "<!--<script>", "\u2028"]
    text = in_script(json.dumps(value, ensure_ascii=False))
    assert not set(text) & set("<>&\u2028")
    assert json.loads(text) == value


def test_many_runs_fit_and_what_was_left_out_is_told(tmp_path: Path) -> None:
    curves = rows_of(("logistic", "hinge"), 40, tuple(np.geomspace(0.01, 10, 10)))
    chosen = page_content(plant(tmp_path / "a", curves, beside(curves)), curves)
    whole, nothing = page_json(chosen, LIMIT)
    assert nothing == []
    less, told = page_json(chosen, len(whole) // 2)
    assert len(less) < len(whole) // 2
    assert "of 40" in told[-1]
    least, told = page_json(chosen, 0)
    assert len(least) < len(less) / 4
    assert told == [
        "single runs are those of the first seed of 40, while means are over all",
        "responses and laws of gold are left out",
    ]
    assert means(whole, "hinge") == means(least, "hinge")


def test_each_level_holds_no_more_than_the_one_before() -> None:
    for more, less in itertools.pairwise(LEVELS):
        for name in ("summaries", "prompts", "likely", "points", "seeds", "parts"):
            assert getattr(less, name) <= getattr(more, name)


def test_numbers_are_short_and_never_nan() -> None:
    assert [rounded(value) for value in (1.23456, 2.0, float("nan"), float("inf"), -0.000123456)] == [
        1.235,
        2,
        None,
        None,
        -0.0001235,
    ]
    assert evenly_spaced(5, 10) == [0, 1, 2, 3, 4]
    assert evenly_spaced(101, 3) == [0, 50, 100]
