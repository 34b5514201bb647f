"""The playground in a headless browser: it opens alone, and its controls do what they say."""

import json
import re
import threading
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser
from scipy.stats import t as student

from analysis.playground.lessons import SEEDS, questions
from analysis.playground.page import LIMIT, page_data, playground_page
from simulator import train
from simulator.api.world import World
from simulator.playground.command import page_parts
from simulator.playground.server import Playground, address_of, open_server
from simulator.sweeps.grid import read_sweep
from simulator.sweeps.sweep import Sweep
from tests.helpers.playground_page import Seen


def test_the_file_is_small_and_forbids_itself_the_network(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    assert file.stat().st_size < LIMIT == 400_000
    assert re.search(r"""(?:src|href)=["'](?!#|data:)""", text) is None
    policy = text.split('http-equiv="Content-Security-Policy" content="', 1)[1].split('"', 1)[0]
    assert policy.startswith("default-src 'none';")
    assert "connect-src" not in policy
    assert re.search(r"labels that gold made, such as: to [a-f]{2}, [a-f]{4} was chosen and [a-f]{4} rejected", text)
    assert "'unsafe-eval'" not in policy.replace("'wasm-unsafe-eval'", "")


def test_it_trains_as_it_opens(visit: Callable[..., Seen]) -> None:
    """By the words of the page: gold rises and falls at a weak beta, over all seeds that are shown."""
    seen = visit()
    seen.is_at_its_end()
    frames = seen.page.evaluate("Screen.current().paths[0].frames")
    top = max(frames, key=lambda frame: frame["gold"])
    said = seen.page.inner_text("#sentence").replace("−", "-")
    assert f"gold rose to {top['gold']:.2f} at {top['kl']:.1f} nats (step {top['step']})" in said
    assert f"then fell to {frames[-1]['gold']:.2f} at {frames[-1]['kl']:.1f} nats" in said
    assert "Over 8 seeds it ends at" in said
    ends = seen.page.evaluate("Screen.current().paths.map((path) => path.frames.at(-1).gold)")
    assert len(set(ends)) == 8
    assert f"ends at {np.mean(ends):.2f} ± {student.ppf(0.975, 7) * np.std(ends, ddof=1) / 8**0.5:.2f}" in said
    kept = json.loads((files("simulator.playground") / "recorded.json").read_text())["ends"]["logistic 0.01 0"]
    assert f"The same run in Python ends at KL {kept[0]:.3f} with gold {kept[1]:.3f}".replace(
        "-", "−"
    ) in seen.page.inner_text("#bridge")


def test_a_sweep_file_is_what_the_page_trains(visit: Callable[..., Seen], tmp_path: Path) -> None:
    fragment = (
        "#loss=squared&beta=0.2&pairs=64&noise=0.1&rate=0.01&steps=300&seed=2&seeds=4&fluency=0.5&online=50&width=32"
    )
    seen = visit(fragment)
    seen.page.click("#sweep")
    (tmp_path / "mine.toml").write_text(seen.page.inner_text("#dialog-code"))
    seen.page.keyboard.press("Escape")
    sweep = read_sweep(tmp_path / "mine.toml", ())
    shipped = read_sweep(Path("playground"), ())
    changed = {"gold": {"fluency": 0.5}, "data": {"pairs": 64, "label_noise": 0.1}, "proxy": {"width": 32}}
    changed |= {"train": {"learning_rate": 0.01, "steps": 300}, "online": {"refresh": 50, "pairs": 64}}
    for table in ("world", "language", "reference", "gold", "data", "policy", "proxy", "train", "online"):
        ours, wanted = (getattr(one, table, None) for one in (sweep, shipped))
        if wanted is not None:
            assert ours.model_dump() == wanted.model_dump() | changed.get(table, {}), table
    assert (list(sweep.sweep.loss), list(sweep.sweep.beta), sweep.sweep.seeds) == (["squared"], [0.2], 6)
    assert list(sweep.sweep.method) == ["gpo", "best_of_n"]


def test_a_link_restores_what_it_was_made_of_and_nothing_that_cannot_be(visit: Callable[..., Seen]) -> None:
    seen = visit("#beta=0.1&steps=100&seeds=1&pairs=1e9&noise=7&loss=nothing&width=17&handles=1,2&prompt=99&seed=-4")
    assert seen.page.evaluate("Screen.state.beta") == 0.1
    seen.page.locator(".skip").focus()
    seen.page.keyboard.press("Enter")
    assert seen.page.evaluate("[Screen.state.beta, document.activeElement.id]") == [0.1, "chart"]
    state = seen.page.evaluate("({ ...Screen.state })")
    assert (state["pairs"], state["noise"], state["loss"], state["width"]) == (8192, 0.5, "logistic", 0)
    assert (state["prompt"], state["seed"], len(state["handles"])) == (7, 0, 11)
    seen.page.locator("#beta").focus()
    seen.page.keyboard.press("ArrowRight")
    seen.until("location.hash.includes('beta=0.07')")
    seen.page.check("input[name=loss][value=hinge]", force=True)
    seen.until("location.hash.includes('loss=hinge')")
    again = visit(seen.page.evaluate("location.hash"))
    assert again.page.evaluate("({ ...Screen.state })") == seen.page.evaluate("({ ...Screen.state })")


@pytest.mark.slow
def test_earlier_paths_stay_and_all_betas_are_trained(visit: Callable[..., Seen]) -> None:
    seen = visit("#steps=100&seeds=1")
    seen.is_at_its_end()
    seen.page.check("input[name=loss][value=hinge]", force=True)
    seen.is_at_its_end()
    assert seen.page.locator("#chart .ghost title").all_text_contents() == ["logistic (DPO), β 0.01, 100 steps"]
    seen.page.click("#ladder")
    seen.until("document.body.dataset.ladder === '8'", 120)
    seen.until("document.querySelectorAll('#chart .end title').length === 8")
    titles = seen.page.locator("#chart .end title").all_text_contents()
    betas = {float(re.match(r"β ([\d.]+)", title)[1]) for title in titles}
    assert betas == {0.003, 0.01, 0.03, 0.1, 0.2, 0.5, 1.0, 3.0}
    paths = seen.train({"loss": "hinge", "beta": 0.5}, range(4), detail=False, every=True)
    kl, gold = (np.mean([path[-1][name] for path in paths]) for name in ("kl", "gold"))
    ours = f"β 0.5: ends at {kl:.2f} nats with gold {gold:.2f}".replace("-", "−")
    assert any(title.startswith(ours) and title.endswith("4 seeds") for title in titles), (ours, titles)
    seen.page.click("#clear")
    seen.until("!document.querySelector('#chart .end, #chart .ghost')")


@pytest.mark.slow
def test_a_loss_is_drawn_by_dragging_and_by_keys(visit: Callable[..., Seen]) -> None:
    seen = visit("#loss=drawn&steps=100&seeds=1")
    seen.is_at_its_end()
    before = seen.page.evaluate("Screen.state.handles")
    box = seen.page.locator("[data-handle='9']").bounding_box()
    seen.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    seen.page.mouse.down()
    seen.page.mouse.move(box["x"] + box["width"] / 2, box["y"] - 25, steps=4)
    seen.page.mouse.up()
    seen.until(f"Screen.state.handles[9] !== {before[9]}")
    after = seen.page.evaluate("Screen.state.handles")
    slopes = np.diff(after)
    assert (np.diff(slopes) >= -1e-9).all()  # convex, as it is kept
    seen.page.locator("[data-handle='4']").focus()
    seen.page.keyboard.press("ArrowDown")
    seen.until(f"Screen.state.handles[4] < {after[4]}")
    assert seen.page.evaluate("document.activeElement.dataset.handle") == "4"
    seen.page.uncheck("#convex")
    seen.page.locator("[data-handle='5']").focus()
    for _ in range(40):
        seen.page.keyboard.press("PageUp")
    seen.page.wait_for_timeout(400)
    handles = seen.page.evaluate("Screen.state.handles")
    assert handles[5] - handles[3] <= -0.1 + 1e-9  # it still falls at 0
    facts = seen.page.inner_text("#pad-facts").replace("−", "-")
    slope, bend = (handles[5] - handles[3]) / 2, handles[5] - 2 * handles[4] + handles[3]
    assert f"f′(0) = {slope:.2f}, f″(0) = {bend:.2f}" in facts
    seen.page.click("#copy-loss")
    assert "def drawn(z: torch.Tensor)" in seen.page.inner_text("#dialog-code")


def test_a_finger_moves_a_point_and_not_the_page(visit: Callable[..., Seen]) -> None:
    size = {"width": 390, "height": 844}
    seen = visit("#loss=drawn&steps=50&seeds=1", viewport=size, has_touch=True, is_mobile=True)
    seen.is_at_its_end()
    point = seen.page.locator("[data-handle='10']")
    point.evaluate("(each) => each.scrollIntoView({ block: 'center', behavior: 'instant' })")
    seen.page.wait_for_timeout(300)
    box, before = point.bounding_box(), seen.page.evaluate("scrollY")
    x, y = box["x"] + box["width"] / 2 - 5, box["y"] + box["height"] / 2
    session = seen.page.context.new_cdp_session(seen.page)
    for kind, down in (("touchStart", 0), *(("touchMove", 10 * step) for step in range(1, 7)), ("touchEnd", 60)):
        points = [] if kind == "touchEnd" else [{"x": x, "y": y - down}]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    after = point.bounding_box()
    assert after["y"] + after["height"] / 2 == pytest.approx(y - 60, abs=4)
    assert seen.page.evaluate("scrollY") == before
    seen.until("Screen.state.handles[10] > 0.5")


@pytest.mark.slow
def test_a_control_stops_the_training_of_all_betas(visit: Callable[..., Seen]) -> None:
    """What is shown is of one state: ends of other settings go."""
    seen = visit("#seeds=1&steps=2400")
    seen.page.click("#ladder")
    seen.until("document.getElementById('ladder').textContent.startsWith('Stop')")
    seen.page.select_option("#pairs", "64")
    seen.until("document.getElementById('ladder').textContent === 'Train all β'")
    seen.is_at_its_end()
    assert seen.page.locator("#chart .end").count() == 0
    assert seen.page.evaluate("Screen.current().settings.pairs") == 64


def test_everything_is_reached_by_keyboard_and_seen_to_be(visit: Callable[..., Seen]) -> None:
    seen = visit("#loss=drawn&steps=50&seeds=1")
    seen.is_at_its_end()
    reached: dict[str, bool] = {}
    shown = """() => {
        const one = document.activeElement, style = getComputedStyle(one), around = one.closest("label");
        const outline = [style, around && getComputedStyle(around)].some(
            (each) => each && each.outlineStyle !== "none" && parseFloat(each.outlineWidth) > 0);
        const { lesson, handle } = one.dataset;
        const name = handle === undefined ? one.id || lesson || one.name || one.tagName : `point ${handle}`;
        return [name, outline || handle !== undefined];
    }"""
    for _ in range(80):
        seen.page.keyboard.press("Tab")
        name, outlined = seen.page.evaluate(shown)
        if name in reached:
            break
        reached[str(name)] = outlined
    wanted = {"beta", "ladder", "loss", "convex", "copy-loss", "pairs", "noise", "rate", "steps", "seed", "seeds"}
    wanted |= {"fluency", "online", "width", "predict", "chart", "play", "single", "reset", "speed", "time", "prompt"}
    wanted |= {"link", "sweep", "teacher-heading", *map(str, range(7)), *(f"point {number}" for number in range(11))}
    assert wanted <= reached.keys()
    assert [name for name, outlined in reached.items() if not outlined and name != "BODY"] == []


@pytest.mark.long_only("light-390", "dark-1366")
@pytest.mark.slow
@pytest.mark.parametrize("width", [390, 1366])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_violation(visit: Callable[..., Seen], scheme: str, width: int) -> None:
    for fragment in ("#loss=drawn&steps=50&seeds=1&width=16", "#lesson=3"):
        seen = visit(fragment, color_scheme=scheme, viewport={"width": width, "height": 900}, bypass_csp=True)
        seen.page.wait_for_timeout(1500)
        seen.page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
        found = Axe().run(seen.page).response["violations"]
        assert [(each["id"], [node["html"][:80] for node in each["nodes"]][:3]) for each in found] == []


@pytest.mark.slow(but="320")
@pytest.mark.parametrize("width", [320, 390, 768])
def test_it_fits_a_phone(visit: Callable[..., Seen], width: int) -> None:
    for fragment in ("#steps=50&seeds=1", "#lesson=1"):
        seen = visit(fragment, viewport={"width": width, "height": 700}, has_touch=True)
        seen.page.wait_for_timeout(600)
        assert seen.page.evaluate("document.documentElement.scrollWidth") == width


def test_motion_is_left_out_where_it_is_not_wanted(visit: Callable[..., Seen]) -> None:
    seen = visit("#steps=100&seeds=1", reduced_motion="reduce")
    seen.page.evaluate("""() => {
        window.steps = new Set();
        const look = () => {
            window.steps.add(document.getElementById("time-value").textContent);
            requestAnimationFrame(look);
        };
        look();
    }""")
    seen.page.click("#reset")
    seen.is_at_its_end()
    assert len(seen.page.evaluate("[...window.steps]")) <= 3  # the end before, the reference, the end


def test_a_browser_that_cannot_run_it_says_so(visit: Callable[..., Seen], browser: Browser, file: Path) -> None:
    page = browser.new_page()
    page.add_init_script("delete window.WebAssembly;")
    page.goto(file.as_uri())
    page.locator("#trouble").wait_for()
    assert "--serve" in page.inner_text("#trouble")
    page.close()


def test_too_few_pairs_for_a_proxy_are_said(visit: Callable[..., Seen]) -> None:
    seen = visit("#pairs=4&width=16&steps=50&seeds=1")
    seen.until("!document.getElementById('trouble').hidden")
    assert "Of 4 pairs none is held out" in seen.page.inner_text("#trouble")


@pytest.mark.slow
def test_python_behind_the_page(browser: Browser, opened: tuple[Sweep, World]) -> None:
    """The same page: it trains, a control stops what trains, and all betas are trained one after the other."""
    sweep, world = opened
    (data, losses, python), made_with = page_parts(sweep, world, questions(), SEEDS, pytest.fail, served=True)
    page = playground_page(page_data(data, losses, python, served=True), about=made_with, token="secret")
    names = frozenset(loss["name"] for loss in losses)
    behind = Playground(sweep=sweep, page=page, token="secret", losses=names, worlds={1.0: world})
    errors: list[str] = []
    with open_server(behind, 0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        seen = Seen(page=browser.new_page())
        seen.page.on("pageerror", lambda error: errors.append(str(error)))
        seen.page.goto(f"{address_of(server, 'secret')}#loss=ganpo&steps=4000&seeds=1")
        seen.until("Screen.trainer() && Screen.current() && Screen.current().paths[0].frames.length > 2")
        for steps in ("100", "300", "100"):
            seen.page.select_option("#steps", steps)
        seen.is_at_its_end()
        assert "Python trained this policy as you watched." in seen.page.inner_text("#bridge")
        assert seen.page.evaluate("Screen.current().paths[0].frames.at(-1).step") == 100
        seen.page.check("input[name=loss][value=logistic]", force=True)
        seen.is_at_its_end()
        frames = seen.page.evaluate("Screen.current().paths[0].frames")
        rows = train(world, world.preferences(seed=0), beta=0.01, seed=0, steps=100, checkpoints=60).curves
        assert [frame["kl"] for frame in frames] == rows["kl"].tolist()
        seen.page.click("#ladder")
        seen.until("document.getElementById('ladder').textContent.startsWith('Stop (1')")
        seen.page.select_option("#pairs", "64")
        seen.until("document.getElementById('ladder').textContent === 'Train all β'")
        seen.is_at_its_end()
        assert seen.page.evaluate("Screen.current().settings.pairs") == 64
        assert seen.page.locator("#trouble").is_hidden()
        seen.page.close()
        server.shutdown()
    assert errors == []
