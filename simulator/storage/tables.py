"""The tables that a sweep leaves behind: their columns, order and types, and how they are written."""

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from simulator.common.atomic_files import write_atomically
from simulator.common.column import Column
from simulator.measurement.columns import MEASURED
from simulator.methods.method import Card
from simulator.objectives import DIAGNOSTICS
from simulator.objectives.losses.gpo import LOSSES
from simulator.settings.run import KL_SOURCE, RUN_COLUMNS, STATUS, STEP, Run
from simulator.settings.tables import flat_settings

COLUMNS = {column.name: column for column in (*RUN_COLUMNS, STEP, *MEASURED, *DIAGNOSTICS.values(), KL_SOURCE, STATUS)}
EXTERNAL = Card(name="external", label="trained elsewhere", against_proxy=False)
LABEL = Column(name="label", unit="", about="of a policy that was trained elsewhere", kind="name", always=False)
FAILED = "failed"
DIVERGED = "its loss, its parameters or something measured was not finite"
ROUNDING = 1e-7  # what is closer to 0 is the rounding of a network, in nats or deviations


def write_table(table: pd.DataFrame, path: Path) -> str:
    """Write a table as Parquet with checksums of its pages; a column of names and numbers becomes one of names.

    Its SHA-256. Raises StorageError.
    """
    mixed = [name for name in table if table[name].dtype == object]
    table = table.assign(**{name: table[name].map(str, na_action="ignore").astype("str") for name in mixed})
    content = io.BytesIO()
    table.to_parquet(content, index=False, compression="zstd", write_page_checksum=True)
    return write_atomically(path, content.getvalue())


def write_json(value: object, path: Path) -> str:
    """Write a value as JSON for people to read; its SHA-256. Raises StorageError."""
    return write_atomically(path, (json.dumps(value, indent=2, allow_nan=False) + "\n").encode())


def describe_tables(methods: Sequence[Card]) -> dict[str, Any]:
    """What columns and methods are, as the content of tables.json, so that tables are read without this program."""
    columns = {
        name: {"kind": column.kind, "unit": column.unit, "about": column.about}
        for name, column in (COLUMNS | {LABEL.name: LABEL}).items()
    }
    methods = [*methods, EXTERNAL]
    cards = {card.name: {key: value for key, value in asdict(card).items() if key != "name"} for card in methods}
    return {"columns": columns, "methods": cards, "gpo_losses": list(LOSSES)}


def tidy(curves: pd.DataFrame) -> pd.DataFrame:
    """Curves in the order and types of the contract; what was measured exactly has standard error 0.

    What is 0 but for rounding, such as the KL of the reference to itself, is 0.
    """
    curves = curves.copy()
    for column in COLUMNS.values():
        if column.error and column.name in curves and f"{column.name}_se" not in curves:
            curves[f"{column.name}_se"] = curves[column.name] * 0.0
    there = [each for each in COLUMNS.values() if each.always or each.name in curves]
    measured = [each.name for each in there if each.kind == "measured"]
    leading, last = [each.name for each in RUN_COLUMNS], [KL_SOURCE.name, STATUS.name]
    axes = [name for name in curves if name not in COLUMNS and name != LABEL.name]
    labels = [LABEL.name] if LABEL.name in curves else []
    curves = curves.reindex(columns=[*leading, *labels, *axes, STEP.name, *measured, *last])
    numbers: dict[str, np.ndarray] = {}
    for name in measured:
        values = curves[name].to_numpy("float64", na_value=np.nan)
        least = 100 * ROUNDING**2 if COLUMNS[name].squared else ROUNDING
        numbers[name] = np.where(np.abs(values) < least, 0.0, values) if COLUMNS[name].tidied else values
    numbers |= {name: curves[name].to_numpy("float64", na_value=np.nan) for name in ("kappa", "label_noise", "beta")}
    others = {"loss": "str", "kl_source": "str", "seed": "Int64", "pairs": "Int64", "step": "int64"}
    return curves.assign(**numbers, **{name: curves[name].astype(kind) for name, kind in others.items()})


def run_rows(stack: Sequence[Run], curves: pd.DataFrame, facts: dict[str, Any]) -> pd.DataFrame:
    """One row a run: every setting of it, how it ended and why so, and `facts` of what ran it, and for how long."""
    diverged = curves[curves["status"] == "diverged"].set_index("run_id")["step"]
    ends = {
        run_id: {"status": "diverged", "diverged_at": step, "reason": DIVERGED} for run_id, step in diverged.items()
    }
    return rows_of(stack, [ends.get(run.run_id, {"status": "finished"}) | facts for run in stack])


def failed_rows(runs: Sequence[Run], reasons: Mapping[str, str]) -> pd.DataFrame:
    """The rows of runs that could not be finished, with why not, by run_id."""
    return rows_of(runs, [{"status": FAILED, "reason": reasons[run.run_id]} for run in runs])


def rows_of(runs: Sequence[Run], ends: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """One row a run: every setting of it, and how it ended."""
    nothing = {"diverged_at": None, "reason": None}
    settings = {key: flat_settings(each) for key, each in {id(run.settings): run.settings for run in runs}.items()}
    rows = [
        run.columns() | settings[id(run.settings)] | nothing | dict(end) for run, end in zip(runs, ends, strict=True)
    ]
    whole = dict.fromkeys(["seed", "pairs", "diverged_at"], "Int64")
    table = pd.DataFrame(rows)
    return table.astype(whole | {"loss": "str", "beta": "float64", "reason": "str"}) if rows else table
