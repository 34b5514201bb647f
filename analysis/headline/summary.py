"""summary.json: the headline of a sweep and the numbers that it is made of."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from analysis.headline.headline import headline, sentences
from analysis.headline.statement import Number, Statement
from analysis.records.about import runs_of_sweep
from analysis.records.atomic_files import write_atomically
from analysis.records.load import is_finished, load, origin_hashes

NAME = "summary.json"
UNITS = {
    "gold": "standard deviations under the reference, which has 0",
    "kl": "nats per response, from the reference",
    "low, high": "the ends of intervals of 95 %",
}


def write_summary(
    folder: Path, statements: Sequence[Statement] | None = None, curves: pd.DataFrame | None = None
) -> Path:
    """Write summary.json into a result directory; its path. curves: its curves, where they are loaded.

    Raises ResultsError.
    """
    curves = load(folder) if curves is None else curves
    found = headline(folder, curves) if statements is None else statements
    text = json.dumps(summary(folder, found, curves), indent=2, ensure_ascii=False) + "\n"
    return write_atomically(folder / NAME, text.encode())


def summary(folder: Path, statements: Sequence[Statement], curves: pd.DataFrame) -> dict[str, Any]:
    """What summary.json holds."""
    runs = runs_of_sweep(curves[["run_id", "method", "status"]])
    lost = runs.loc[runs["status"] == "diverged", "run_id"].nunique()
    return {
        "headline": sentences(statements),
        "statements": [
            {
                "topic": each.topic,
                "sure": each.sure,
                "seeds_needed": each.seeds,
                "numbers": {name: plain(value) for name, value in each.numbers.items()},
            }
            for each in statements
        ],
        "units": UNITS,
        "runs": runs["run_id"].nunique(),
        "diverged": lost,
        "finished": is_finished(folder),
        **origin_hashes(folder),
    }


def plain(value: Number) -> Number:
    """A value as JSON has it: numbers of six digits, and null for what is no number."""
    if not isinstance(value, float | np.floating):
        return value
    return float(f"{value:.6g}") if math.isfinite(value) else None
