"""The page in a real headless browser: it opens from disk and alone, and its controls do what they say.

A browser is looked for on this machine, and the tests are skipped where there is none; where REQUIRE_BROWSER is set, as
in the gate, they fail there.
"""

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pandas as pd
import pytest
from playwright.sync_api import Browser, Page, Playwright, sync_playwright

from analysis.report import write_report
from tests.helpers.report_fixture import (
    BETAS,
    CLAIM,
    EVIL,
    STEPS,
    beside,
    best_of_n,
    gold_of,
    kl_of,
    oracle,
    plant,
    rows_of,
)

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge")
LOSSES = ("logistic", "hinge")
STYLE = "([place, name]) => getComputedStyle(document.querySelector(place))[name]"
MARK = "document.getElementById('frontier').data.find((trace) => trace.meta === 'mark')"


def browser_on(playwright: Playwright) -> str | None:
    """A Chromium of this machine, or the one that playwright has installed."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    own = playwright.chromium.executable_path
    return found or (own if own and Path(own).exists() else None)


def go_without() -> NoReturn:
    """Skip, or fail where a browser is required."""
    told = f"no browser found: none of {', '.join(NAMES)} is on the PATH"
    if os.environ.get("REQUIRE_BROWSER"):
        pytest.fail(told)
    pytest.skip(told)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        path = browser_on(playwright)
        if path is None:
            go_without()
        root = hasattr(os, "geteuid") and os.geteuid() == 0
        with playwright.chromium.launch(executable_path=path, args=["--no-sandbox"] if root else []) as found:
            yield found


@dataclass
class Seen:
    """What a page did while it was open."""

    page: Page
    requests: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def mark(self) -> tuple[float, float]:
        """Where the large mark is on the frontier."""
        self.page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        kl, gold = self.page.evaluate(f"[{MARK}.x[0], {MARK}.y[0]]")
        return kl, gold

    def choose(self, control: str, label: str) -> None:
        """Choose an option of a list by what it says."""
        self.page.select_option(f"#{control}", label=label)


@pytest.fixture
def visit(browser: Browser) -> Iterator[Any]:
    """Open a page of a folder; what it asked for and complained of is looked at in the end."""
    opened: list[tuple[Seen, str]] = []

    def go(folder: Path, **how: Any) -> Seen:
        path = write_report(folder)
        context = browser.new_context(**({"viewport": {"width": 1280, "height": 900}} | how))
        seen = Seen(page=context.new_page())
        seen.page.on("request", lambda request: seen.requests.append(request.url))
        seen.page.on("pageerror", lambda error: seen.errors.append(str(error)))
        seen.page.on("console", lambda said: seen.errors.append(said.text) if said.type == "error" else None)
        seen.page.goto(path.as_uri())
        opened.append((seen, path.as_uri()))
        return seen

    yield go
    for seen, address in opened:
        asked = [url for url in seen.requests if not url.startswith(("data:", "blob:"))]
        seen.page.context.close()
        assert asked == [address]
        assert seen.errors == []


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sweep of two losses with all tables and claims."""
    curves = pd.concat([rows_of(LOSSES, 3), oracle()], ignore_index=True)
    path = plant(tmp_path_factory.mktemp("page") / "planted", curves, beside(curves))
    (path / "claims.json").write_text(json.dumps([CLAIM]))
    return path


def end(loss: int, beta: float, seeds: tuple[int, ...]) -> tuple[float, float]:
    """Mean KL and gold at the end of the planted runs."""
    kl = [kl_of(loss, beta, seed, STEPS[-1]) for seed in seeds]
    return float(np.mean(kl)), float(np.mean([gold_of(each, seed) for each, seed in zip(kl, seeds, strict=True)]))


def test_the_slider_moves_the_mark_by_keyboard_through_all_betas(visit: Any, folder: Path) -> None:
    seen = visit(folder)
    seen.page.focus("#stop")
    seen.page.keyboard.press("Home")
    axes = seen.page.evaluate("document.getElementById('frontier').layout.xaxis.range")
    for beta in BETAS:
        assert seen.mark() == pytest.approx(end(0, beta, (0, 1, 2)), rel=1e-3)
        said = seen.page.get_attribute("#stop", "aria-valuetext")
        assert said.startswith(f"β = {beta:g}, KL {end(0, beta, (0, 1, 2))[0]:.3g} nats")
        assert seen.page.inner_text("#stop-value") == f"{beta:g}"
        seen.page.keyboard.press("ArrowRight")
    assert seen.page.evaluate("document.getElementById('frontier').layout.xaxis.range") == axes


def test_a_loss_and_a_seed_are_chosen_by_keyboard(visit: Any, folder: Path) -> None:
    seen = visit(folder)
    seen.page.focus("input[name=family]:checked")
    seen.page.keyboard.press("ArrowRight")
    beta = BETAS[1]
    assert seen.mark() == pytest.approx(end(1, beta, (0, 1, 2)), rel=1e-3)
    seen.page.focus("#seed")
    for _ in range(3):
        seen.page.keyboard.press("ArrowDown")
    assert seen.page.evaluate("document.getElementById('seed').selectedOptions[0].textContent") == "seed 2"
    assert seen.mark() == pytest.approx(end(1, beta, (2,)), rel=1e-3)
    assert "A single seed: no interval." in seen.page.inner_text("#note")
    path = seen.page.evaluate("document.getElementById('frontier').data.find((trace) => trace.meta === 'path').x")
    assert path == pytest.approx([kl_of(1, beta, 2, step) for step in STEPS], rel=1e-3, abs=1e-9)


def test_every_control_is_reached_by_the_tab_key(visit: Any, folder: Path) -> None:
    seen = visit(folder)
    reached = set()
    for _ in range(40):
        seen.page.keyboard.press("Tab")
        reached.add(seen.page.evaluate("document.activeElement.id || document.activeElement.name"))
    assert {"family", "seed", "scale", "others", "stop", "prompt"} <= reached


def test_the_law_of_gold_and_the_responses_follow(visit: Any, folder: Path) -> None:
    seen = visit(folder)
    curves = pd.read_parquet(folder / "curves.parquet")
    tables = beside(curves)
    seen.choose("seed", "seed 1")
    seen.page.focus("#stop")
    for key, beta in (("Home", BETAS[0]), ("End", BETAS[-1])):
        seen.page.keyboard.press(key)
        seen.mark()
        run = f"gpo-logistic-{beta:g}-1"
        law = tables["gold_law"][tables["gold_law"]["run_id"] == run]
        bars = seen.page.evaluate("(({ x, y }) => [x, y])(document.getElementById('law').data[0])")
        shown = {x: y for x, y in zip(*bars, strict=True) if y}
        assert shown == pytest.approx(dict(zip(law["gold"], law["probability"], strict=True)), rel=1e-2)
        rows = tables["responses"].query("run_id == @run and prompt == 'q'")
        seen.choose("prompt", "q")
        told = seen.page.locator("#said-body tr").all()
        assert [row.locator("td").first.inner_text() for row in told] == rows["response"].tolist()
        cells = [float(row.locator("td").nth(1).inner_text().replace("−", "-")) for row in told]
        assert cells == pytest.approx(rows["probability"].tolist(), rel=0.05)
    assert "log π/π_ref" in seen.page.inner_text("#said-head")


def test_hover_values_are_there(visit: Any, folder: Path) -> None:
    seen = visit(folder)
    seen.page.locator("#frontier").scroll_into_view_if_needed()
    place = seen.page.evaluate(
        """() => {
            const chart = document.getElementById("frontier");
            const { xaxis, yaxis } = chart._fullLayout;
            const mark = chart.data.find((trace) => trace.meta === "mark");
            const box = chart.getBoundingClientRect();
            return [box.x + xaxis._offset + xaxis.l2p(mark.x[0]), box.y + yaxis._offset + yaxis.l2p(mark.y[0])];
        }"""
    )
    seen.page.mouse.move(*place)
    said = seen.page.locator("#frontier .hoverlayer .hovertext").first.text_content(timeout=5000)
    kl, gold = end(0, BETAS[1], (0, 1, 2))
    assert f"KL {kl:.3g} nats" in said
    assert f"gold {gold:.3g}" in said


def test_further_axes_and_methods_are_chosen(visit: Any, tmp_path: Path) -> None:
    parts = [rows_of(LOSSES, 2, train_steps=16.0), rows_of(LOSSES, 2, train_steps=32.0)]
    parts[1]["gold"] /= 2
    curves = pd.concat([*parts, best_of_n(2), oracle()], ignore_index=True)
    seen = visit(plant(tmp_path / "axes", curves))
    before = seen.mark()
    seen.choose("axis-0", "32")
    assert seen.mark() == pytest.approx((before[0], before[1] / 2), rel=1e-3)
    seen.page.get_by_label("best-of-n").check()
    seen.page.focus("#stop")
    seen.page.keyboard.press("Home")
    seen.page.keyboard.press("ArrowRight")
    mean = best_of_n(2).groupby("n")[["kl", "gold"]].mean()
    assert seen.mark() == pytest.approx(tuple(mean.loc[2]), rel=1e-3)
    assert seen.page.inner_text("#stop-name") == "n"
    assert seen.page.is_hidden("#law-part")
    assert seen.page.is_hidden("#said-part")
    metas = seen.page.evaluate("document.getElementById('frontier').data.map((trace) => trace.meta)")
    assert "proxy" in metas


@pytest.mark.slow
def test_an_axis_that_some_methods_lack_leads_there_and_back(visit: Any, tmp_path: Path) -> None:
    rl = rows_of(("x",), 2).assign(method="rl", loss=None, proxy=1.0, label_noise=0.5, train_steps=16.0)
    noise = [
        best_of_n(2).assign(label_noise=value, run_id=lambda t, v=value: t["run_id"] + str(v)) for value in (0, 0.5)
    ]
    more = rl.assign(train_steps=32.0, run_id=rl["run_id"] + "-32")
    seen = visit(plant(tmp_path / "lack", pd.concat([rl, more, *noise], ignore_index=True)))
    names = seen.page.locator("#families span")
    assert names.all_inner_texts() == ["best-of-n"]
    assert seen.page.evaluate("document.getElementById('axis-1').selectedOptions[0].textContent") == "does not apply"
    seen.choose("axis-1", "32")
    assert names.all_inner_texts() == ["best-of-n", "RL"]
    assert seen.page.evaluate("document.getElementById('axis-0').selectedOptions[0].textContent") == "0.5"
    seen.choose("axis-1", "does not apply")
    assert names.all_inner_texts() == ["best-of-n"]


@pytest.mark.slow
def test_one_seed_says_so_and_draws_no_band(visit: Any, tmp_path: Path) -> None:
    seen = visit(plant(tmp_path / "one", rows_of(("logistic",), 1, (0.5,))))
    assert "One seed: no interval." in seen.page.inner_text("#note")
    assert seen.page.is_disabled("#stop")
    filled = seen.page.evaluate("document.getElementById('frontier').data.filter((trace) => trace.fill).length")
    assert filled == 0
    assert seen.mark() == pytest.approx(end(0, 0.5, (0,)), rel=1e-3)


def test_users_words_do_nothing_and_are_shown(visit: Any, tmp_path: Path) -> None:
    curves = rows_of((EVIL, "%{x} <b>bold</b>"), 2)
    path = plant(tmp_path / "<img src=x onerror=alert(1)>", curves, beside(curves, EVIL))
    (path / "claims.json").write_text(json.dumps([CLAIM | {"statement": EVIL}]))
    seen = visit(path)
    assert seen.page.title().startswith("<img src=x onerror=alert(1)>")
    assert seen.page.evaluate("document.querySelectorAll('img[src=x], #families b').length") == 0
    assert seen.page.locator("#families span").all_inner_texts() == [EVIL, "%{x} <b>bold</b>"]
    assert EVIL in seen.page.locator("#said-body td").all_inner_texts()
    assert EVIL in seen.page.inner_text("#claims")


@pytest.mark.slow(but="360")
@pytest.mark.parametrize("width", [360, 1280])
def test_the_page_is_no_wider_than_the_screen(visit: Any, folder: Path, width: int) -> None:
    seen = visit(folder, viewport={"width": width, "height": 740})
    wide, inner = seen.page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert wide <= inner == width
    assert seen.page.evaluate("document.querySelector('#frontier svg').getBoundingClientRect().width") <= width


def luminance(color: str) -> float:
    """The relative luminance of a CSS colour rgb(…), by WCAG 2."""
    parts = [int(part) / 255 for part in color[color.index("(") + 1 : -1].split(",")[:3]]
    linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return float(np.dot([0.2126, 0.7152, 0.0722], linear))


@pytest.mark.slow(but="dark")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_in_light_and_dark(visit: Any, folder: Path, scheme: str) -> None:
    seen = visit(folder, color_scheme=scheme)
    paper = luminance(seen.page.evaluate(STYLE, ["body", "backgroundColor"]))
    assert (paper > 0.5) == (scheme == "light")
    for place in ("body", "dt", "a[href='#run']", ".note", ".verdict", ".quick", "figcaption"):
        ink = luminance(seen.page.evaluate(STYLE, [place, "color"]))
        assert (max(ink, paper) + 0.05) / (min(ink, paper) + 0.05) >= 4.5, place


def brightness(color: str) -> float:
    """The mean of the channels of a colour #rrggbb."""
    return sum(bytes.fromhex(color.removeprefix("#"))) / 3


@pytest.mark.slow
def test_charts_follow_the_scheme(visit: Any, folder: Path) -> None:
    seen = visit(folder, color_scheme="light")
    color = "document.getElementById('frontier').layout.font.color"
    light = seen.page.evaluate(color)
    seen.page.emulate_media(color_scheme="dark")
    for _ in range(300):  # the page's policy lets no browser poll by itself
        if seen.page.evaluate(color) != light:
            break
        seen.page.wait_for_timeout(100)
    assert brightness(seen.page.evaluate(color)) > brightness(light)


def test_claims_say_their_verdict_and_that_they_are_quick(visit: Any, folder: Path) -> None:
    said = " ".join(visit(folder).page.inner_text("#claims").split())
    assert "✓ holds" in said
    assert "Quick version." in said
    assert "0.25 [0.1, 0.4] sd" in said


def test_without_a_browser_users_skip_and_the_gate_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REQUIRE_BROWSER", raising=False)
    with pytest.raises(pytest.skip.Exception, match="no browser found"):
        go_without()
    monkeypatch.setenv("REQUIRE_BROWSER", "1")
    with pytest.raises(pytest.fail.Exception, match="no browser found"):
        go_without()
    assert "export REQUIRE_BROWSER=1" in (Path(__file__).parents[2] / ".ci" / "run").read_text()
