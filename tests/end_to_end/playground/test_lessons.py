"""The lessons in a headless browser, from prediction to explanation."""

import json
import re
from collections.abc import Callable
from importlib.resources import files

import numpy as np
import pytest
from scipy.stats import t as student

from tests.helpers.playground_page import Seen


@pytest.mark.long_only
def test_a_lesson_that_is_opened_again_is_as_it_was_left(visit: Callable[..., Seen]) -> None:
    seen = visit("#steps=50")
    seen.page.click("[data-lesson='1']")
    part = seen.page.locator(".question").first
    part.locator("input").nth(1).check()
    part.locator(".go").click()
    seen.until("Screen.current().settings.beta === 1")
    seen.page.click("[data-lesson='0']")  # in the middle of training
    assert seen.page.evaluate("[Screen.state.beta, Screen.state.steps]") == [0.01, 600]
    seen.page.click("[data-lesson='1']")
    assert "Training was stopped" in part.inner_text()
    part.locator(".go").click()
    part.locator(".answer table").wait_for(timeout=120_000)
    assert seen.page.inner_text("#beta-value") == "0.01"  # of the second run, as heading and chart
    assert "β 0.01" in seen.page.inner_text("#guess-text")
    answer = part.locator(".answer").inner_text()
    seen.page.click("[data-lesson='4']")
    seen.page.click("[data-lesson='1']")
    assert part.locator(".answer").inner_text() == answer


@pytest.mark.slow
def test_a_lesson_goes_from_prediction_to_explanation_by_keyboard(visit: Callable[..., Seen]) -> None:
    """Nothing is shown before the prediction; the answer is that of the policies that were trained."""
    seen = visit("#lesson=2")
    seen.page.wait_for_timeout(1500)
    assert seen.page.locator("#walked").count() == 0
    part = seen.page.locator(".question").first
    assert seen.page.locator(".question").nth(1).is_hidden()
    go = part.locator(".go")
    go.focus()
    seen.page.keyboard.press("Enter")
    assert "Predict first" in part.inner_text()
    part.locator("input").first.focus()
    seen.page.keyboard.press("Space")
    seen.page.locator("#chart").focus()
    for key in ("ArrowRight", "ArrowRight", "ArrowUp", "Enter"):
        seen.page.keyboard.press(key)
    seen.until("document.querySelectorAll('.guessmark').length === 1")
    assert seen.page.locator("#walked").count() == 0
    go.focus()
    seen.page.keyboard.press("Enter")
    part.locator(".answer table").wait_for(timeout=120_000)
    falls = seen.page.evaluate("Statistics.falls(Screen.current().paths)")
    assert len(falls) == 16
    half = student.ppf(0.975, 15) * np.std(falls, ddof=1) / 4
    assert f"{np.mean(falls):.2f} ± {half:.2f} sd" in part.locator(".answer").inner_text()
    said = part.locator(".answer > p").first.inner_text()
    assert said == (
        "As you predicted." if np.mean(falls) > half else "Not as you predicted. What came out: it stays at its peak."
    )
    assert "Your guess is off by" in seen.page.inner_text("#guess-text")
    assert seen.page.locator(".question").nth(1).is_visible()


def test_the_sheet_for_teachers_has_what_python_came_to(visit: Callable[..., Seen]) -> None:
    seen = visit("#sheet")
    text = " ".join(seen.page.inner_text("#teacher-sheet").split()).replace("−", "-")
    kept = json.loads((files("simulator.playground") / "recorded.json").read_text())["expects"]
    for lesson in kept:
        for question in lesson:
            first = question["means"][0]
            digits = 0 if f"{first['mean']:.0f} ± {first['half']:.0f} %" in text else 2
            assert f"{first['mean']:.{digits}f} ± {first['half']:.{digits}f}" in text
    assert seen.page.locator("#teacher-sheet .expected").count() == 13
    assert seen.page.locator("#controls").is_hidden()
    minutes = [
        int(each)
        for each in re.findall(r"(\d+) min", " ".join(seen.page.locator("#teacher-sheet h3").all_inner_texts()))
    ]
    assert len(minutes) == 6
    assert max(minutes) < 10
    assert f"{sum(minutes)} in all" in text


@pytest.mark.slow
def test_a_lesson_that_is_left_trains_no_further(visit: Callable[..., Seen]) -> None:
    """Also where it was paused: nothing of it comes up in free play or in another lesson."""
    seen = visit("#steps=50")
    seen.page.click("[data-lesson='4']")
    part = seen.page.locator(".question").first
    part.locator("input").first.check()
    part.locator(".go").click()
    seen.until("Screen.current().settings.pairs === 64 && Screen.playing()")
    seen.page.click("#play")
    seen.page.click("[data-lesson='0']")
    seen.is_at_its_end()
    seen.page.wait_for_timeout(1000)
    assert seen.page.evaluate("[Screen.current().settings.loss, Screen.current().settings.pairs]") == ["logistic", 256]
    assert seen.page.locator(".ghost").count() == 0
