"""The playground in a real headless browser: it trains as Python does; controls and lessons do what they say."""

import json
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page
from scipy.stats import t as student

import run
from analysis.playground.lessons import SEEDS, questions
from analysis.playground.page import LIMIT, page_data, playground_page, script
from simulator import best_of_n, train, train_proxy
from simulator.api.training import training
from simulator.api.world import World
from simulator.common.random_streams import random_stream as stream
from simulator.objectives.losses.gpo import LOSSES
from simulator.playground.command import open_sweep, page_parts
from simulator.playground.python_runs import MEASURES, Trained, at_peaks
from simulator.playground.server import Playground, address_of, open_server
from simulator.playground.shown import all_log_probs, masses, responses_shown, seen_in
from simulator.playground.world_data import breaks_of
from simulator.sweeps.grid import read_sweep
from simulator.sweeps.sweep import Sweep
from tests.helpers.browser import a_browser

BETAS = (0.01, 0.1, 1.0)
EXACT, ROUNDED = 100, 1e-3  # steps, and nats or sd, up to which the page has Python's numbers
PERTURBED, BEGUN = 2, 9  # runs of Python with other last bits: to the end, and up to step EXACT
ROWS = ("kl", "gold", "fluency", "proxy", "entropy", "muSquared", "loss", "accuracy", "chosen", "rejected")
COLUMNS = (
    *("kl", "gold", "fluency", "proxy", "entropy", "mu_squared", "train_loss", "train_accuracy"),
    *("chosen_logratio", "rejected_logratio"),
)
TRAIN = """([settings, seeds, how]) => {
    const paths = seeds.map(() => []);
    const all = { ...Screen.settingsOf(), ...settings };
    const job = Screen.trainer().train(all, seeds, (i, frame) => paths[i].push(frame), how);
    return job.ended.then(() => paths);
}"""
ASK = "([kind, more]) => Screen.trainer().ask(kind, { settings: { ...Screen.settingsOf(), ...more }, ...more }).ended"
IN_WORKER = """async () => {
    const bytes = async (id) => {
        const packed = Uint8Array.from(atob(document.getElementById(id).textContent), (sign) => sign.charCodeAt(0));
        return new Response(new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer();
    };
    const module = await WebAssembly.compile(await bytes("engine"));
    window.engine = Training.openEngine(module);
    window.world = Training.openWorld(Screen.data, module, await bytes("tables"));
}"""


@dataclass
class Seen:
    """A page, and what it did while it was open."""

    page: Page
    requests: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def until(self, expression: str, limit: float = 60) -> None:
        """Wait until an expression holds; the page forbids what `wait_for_function` does."""
        for _ in range(int(limit * 20)):
            if self.page.evaluate(expression):
                return
            self.page.wait_for_timeout(50)
        pytest.fail(f"never in {limit} s: {expression}")

    def is_at_its_end(self) -> None:
        """Wait until the path is shown to its end, and the other seeds are there."""
        self.until("document.body.dataset.state === 'ended' && Screen.current().done")

    def train(self, settings: dict[str, Any], seeds: Sequence[int], **how: bool) -> list[list[dict[str, Any]]]:
        """The frames of a policy for each seed."""
        paths: list[list[dict[str, Any]]] = self.page.evaluate(TRAIN, [settings, list(seeds), how])
        return paths

    def ask(self, kind: str, **more: Any) -> Any:
        """What a worker finds."""
        return self.page.evaluate(ASK, [kind, more])["found"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with a_browser() as found:
        yield found


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("playground") / "page.html"
    assert run.main(["playground", "--out", str(path)]) == 0
    return path


@pytest.fixture(scope="module")
def opened() -> tuple[Sweep, World]:
    return open_sweep(Path("playground"), (), served=False, out=Path("page.html"))


@pytest.fixture(scope="module")
def world(opened: tuple[Sweep, World]) -> World:
    return opened[1]


@pytest.fixture
def visit(browser: Browser, file: Path) -> Iterator[Callable[..., Seen]]:
    """Open the page; what it asked for and complained of is looked at in the end."""
    seen_all = []

    def go(fragment: str = "", **how: Any) -> Seen:
        context = browser.new_context(**({"viewport": {"width": 1366, "height": 768}, "offline": True} | how))
        seen = Seen(page=context.new_page())
        seen.page.on("request", lambda request: seen.requests.append(request.url))
        seen.page.on("pageerror", lambda error: seen.errors.append(str(error)))
        seen.page.on("console", lambda said: seen.errors.append(said.text) if said.type == "error" else None)
        seen.page.goto(file.as_uri() + fragment)
        seen.until("Boolean(Screen.trainer())")
        seen_all.append(seen)
        return seen

    yield go
    for seen in seen_all:
        asked = [url for url in seen.requests if not url.startswith(("data:", "blob:"))]
        seen.page.context.close()
        assert {url.split("#")[0] for url in asked} == {file.as_uri()}
        assert seen.errors == []


@pytest.fixture(scope="module")
def truth(browser: Browser, file: Path) -> Iterator[Seen]:
    """One page that many tests ask for numbers; the worker's code is in it, too."""
    seen = Seen(page=browser.new_page())
    seen.page.goto(file.as_uri())
    seen.until("Boolean(Screen.trainer())")
    seen.page.evaluate(f"() => {{ {script('training.js')}; window.Training = Training; }}")
    seen.page.evaluate(IN_WORKER)
    yield seen
    seen.page.close()


def column(path: list[dict[str, Any]], name: str) -> np.ndarray:
    return np.array([frame[name] for frame in path])


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


def test_streams_are_those_of_numpy(truth: Seen) -> None:
    """Philox, permutations and normals, for names of several kinds."""
    for name in ((3, "pairs"), (0, "batches", 4), (7, "proxy", "init", 0)):
        parts = json.dumps(list(name))
        found = truth.page.evaluate(f"Array.from(engine.uniforms(engine.named(...{parts}), 1000))")
        assert found == stream(*name).random(1000).tolist()
        found = truth.page.evaluate(f"Array.from(engine.permutation(engine.named(...{parts}), 257))")
        assert found == stream(*name).permutation(257).tolist()
        found = truth.page.evaluate(f"Array.from(engine.normals(engine.named(...{parts}), [700, 300], [1, 0.25]))")
        rng = stream(*name)
        wanted = np.concatenate([rng.normal(size=700), rng.normal(scale=0.25, size=300)]).astype(np.float32)
        assert found == wanted.tolist()


@pytest.mark.parametrize(("pairs", "noise", "seed"), [(256, 0.0, 0), (64, 0.0, 5), (1024, 0.3, 2)])
def test_pairs_are_those_of_python(truth: Seen, world: World, pairs: int, noise: float, seed: int) -> None:
    asked = {"pairs": pairs, "noise": noise, "seed": seed, "fluency": world.settings.gold.fluency}
    found = truth.page.evaluate("(asked) => Object.values(world.pairsOf(asked)).map((each) => Array.from(each))", asked)
    wanted = world.preferences(pairs, seed=seed, label_noise=noise)
    of_prompt = {tuple(tokens): number for number, tokens in enumerate(world.prompts.tolist())}
    powers = world.vocabulary ** np.arange(world.response_length)[::-1]
    assert found[0] == [of_prompt[tuple(tokens)] for tokens in wanted.prompts.tolist()]
    assert found[1] == (wanted.chosen.numpy() @ powers).tolist()
    assert found[2] == (wanted.rejected.numpy() @ powers).tolist()


def python_paths(world: World, turn: int, last: int) -> dict[tuple[str, float], np.ndarray]:
    """KL and gold of Python at the checkpoints up to a step, [checkpoints, 2], by loss and beta.

    turn: 0 as it is; otherwise the parameters begin with other last bits, up or down by a stream of that number.
    """
    stack = training(world, world.preferences(seed=0), loss=list(LOSSES), beta=list(BETAS), seed=0)
    rows = iter(stack)
    next(rows)
    if turn:
        parameters = stack._learner.state.parameters
        up = torch.from_numpy(stream(turn, "last bits").integers(2, size=parameters.shape[-1])).bool()
        towards = torch.where(up, torch.inf, -torch.inf).to(parameters).expand_as(parameters)
        parameters.copy_(torch.nextafter(parameters, towards))
    for row in rows:
        if row["step"] > last:
            break
    table = stack.curves[stack.curves["step"] <= last].set_index(["loss", "beta"])
    return {(loss, beta): table.loc[(loss, beta), ["kl", "gold"]].to_numpy() for loss in LOSSES for beta in BETAS}


def test_paths_are_those_of_python(truth: Seen, world: World) -> None:
    """To 0.001 up to step 100, and after that no further than last bits take Python itself.

    Now and then a unit of the network lies so near to 0 that last bits switch it on: Python then has two paths already
    before step 100, exactly, and the page takes one of them.
    """
    ours, ratios = python_paths(world, 0, world.settings.train.steps), []
    late = [python_paths(world, turn, world.settings.train.steps) for turn in range(1, 1 + PERTURBED)]
    early = [python_paths(world, turn, EXACT) for turn in range(1 + PERTURBED, 1 + PERTURBED + BEGUN)]
    for (loss, beta), wanted in ours.items():
        (path,) = truth.train({"loss": loss, "beta": beta}, [0], detail=False, every=True)
        found, count = (
            np.stack([column(path, "kl"), column(path, "gold")], axis=1),
            (column(path, "step") <= EXACT).sum(),
        )
        assert found.shape == wanted.shape
        assert 5 < count < len(found)
        branches = [wanted[:count], *(paths[loss, beta][:count] for paths in (*late, *early))]
        apart = [np.abs(found[:count] - branch).max() for branch in branches]
        assert min(apart) < ROUNDED, (loss, beta, apart)
        if apart[0] >= ROUNDED:  # then Python parts as far from itself, on the way that the page takes
            assert np.abs(branches[int(np.argmin(apart))] - wanted[:count]).max() >= ROUNDED / 2, (loss, beta, apart)
        of_python = [np.abs(paths[loss, beta] - wanted)[count:].max() for paths in late]
        of_page = np.abs(found - wanted)[count:].max()
        assert of_page <= 3 * max(of_python) + ROUNDED, (loss, beta, of_page, of_python)
        ratios.append((of_page + ROUNDED) / (np.median(of_python) + ROUNDED))
    assert len(ratios) == 18
    assert np.median(ratios) < 2, ratios


def test_everything_that_is_measured_is_python_s(truth: Seen, world: World) -> None:
    """The other columns, where the probability is, and what the policy says."""
    (path,) = truth.train({"loss": "squared", "beta": 0.05, "steps": 60, "noise": 0.1}, [3])
    pairs = world.preferences(seed=3, label_noise=0.1)
    stack = training(world, pairs, loss="squared", beta=0.05, seed=3, steps=60)
    breaks, by_step = breaks_of(world), {frame["step"]: frame for frame in path}
    seen = seen_in(world, [pairs], breaks)
    for row in stack:
        frame = by_step[int(row["step"])]
        wanted = [float(row[name]) for name in COLUMNS]
        assert [frame[name] for name in ROWS] == pytest.approx(wanted, abs=2e-3, rel=1e-3)
        laws = all_log_probs(world, stack.policies.parameters)[0]
        assert frame["mass"] == pytest.approx(masses(laws, seen), abs=1e-3)
        assert sum(frame["mass"]) == pytest.approx(1)
        for said, ours in zip(frame["said"], responses_shown(world, laws, seen, breaks), strict=True):
            named = {tuple(each["tokens"]): each for each in ours}
            known = [(each, named[tuple(each["tokens"])]) for each in said if tuple(each["tokens"]) in named]
            assert len(known) >= len(said) - 1  # two may be as likely as each other to the last bits
            for each, other in known:
                assert each.pop("tokens") == other.pop("tokens")
                assert each == pytest.approx(other, abs=1e-3)


def test_simpo_is_python_s(truth: Seen, world: World) -> None:
    (path,) = truth.train({"loss": "simpo", "beta": 2.0, "steps": 60}, [1], detail=False, every=True)
    rows = train(world, world.preferences(seed=1), loss="simpo", beta=2.0, seed=1, steps=60).curves
    assert column(path, "kl") == pytest.approx(rows["kl"].to_numpy(), abs=ROUNDED)
    assert column(path, "gold") == pytest.approx(rows["gold"].to_numpy(), abs=ROUNDED)


def test_online_training_labels_what_the_policy_says(truth: Seen, world: World) -> None:
    """Before the first fresh pairs the path is Python's; after, they are other draws of the same law."""
    (path,) = truth.train({"beta": 0.05, "online": 50, "steps": 200}, [0], detail=False, every=True)
    online = {"online.refresh": 50, "online.pairs": 64}
    rows = train(world, world.preferences(seed=0), beta=0.05, seed=0, steps=200, settings=online).curves
    steps, early = column(path, "step"), column(path, "step") <= 50
    assert steps.tolist() == rows["step"].tolist()
    assert column(path, "kl")[early] == pytest.approx(rows["kl"].to_numpy()[early], abs=ROUNDED)
    offline = train(world, world.preferences(seed=0), beta=0.05, seed=0, steps=200).curves["kl"].to_numpy()
    assert abs(column(path, "kl")[-1] - offline[-1]) > 10 * ROUNDED


@pytest.mark.parametrize("weight", [1.0, 0.0])
def test_the_oracle_s_line_is_python_s(truth: Seen, world: World, opened: tuple[Sweep, World], weight: float) -> None:
    from simulator.api.make_world import make_world

    here = world if weight == world.settings.gold.fluency else make_world(opened[0], {"gold.fluency": weight})
    found, wanted = truth.ask("oracle", fluency=weight), here.simulated.oracle("test")
    assert found["kl"][1:] == pytest.approx(wanted["kl"].to_numpy(), abs=1e-6)
    assert found["gold"][1:] == pytest.approx(wanted["gold"].to_numpy(), abs=1e-6)


@pytest.mark.parametrize("width", [16, 64])
def test_best_of_n_is_python_s(truth: Seen, world: World, width: int) -> None:
    found = truth.ask("bestOfN", seed=2, width=width)
    proxy = train_proxy(world, world.preferences(seed=2), width=width, members=1, seed=2)
    wanted = best_of_n(world, proxy, n=found["n"])
    assert found["n"][0] == 1
    assert found["n"][-1] == 1024
    assert found["kl"] == pytest.approx(wanted["kl"].to_numpy(), abs=1e-3)
    assert found["gold"] == pytest.approx(wanted["gold"].to_numpy(), abs=2e-2)
    assert found["proxy"] == pytest.approx(wanted["proxy"].to_numpy(), abs=2e-2)


def drawn_handles(number: int) -> list[float]:
    """Points of a convex function that falls at 0."""
    rng = stream(number, "handles")
    slopes = np.sort(rng.uniform(-2, 1, size=10))
    slopes -= max(0.0, (slopes[3] + slopes[4]) / 2 + 0.2)
    return [round(float(value), 2) for value in 3 + np.concatenate([[0.0], np.cumsum(slopes)])]


@pytest.mark.parametrize("number", range(3))
def test_a_drawn_loss_is_that_of_mine_py(truth: Seen, world: World, tmp_path: Path, number: int) -> None:
    """f, f' and kappa against the text that is copied, and a path that is trained with either."""
    handles = drawn_handles(number)
    text = truth.page.evaluate("(handles) => DrawnLoss.python(handles)", handles)
    (tmp_path / "mine.py").write_text(text)
    names: dict[str, Any] = {}
    exec(text, names)
    z = torch.linspace(-8, 10, 400, requires_grad=True)
    wanted = names["drawn"](z)
    (slope,) = torch.autograd.grad(wanted.sum(), z)
    shape = truth.page.evaluate("(handles) => DrawnLoss.shape(handles)", handles)
    asked = {"shape": shape, "z": z.tolist()}
    values, slopes = truth.page.evaluate(
        "({ shape, z }) => world.drawnLoss(Float32Array.from(shape), Float32Array.from(z)).map((x) => Array.from(x))",
        asked,
    )
    assert values == pytest.approx(wanted.tolist(), abs=2e-5)
    assert slopes == pytest.approx(slope.tolist(), abs=2e-5)
    drawn = [
        truth.page.evaluate("([shape, z]) => DrawnLoss.at(shape, z).value", [shape, each]) for each in (-5, 0.3, 7)
    ]
    assert drawn == pytest.approx(names["drawn"](torch.tensor([-5.0, 0.3, 7.0])).tolist(), abs=1e-5)
    local = truth.page.evaluate("(handles) => DrawnLoss.local(handles)", handles)
    h = 0.01
    at = names["drawn"](torch.tensor([-h, 0.0, h], dtype=torch.float64)).numpy()
    assert local["slope"] == pytest.approx((at[2] - at[0]) / (2 * h), abs=1e-6)
    assert local["bend"] == pytest.approx((at[2] - 2 * at[1] + at[0]) / h**2, abs=1e-6)
    assert local["kappa"] == pytest.approx(local["bend"] / -local["slope"])
    (path,) = truth.train({"loss": "drawn", "shape": shape, "beta": 0.1, "steps": 80}, [0], detail=False, every=True)
    rows = train(world, world.preferences(seed=0), loss=names["drawn"], beta=0.1, seed=0, steps=80).curves
    assert column(path, "kl") == pytest.approx(rows["kl"].to_numpy(), abs=ROUNDED)
    assert column(path, "gold") == pytest.approx(rows["gold"].to_numpy(), abs=ROUNDED)


def test_intervals_and_peaks_are_those_of_scipy_and_python(truth: Seen, world: World) -> None:
    values = stream(1, "values").normal(size=9).tolist()
    found = truth.page.evaluate("(values) => Statistics.interval(values)", values)
    assert found["mean"] == pytest.approx(np.mean(values))
    assert found["half"] == pytest.approx(student.ppf(0.975, 8) * np.std(values, ddof=1) / 3, rel=1e-3)
    seeds = range(4)
    pairs = [world.preferences(seed=seed) for seed in seeds]
    policies = train(world, pairs, beta=0.01, seed=list(seeds), steps=90)
    ours = Trained(world=world, policies=policies, pairs=pairs)
    paths = truth.train({"beta": 0.01, "steps": 90}, list(seeds), every=True)
    asked = [{"frames": path} for path in paths]
    peaks = truth.page.evaluate("(paths) => Statistics.peaks(paths).map((frame) => frame.gold)", asked)
    assert peaks == pytest.approx(at_peaks(ours, "gold"), abs=ROUNDED)
    for name in sorted(MEASURES.keys() - {"late_kl", "late_loss"}):
        said = truth.page.evaluate("([name, paths]) => Lessons.MEASURES[name][0](paths)", [name, asked])
        assert said == pytest.approx(MEASURES[name](ours), abs=0.1 if "unseen" in name or "ungra" in name else 2e-3), (
            name
        )
    late = [{"step": step, "kl": step / 100, "loss": -step / 1000, "mass": []} for step in (0, 250, 300, 600)]
    found = truth.page.evaluate(
        "(frames) => ['late_kl', 'late_loss'].map((name) => Lessons.MEASURES[name][0]([{ frames }])[0])", late
    )
    assert found == pytest.approx([3.0, -0.3])


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


@pytest.mark.slow
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


@pytest.mark.slow(but="light-1366")
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
