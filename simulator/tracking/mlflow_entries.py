"""What is logged of runs to MLflow, as names and values that it takes: pure functions of the tables.

Of a run, its settings become parameters, what was measured becomes metrics at their steps, and what made it and how it
ended become tags. MLflow takes few signs in names, and texts of limited length. A name with other signs has each as
`-uHEX-`, from which it can be read back; what is too long is cut, and ends with a digest of the whole.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from simulator.common.identity import digest
from simulator.settings.run import RUN_COLUMNS, STEP

LONGEST_NAME = 250  # signs; limits of MLflow
LONGEST_PARAMETER = 6_000
LONGEST_TAG = 5_000
SETTINGS = frozenset(column.name for column in RUN_COLUMNS if column.kind == "setting")
PLAIN = re.compile(r"[A-Za-z0-9_. ]")
ESCAPED = re.compile(r"-u([0-9a-f]*)-")
PARENT = "mlflow.parentRunId"
NAME = "mlflow.runName"
RUN_ID = "run_id"
Curve = tuple[str, list[float], list[int]]  # a metric, its values, and their steps, which rise


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A run as it is logged to MLflow."""

    run_id: str
    failed: bool
    seconds: float
    tags: Mapping[str, str]
    parameters: Mapping[str, str]
    curves: list[Curve]

    @property
    def name(self) -> str:
        """What it is called in lists."""
        return self.run_id[:LONGEST_NAME]

    @property
    def status(self) -> str:
        """Its status in MLflow: one that diverged has finished, and a tag says that it diverged."""
        return "FAILED" if self.failed else "FINISHED"


def entries(runs: pd.DataFrame, curves: pd.DataFrame) -> Iterator[Entry]:
    """An entry for each run. curves: their rows, in the order of runs and steps."""
    measured = dict(curves_by_run(curves))
    settings = {name: name_of(name) for name in runs if name in SETTINGS or "." in name}
    others = {name: name_of(name) for name in runs if name not in settings}
    for row in runs.to_dict("records"):
        there = {name: value for name, value in row.items() if not is_missing(value)}
        yield Entry(
            run_id=row["run_id"],
            failed=row["status"] == "failed",
            seconds=float(there.get("wall_seconds", 0.0)),
            tags=texts(there, others, LONGEST_TAG),
            parameters=texts(there, settings, LONGEST_PARAMETER),
            curves=measured.get(row["run_id"], []),
        )


def texts(row: Mapping[str, Any], names: Mapping[str, str], most: int) -> dict[str, str]:
    """What a row says of some names, as texts of at most so many signs. names: and what MLflow calls them."""
    return {there: text_of(row[name], most) for name, there in names.items() if name in row}


def measured_columns(curves: pd.DataFrame) -> list[str]:
    """The columns of curves that were measured, not set: numbers but for the step and settings."""
    numbers = curves.select_dtypes("number").columns
    return [name for name in numbers if name not in SETTINGS and "." not in name and name != STEP.name]


def curves_by_run(curves: pd.DataFrame) -> Iterator[tuple[str, list[Curve]]]:
    """What was measured of each run, by its run_id. curves: rows in the order of runs and steps.

    What is not a number was not measured, or is of a run that has diverged; a tag says so then.
    """
    measured = measured_columns(curves)
    names = [name_of(name) for name in measured]
    values, steps = curves[measured].to_numpy("float64", na_value=np.nan), curves[STEP.name].tolist()
    missing, run_ids = np.isnan(values), curves["run_id"].tolist()
    begins = [at for at, run_id in enumerate(run_ids) if at == 0 or run_id != run_ids[at - 1]]
    for begin, end in pairwise([*begins, len(run_ids)]):
        found: list[Curve] = []
        for name, column, lacks in zip(names, values[begin:end].T, missing[begin:end].T, strict=True):
            if not lacks.any():
                found.append((name, column.tolist(), steps[begin:end]))
            elif not lacks.all():
                there = np.flatnonzero(~lacks)
                found.append((name, column[there].tolist(), [steps[begin + at] for at in there]))
        yield run_ids[begin], found


def is_missing(value: object) -> bool:
    """Whether a cell of a table is empty."""
    return value is None or value is pd.NA or value != value


def text_of(value: object, most: int) -> str:
    """A value as text of at most so many signs."""
    text = value if isinstance(value, str) else json.dumps(value) if isinstance(value, list | dict) else str(value)
    return text if len(text) <= most else f"{text[: most - 20]}… sha256 {digest(text)}"


def name_of(name: str) -> str:
    """A name that MLflow takes, another for each name; `read_name` gives the name back."""
    taken = "".join(sign if PLAIN.fullmatch(sign) else escaped(sign) for sign in name) or "-u-"
    if taken == "." or taken.startswith(".."):  # they would be names of folders
        taken = escaped(".") + taken[1:]
    return taken if len(taken) <= LONGEST_NAME else f"{taken[: LONGEST_NAME - 20]}-{digest(name)}"


def escaped(sign: str) -> str:
    """A sign that MLflow does not take in names."""
    return f"-u{ord(sign):x}-"


def read_name(taken: str) -> str:
    """The name of which `name_of` made this one, where it was not too long."""
    return ESCAPED.sub(lambda found: chr(int(found[1], 16)) if found[1] else "", taken)
