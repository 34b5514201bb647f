"""The playground as one HTML file of less than 400 kB, or as a page with Python behind it.

What trains in the page is the compiled engine as WebAssembly, in workers; a policy in the page's head forbids it to
load anything, or to run any script other than those that are in it.
"""

import json
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from analysis.figures.style import loss_styles
from analysis.playground.lessons import SEEDS, lessons_and_words
from analysis.records.atomic_files import write_atomically
from analysis.records.names import loss_label
from analysis.report.page import own_file, script_hashes

LIMIT = 400_000  # bytes of the file
SCRIPTS = ("statistics.js", "drawn_loss.js", "trainers.js", "screen.js", "controls.js", "lessons.js", "main.js")
WORKER = ("drawn_loss.js", "training.js", "worker.js")
FRAMES = 89  # of a path of 600 steps: the speed at which it is shown
WEAK = 0.01  # the beta that the page begins with
SHOWN = 8  # seeds at once
WIDTHS = (16, 32, 64)  # of proxies
NOTES = {
    "logistic": "DPO: log(1 + e^−z). It falls for ever as the margin grows, ever more slowly.",
    "hinge": "SLiC: max(0, 1 − z). A pair counts until its margin is 1/β, and then no more.",
    "squared": "IPO: (1 − z)². Wants the margin to be 1/β, and pulls back what goes beyond.",
    "exponential": "e^−z, as in boosting. Pairs that are wrong count most.",
    "truncated_quadratic": "max(0, 1 − z)². IPO without the pull back.",
    "savage": "The Savage loss, 1 / (1 + e^z)²: gives up on pairs that are very wrong.",
    "simpo": "Logistic, without a reference: compares log π per token, and asks for a margin of 0.5.",
    "drawn": "Drag the points, or use arrow keys. Where f falls, margins are pushed up; where it rises, pulled back.",
}


def page_data(
    world: Mapping[str, Any],
    losses: Sequence[Mapping[str, Any]],
    python: Mapping[str, Any],
    *,
    served: bool = False,
) -> dict[str, Any]:
    """Everything that the page's scripts read.

    world: what the simulator tells of the world. losses: those to choose from, with their names. python: how Python
    trained: `ends` by loss, beta and seed, `betas`, and what it `expects` of the lessons' questions, in their order.
    """
    names = [*dict.fromkeys([*(loss["name"] for loss in losses), "simpo"]), "drawn"]
    known, styles = {loss["name"]: loss for loss in losses}, loss_styles(names)
    lessons, _ = lessons_and_words()
    for lesson, expected in zip(lessons, python["expects"], strict=True):
        for question, found in zip(lesson["question"], expected, strict=True):
            question["expected"] = found
    data, train = world["data"], world["train"]
    ends = list(python["ends"].values())
    return {
        **world,
        "served": served,
        "losses": [
            {
                **known.get(name, {}),
                "name": name,
                "label": "your own" if name == "drawn" else loss_label(name),
                "note": NOTES.get(name, known.get(name, {}).get("formula", "")),
                "color": styles[name]["color"],
                "dash": dash_of(styles[name]["linestyle"]),
            }
            for name in names
        ],
        "start": {
            **{"loss": names[0], "beta": WEAK, "pairs": data["pairs"], "noise": data["noise"], "rate": train["rate"]},
            **{"steps": train["steps"], "seed": 0, "seeds": SHOWN, "fluency": world["gold"]["fluency"], "online": 0},
            **{"width": 0, "prompt": 0, "lesson": 0, "handles": python["handles"]},
        },
        "betas": python["betas"],
        "python": python["ends"],
        "range": {
            "kl": max((end[0] for end in ends), default=6.0),
            "low": min((end[1] for end in ends), default=-1.0),
            "high": min(2.5, max((end[2] for end in ends), default=1.5)),
        },
        "widths": list(WIDTHS),
        "frames": FRAMES,
        "lessons": lessons,
        "lessonSeeds": SEEDS,
    }


def about_page(version: str, made_with: str) -> str:
    """What made the page, in a sentence."""
    return (
        f"Made by alignment-simulator {version}. What Python's runs came to, and the expected answers of the lessons, "
        f"are of the code {made_with}."
    )


def dash_of(linestyle: Any) -> str:
    """A dash of matplotlib as SVG writes it."""
    return "" if isinstance(linestyle, str) else " ".join(f"{2 * part:g}" for part in linestyle[1])


def playground_page(data: Mapping[str, Any], *, about: str, engine: str = "", tables: str = "", token: str = "") -> str:
    """The page. engine and tables: WebAssembly and what it knows of the world, packed, for one that trains by itself;
    token: of the server behind one that does not.
    """
    scripts = [own_file("drawing.js"), *map(script, SCRIPTS)]
    _, words = lessons_and_words()
    served = bool(token)
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    return (
        environment()
        .get_template("template.html")
        .render(
            kicker=kicker(data),
            example=example(data),
            served=served,
            token=token,
            about=about,
            words=words,
            style=Markup(own_file("page.css") + script("playground.css")),
            hashes=Markup(script_hashes(scripts)),
            data=Markup(text),
            engine=engine,
            tables=tables,
            worker=Markup("\n".join(map(script, WORKER))),
            scripts=[Markup(each) for each in scripts],
        )
    )


def write_playground(page: str, target: Path) -> Path:
    """Write the page whole or not at all; its path."""
    target.parent.mkdir(parents=True, exist_ok=True)
    return write_atomically(target, page.encode())


def kicker(data: Mapping[str, Any]) -> str:
    """What is seen, in two sentences."""
    sizes = data["sizes"]
    responses = f"{sizes['vocabulary'] ** sizes['length']:,} responses of {sizes['length']} letters"
    return (
        f"Gold is the true reward; KL is the distance from the reference, where training begins. Both are summed over "
        f"all {responses}, not sampled."
    )


def example(data: Mapping[str, Any]) -> str:
    """What trains, and a pair that it learns from, in two sentences."""
    pair = data["spelled"]
    return (
        f"The policy, a network of {data['facts']['policy_parameters']:,} parameters, sees only labels that gold made, "
        f"such as: to {pair['prompt']}, {pair['chosen']} was chosen and {pair['rejected']} rejected."
    )


def script(name: str) -> str:
    """The text of a file beside this one."""
    return (files("analysis.playground") / name).read_text(encoding="utf-8").replace("\r", "")


def environment() -> Environment:
    """Jinja with everything escaped that is not known to be safe."""
    return Environment(
        loader=FunctionLoader(script), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
