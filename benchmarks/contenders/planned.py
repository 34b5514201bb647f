"""Sweeps of the sizes that are measured, as a user would write them down."""

from typing import Any, Literal

import torch

from benchmarks.contenders.cases import BETA, CLIP, LEARNING_RATE, Case
from simulator.settings.run import Run
from simulator.sweeps.grid import expand
from simulator.sweeps.stacking import stack_size
from simulator.sweeps.sweep import Sweep

Kind = Literal["sampled", "enumerable"]

GPU_STACK = 256


def tables_of(case: Case, steps: int, kind: Kind = "sampled") -> dict[str, dict[str, Any]]:
    """The tables of a sweep file with runs of this size, `[sweep]` aside."""
    return {
        "world": {
            "kind": kind,
            "vocabulary": case.vocabulary,
            "prompt_length": case.prompt_length,
            "response_length": case.response_length,
        },
        "policy": {"layers": case.layers, "width": case.width, "heads": case.heads},
        "data": {"pairs": case.pairs},
        "train": {"steps": steps, "batch": case.batch, "learning_rate": LEARNING_RATE, "clip": CLIP},
    }


def run_of(case: Case, kind: Kind = "sampled", **tables: dict[str, Any]) -> Run:
    """A run of this size; `tables` are further ones of its sweep."""
    grid = {"loss": ["logistic"], "beta": [BETA], "seeds": 1}
    return expand(Sweep.model_validate({**tables_of(case, 1000, kind), "sweep": grid, **tables}))[0]


def stack_of(case: Case, device: torch.device, kind: Kind = "sampled") -> int:
    """How many runs of this size the project itself trains together; on a GPU, where memory decides, a few hundred."""
    return stack_size(run_of(case, kind)) if device.type == "cpu" else GPU_STACK
