"""What Python's runs for the shipped world came to, kept beside this file with the code that they are of.

docs/playground.py writes it, from the questions of the lessons.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from simulator.api.world import World
from simulator.common.identity import digest
from simulator.objectives.losses.gpo import LOSSES
from simulator.playground.python_runs import answer, ends_of
from simulator.storage.provenance import results_source
from simulator.sweeps.sweep import Sweep

FILE = "recorded.json"
SEEDS = 4  # whose ends the page knows
Questions = Sequence[Sequence[Mapping[str, Any]]]  # of each lesson


def named(sweep: Sweep, questions: Questions, seeds: int) -> str:
    """What determines the runs, beside the code."""
    asked = [
        [[question["runs"], question["measure"], question.get("also", [])] for question in each] for each in questions
    ]
    return digest([sweep.model_dump(mode="json"), asked, seeds])


def recorded_runs(sweep: Sweep, questions: Questions, seeds: int) -> dict[str, Any] | None:
    """What is kept of these runs, if it is of this code."""
    try:
        kept: dict[str, Any] = json.loads((files("simulator.playground") / FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    is_same = (kept["results_source"], kept["runs"]) == (results_source(), named(sweep, questions, seeds))
    return kept if is_same else None


def python_runs(
    world: World, sweep: Sweep, questions: Questions, seeds: int, say: Callable[[str], None]
) -> dict[str, Any]:
    """How Python trains what the page trains; `say` is told of what takes long."""
    say("training in Python what the page compares with; it takes about a minute")
    ends = ends_of(world, list(LOSSES), sweep.sweep.beta, min(SEEDS, len(sweep.sweep.seed_values)))
    expects = []
    for number, each in enumerate(questions, start=1):
        say(f"training in Python the answers of lesson {number} of {len(questions)}")
        expects.append([answer(world, question, seeds) for question in each])
    return {
        "results_source": results_source(),
        "runs": named(sweep, questions, seeds),
        "ends": ends,
        "expects": expects,
    }


def no_runs(questions: Questions) -> dict[str, Any]:
    """As `python_runs`, of nothing."""
    return {"results_source": results_source(), "ends": {}, "expects": [[None for _ in each] for each in questions]}


def write_recorded(runs: Mapping[str, Any], folder: Path) -> Path:
    """Keep the runs of the shipped world in a folder; the file."""
    place = folder / FILE
    place.write_text(json.dumps(runs, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    return place
