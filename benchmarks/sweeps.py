"""Sweeps of the sizes that are measured, as a user would write them down."""

from typing import Any

from benchmarks.cases import BETA, CLIP, LEARNING_RATE, Case
from simulator.config import Sweep
from simulator.grid import expand, stack_size


def tables_of(case: Case, steps: int) -> dict[str, dict[str, Any]]:
    """The tables of a sweep file with runs of this size in a sampled world, `[sweep]` aside."""
    return {
        "world": {
            "kind": "sampled",
            "vocabulary": case.vocabulary,
            "prompt_length": case.prompt_length,
            "response_length": case.response_length,
        },
        "policy": {"layers": case.layers, "width": case.width, "heads": case.heads},
        "data": {"pairs": case.pairs},
        "train": {"steps": steps, "batch": case.batch, "learning_rate": LEARNING_RATE, "clip": CLIP},
    }


def stack_of(case: Case) -> int:
    """How many runs of this size the project itself trains together on a CPU."""
    grid = {"loss": ["logistic"], "beta": [BETA], "seeds": 1}
    sweep = Sweep.model_validate(tables_of(case, 1000) | {"sweep": grid})
    return stack_size(expand(sweep)[0])
