"""The page in a real headless browser: it opens from disk and alone, and its controls do what they say.

A browser is looked for on this machine, and the tests are skipped where there is none; where REQUIRE_BROWSER is set, as
in the gate, they fail there.
"""

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import Browser, Page

from analysis.figures.drawing import draw_all
from analysis.report import write_report
from analysis.report.several import write_comparison
from tests.helpers.browser import go_without
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

LOSSES = ("logistic", "hinge")
STYLE = "([place, name]) => getComputedStyle(document.querySelector(place))[name]"
MARK = "(({ kl, gold }) => [Number(kl), Number(gold)])(document.getElementById('mark').dataset)"
WALKED = "document.getElementById('walked').getAttribute('d').split(/[ML]/).length - 1"
SIZES = [(1440, 900), (1280, 800), (768, 1024), (390, 844)]
IN_VIEW = """(id) => {
    const box = document.getElementById(id).getBoundingClientRect();
    return box.height > 0 && box.top >= 0 && box.bottom <= innerHeight && box.left >= 0 && box.right <= innerWidth;
}"""


@dataclass
class Seen:
    """What a page did while it was open."""

    page: Page
    requests: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def mark(self) -> tuple[float, float]:
        """Where the large mark is on the frontier."""
        self.page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        kl, gold = self.page.evaluate(MARK)
        return kl, gold

    def choose(self, control: str, label: str) -> None:
        """Choose an option of a list by what it says."""
        self.page.select_option(f"#{control}", label=label)


@pytest.fixture
def visit(browser: Browser) -> Iterator[Any]:
    """Open a page of a folder; what it asked for and complained of is looked at in the end."""
    opened: list[tuple[Seen, str]] = []

    def go(folder: Path, **how: Any) -> Seen:
        path = write_report(folder) if folder.is_dir() else folder
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
    curves = curves.assign(fluency=-curves["kl"] / 10)
    tables = beside(curves)
    broken = tables["responses"]["response"] == "abc"
    tables["responses"] = tables["responses"].assign(fluency=-0.5, breaks=np.where(broken, ".x.", ""))
    path = plant(tmp_path_factory.mktemp("page") / "planted", curves, tables)
    (path / "claims.json").write_text(json.dumps([CLAIM]))
    return path


def end(loss: int, beta: float, seeds: tuple[int, ...]) -> tuple[float, float]:
    """Mean KL and gold at the end of the planted runs."""
    kl = [kl_of(loss, beta, seed, STEPS[-1]) for seed in seeds]
    return float(np.mean(kl)), float(np.mean([gold_of(each, seed) for each, seed in zip(kl, seeds, strict=True)]))


def test_the_slider_moves_the_mark_by_keyboard_from_strong_to_weak(visit: Any, folder: Path) -> None:
    """Right is weak, as on the picture: the smallest beta is at the right end, where the page begins."""
    seen = visit(folder)
    assert seen.mark() == pytest.approx(end(0, BETAS[0], (0, 1, 2)), rel=1e-3)
    seen.page.focus("#stop")
    seen.page.keyboard.press("Home")
    ticks = "[...document.querySelectorAll('#frontier .tick')].map((each) => each.textContent)"
    axes = seen.page.evaluate(ticks)
    for beta in reversed(BETAS):
        assert seen.mark() == pytest.approx(end(0, beta, (0, 1, 2)), rel=1e-3)
        said = seen.page.get_attribute("#stop", "aria-valuetext")
        assert said.startswith(f"β = {beta:g}, KL {end(0, beta, (0, 1, 2))[0]:.3g} nats")
        assert seen.page.inner_text("#stop-value") == f"{beta:g}"
        seen.page.keyboard.press("ArrowRight")
    assert seen.page.evaluate(ticks) == axes


def test_the_slider_stands_at_the_logarithm_of_beta_with_a_tick_for_each(visit: Any, folder: Path) -> None:
    seen = visit(folder)
    places = seen.page.evaluate("[...document.querySelectorAll('#ticks i')].map((each) => parseFloat(each.style.left))")
    log = -np.log10(BETAS)
    assert places == pytest.approx(list(100 * (log - log.min()) / np.ptp(log)), abs=0.01)


def test_a_dot_of_the_picture_chooses_its_beta(visit: Any, folder: Path) -> None:
    seen = visit(folder)
    seen.page.locator(f"#frontier .end[data-stop='{BETAS.index(2.0)}']").click()
    assert seen.mark() == pytest.approx(end(0, 2.0, (0, 1, 2)), rel=1e-3)


def test_the_pointer_replaces_nothing_that_may_be_clicked(visit: Any, folder: Path) -> None:
    """A click whose target is replaced between press and release is lost."""
    seen = visit(folder)
    dot = f"#frontier .end[data-stop='{BETAS.index(2.0)}']"
    seen.page.hover(dot)
    seen.page.mouse.down()
    seen.page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    place = seen.page.locator(dot).bounding_box()
    seen.page.mouse.move(place["x"] + place["width"] / 2 + 1, place["y"] + place["height"] / 2)
    seen.mark()
    seen.page.mouse.up()
    assert seen.mark() == pytest.approx(end(0, 2.0, (0, 1, 2)), rel=1e-3)


def test_the_pointer_shows_a_loss_in_its_color_and_the_best_at_its_place(visit: Any, folder: Path) -> None:
    seen = visit(folder)
    path = seen.page.locator("#frontier .other[data-family='hinge']")
    colour = "(path) => getComputedStyle(path).stroke"
    pale = path.evaluate(colour)
    place = seen.page.locator("#frontier").bounding_box()
    path.dispatch_event("pointermove", {"clientX": place["x"] + place["width"] / 2, "bubbles": True})
    seen.mark()
    assert path.evaluate(colour) != pale
    assert "best possible" in seen.page.text_content("#hover")
    seen.page.dispatch_event("#frontier", "pointerleave")
    seen.mark()
    assert path.evaluate(colour) == pale
    assert seen.page.text_content("#hover") == ""


def test_a_loss_and_a_seed_are_chosen_by_keyboard(visit: Any, folder: Path) -> None:
    seen = visit(folder)
    seen.page.focus("input[name=family]:checked")
    seen.page.keyboard.press("ArrowRight")
    assert seen.mark() == pytest.approx(end(1, BETAS[0], (0, 1, 2)), rel=1e-3)
    seen.page.focus("#seed")
    for _ in range(3):
        seen.page.keyboard.press("ArrowDown")
    assert seen.page.evaluate("document.getElementById('seed').selectedOptions[0].textContent") == "seed 2"
    assert seen.mark() == pytest.approx(end(1, BETAS[0], (2,)), rel=1e-3)
    assert "A single seed: no interval." in seen.page.inner_text("#note")


@pytest.mark.slow
def test_the_scrubber_goes_along_training_and_play_to_its_end(visit: Any, folder: Path) -> None:
    seen = visit(folder)
    seen.page.focus("#step")
    seen.page.keyboard.press("Home")
    for i, step in enumerate(STEPS):
        kl = [kl_of(0, BETAS[0], seed, step) for seed in range(3)]
        gold = [gold_of(each, seed) for seed, each in enumerate(kl)]
        assert seen.mark() == pytest.approx((np.mean(kl), np.mean(gold)), rel=1e-3, abs=1e-9)
        assert seen.page.inner_text("#step-value") == str(step)
        assert seen.page.evaluate(WALKED) == i + 1
        seen.page.keyboard.press("ArrowRight")
    seen.page.keyboard.press("Home")
    seen.page.click("#play")
    assert "Pause" in seen.page.inner_text("#play")
    for _ in range(100):  # the page's policy lets no browser poll by itself
        if "Play" in seen.page.inner_text("#play"):
            break
        seen.page.wait_for_timeout(100)
    assert seen.mark() == pytest.approx(end(0, BETAS[0], (0, 1, 2)), rel=1e-3)


def test_the_address_says_what_is_chosen_and_brings_it_back(visit: Any, folder: Path) -> None:
    seen = visit(folder)
    seen.page.focus("input[name=family]:checked")
    seen.page.keyboard.press("ArrowRight")
    seen.page.focus("#stop")
    seen.page.keyboard.press("Home")
    seen.page.select_option("#seed", label="seed 1")
    there = seen.mark()
    address = seen.page.evaluate("location.href")
    assert "show=hinge" in address
    assert "beta=2" in address
    seen.page.goto("about:blank")
    seen.page.goto(address)
    assert seen.mark() == pytest.approx(there)
    seen.requests[:] = [url.split("#")[0] for url in seen.requests if url != "about:blank"][:1]


def test_every_control_is_reached_by_the_tab_key(visit: Any, folder: Path) -> None:
    seen = visit(folder)
    reached = set()
    for _ in range(60):
        seen.page.keyboard.press("Tab")
        reached.add(seen.page.evaluate("document.activeElement.id || document.activeElement.name"))
    assert {"family", "seed", "scale", "others", "stop", "step", "play", "prompt"} <= reached


@pytest.mark.slow(but=("0", "3"))
@pytest.mark.parametrize("size", range(len(SIZES)))
def test_the_first_screen_has_headline_and_picture_and_the_slider_stays(visit: Any, folder: Path, size: int) -> None:
    """The slider is in view at the top, and at every panel that it moves."""
    width, height = SIZES[size]
    seen = visit(folder, viewport={"width": width, "height": height})
    for place in ("headline", "stop", "step", *(["frontier", "said-part"] if width > 1000 else [])):
        assert seen.page.evaluate(IN_VIEW, place), place
    assert seen.page.evaluate("document.getElementById('frontier').getBoundingClientRect().top") < height * 0.75
    for panel in ("frontier", "split-part", "said-part", "law-part"):
        seen.page.evaluate(
            "(id) => document.getElementById(id).scrollIntoView({ block: 'nearest', behavior: 'instant' })", panel
        )
        assert seen.page.evaluate(IN_VIEW, "stop"), panel
        assert seen.page.evaluate(IN_VIEW, "step"), panel
        if width > 1000:
            assert seen.page.evaluate(IN_VIEW, "frontier"), panel


def test_gold_is_shown_as_content_and_fluency(visit: Any, folder: Path) -> None:
    seen = visit(folder)
    seen.mark()
    shown = {}
    for name in ("content", "fluency", "gold"):
        text = seen.page.inner_text(f"#split-{name}")
        shown[name] = float(text.replace("−", "-").replace("+", ""))
    kl, gold = end(0, BETAS[0], (0, 1, 2))
    assert shown["gold"] == pytest.approx(gold, abs=0.006)
    assert shown["fluency"] == pytest.approx(-kl / 10, abs=0.006)
    assert shown["content"] == pytest.approx(gold + kl / 10, abs=0.006)


def test_the_law_of_gold_and_the_responses_follow(visit: Any, folder: Path) -> None:
    seen = visit(folder)
    tables = beside(pd.read_parquet(folder / "curves.parquet"))
    seen.choose("seed", "seed 1")
    seen.page.focus("#stop")
    for key, beta in (("End", BETAS[0]), ("Home", BETAS[-1])):
        seen.page.keyboard.press(key)
        seen.mark()
        run = f"gpo-logistic-{beta:g}-1"
        law = tables["gold_law"][tables["gold_law"]["run_id"] == run]
        bars = seen.page.evaluate(
            "[...document.querySelectorAll('.lawbar')].map(({ dataset }) => [dataset.gold, dataset.value])"
        )
        shown = {float(gold): float(value) for gold, value in bars if float(value)}
        assert shown == pytest.approx(dict(zip(law["gold"], law["probability"], strict=True)), rel=1e-2)
        rows = tables["responses"].query("run_id == @run and prompt == 'q'")
        seen.choose("prompt", "q")
        written = seen.page.locator("#said-body tr").all()
        assert [row.locator("td").first.inner_text() for row in written] == rows["response"].tolist()
        likely = [float(row.get_attribute("data-probability")) for row in written]
        assert likely == pytest.approx(rows["probability"].tolist(), rel=0.01)
    seen.choose("prompt", "p")
    assert seen.page.locator("#said-body mark").all_inner_texts() == ["b"]


def test_the_pointer_tells_gold_of_every_loss_at_a_kl(visit: Any, folder: Path) -> None:
    seen = visit(folder)
    seen.page.locator("#frontier").scroll_into_view_if_needed()
    box = seen.page.locator("#mark").bounding_box()
    seen.page.mouse.move(box["x"] + box["width"] / 2 - 60, box["y"] + 30)
    seen.mark()
    words = seen.page.locator("#frontier .tipword").all_text_contents()
    assert words[0].startswith("KL ")
    assert {"best possible", "logistic (DPO)", "hinge (SLiC)"} <= set(words)
    assert seen.page.locator("#frontier .tipword.bold").count() == 4
    kl = float(words[0].split()[1])
    gold = float(words[words.index("logistic (DPO)") + 1].replace("−", "-"))
    means = [
        np.mean(
            [[kl_of(0, BETAS[0], seed, step), gold_of(kl_of(0, BETAS[0], seed, step), seed)] for seed in range(3)],
            axis=0,
        )
        for step in STEPS
    ]
    there = np.interp(kl, *np.transpose(means))
    assert gold == pytest.approx(there, abs=0.05)


def test_arrow_keys_tell_gold_of_every_loss_at_a_kl(visit: Any, folder: Path) -> None:
    seen = visit(folder)
    seen.page.focus("#frontier")
    seen.page.keyboard.press("ArrowLeft")
    said = seen.page.text_content("#crossing")
    assert said.startswith("KL ")
    assert "logistic (DPO)" in said
    assert "hinge (SLiC)" in said
    seen.page.keyboard.press("Escape")
    assert seen.page.locator("#frontier .tipword").count() == 0


def test_a_link_pasted_into_an_open_page_is_followed(visit: Any, folder: Path) -> None:
    seen = visit(folder)
    seen.page.evaluate("location.hash = 'show=hinge&beta=2'")
    seen.page.wait_for_timeout(100)
    assert seen.mark() == pytest.approx(end(1, 2.0, (0, 1, 2)), rel=1e-3)


def test_figures_have_their_data_and_files(visit: Any, results: Path, tmp_path: Path) -> None:
    """Of a sweep that ran: the table and each file are what the folder holds."""
    folder = shutil.copytree(results, tmp_path / "ran")
    draw_all(folder, lambda name: name == "best_beta")
    seen = visit(folder)
    figure = seen.page.locator("#figure-best_beta")
    figure.locator("summary").click()
    figure.locator("td").first.wait_for()
    table = pd.read_csv(folder / "figures" / "best_beta.csv")
    cells = figure.locator("tbody tr").first.locator("td").all_inner_texts()
    assert cells[1] == table["line"][0]
    assert float(cells[3]) == table["y"][0]
    assert figure.locator("tbody tr").count() == min(200, len(table))
    for kind in ("csv", "svg", "png"):
        with seen.page.expect_download() as waiting:
            figure.locator(f"button[data-kind={kind}]").click()
        path = tmp_path / f"download.{kind}"
        waiting.value.save_as(path)
        assert waiting.value.suggested_filename == f"best_beta.{kind}"
        if kind == "csv":
            assert path.read_bytes() == (folder / "figures" / "best_beta.csv").read_bytes()
        elif kind == "svg":
            assert ElementTree.parse(path).getroot().tag.endswith("svg")
        else:
            with Image.open(path) as image:
                assert image.width > 1000


@pytest.mark.slow(but="light-1280")
@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_violation(visit: Any, folder: Path, scheme: str, width: int) -> None:
    seen = visit(folder, color_scheme=scheme, viewport={"width": width, "height": 900}, bypass_csp=True)
    seen.page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    found = Axe().run(seen.page).response["violations"]
    assert [(each["id"], [node["html"][:80] for node in each["nodes"]][:3]) for each in found] == []


def test_further_axes_and_methods_are_chosen(visit: Any, tmp_path: Path) -> None:
    parts = [rows_of(LOSSES, 2, train_steps=16.0), rows_of(LOSSES, 2, train_steps=32.0)]
    parts[1]["gold"] /= 2
    curves = pd.concat([*parts, best_of_n(2), oracle()], ignore_index=True)
    seen = visit(plant(tmp_path / "axes", curves))
    before = seen.mark()
    seen.choose("axis-0", "32")
    assert seen.mark() == pytest.approx((before[0], before[1] / 2), rel=1e-3)
    seen.page.get_by_label("best-of-n").check()
    seen.page.focus("#step")
    seen.page.keyboard.press("Home")
    seen.page.keyboard.press("ArrowRight")
    mean = best_of_n(2).groupby("n")[["kl", "gold"]].mean()
    assert seen.mark() == pytest.approx(tuple(mean.loc[2]), rel=1e-3)
    assert seen.page.inner_text("#step-name") == "n"
    assert seen.page.is_hidden("#beta")
    assert seen.page.is_hidden("#law-part")
    assert seen.page.is_hidden("#said-part")
    assert seen.page.locator("#frontier .proxy").count() == 1


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
    assert seen.page.locator("#frontier .band").count() == 0
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
    for place in ("body", "dt", "a[href='#run']", ".note", ".verdict", ".quick", "figcaption", ".headline li"):
        ink = luminance(seen.page.evaluate(STYLE, [place, "color"]))
        assert (max(ink, paper) + 0.05) / (min(ink, paper) + 0.05) >= 4.5, place


@pytest.mark.slow
def test_the_picture_follows_the_scheme(visit: Any, folder: Path) -> None:
    seen = visit(folder, color_scheme="light")
    line = "document.getElementById('walked').getAttribute('stroke')"
    light = seen.page.evaluate(line)
    seen.page.emulate_media(color_scheme="dark")
    for _ in range(300):  # the page's policy lets no browser poll by itself
        if seen.page.evaluate(line) != light:
            break
        seen.page.wait_for_timeout(100)
    before, after = (sum(bytes.fromhex(color.removeprefix("#"))) for color in (light, seen.page.evaluate(line)))
    assert after > before


def test_a_page_over_sweeps_links_and_compares_them(visit: Any, folder: Path, tmp_path: Path) -> None:
    other = plant(tmp_path / "other", pd.concat([rows_of(LOSSES, 3).assign(gold=lambda t: t["gold"] - 0.3), oracle()]))
    (other / "config.toml").write_text('[world]\nkind = "enumerable"\n[data]\npairs = 64\n')
    page = write_comparison([folder, other], tmp_path / "both.html")
    seen = visit(page)
    assert seen.page.locator("article").count() == 2
    assert "data.pairs" in seen.page.inner_text("#settings")
    assert "less gold than planted" in seen.page.get_attribute("#comparison img", "alt")
    assert Axe().run(seen.page).response["violations"] == []


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
