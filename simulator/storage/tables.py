"""The tables that a sweep leaves behind: their columns, order and types, and how they are written."""

import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from simulator.common.atomic_files import write_whole
from simulator.objectives import WATCHED
from simulator.settings.run import Run
from simulator.settings.tables import flat_settings
from simulator.settings.world_spec import ESTIMATORS

LEADING = ["run_id", "method", "loss", "beta", "kappa", "seed", "pairs", "label_noise"]
WITH_ERROR = ("kl", "gold", "proxy", "win_rate")
ALSO_WITH_ERROR = ("entropy", "length")
ON_REQUEST = tuple(f"kl_{name}" for name in ESTIMATORS)
MEASURED = [
    *(column for name in WITH_ERROR for column in (name, f"{name}_se")),
    *("mu_squared", "train_loss", "train_accuracy", "entropy", "chosen_logratio", "rejected_logratio"),
    *("length", "entropy_se", "length_se"),
    *("margin_q05", "margin_q25", "margin_q50", "margin_q75", "margin_q95"),
]
FAILED = "failed"
DIVERGED = "its loss, its parameters or something measured was not finite"
OF_SOME = ("n", "kl_bound", "tau", "proxy_parameters", *WATCHED)  # measured or known for some runs only
ROUNDING = 1e-7  # what is closer to 0 is the rounding of a network, in nats or deviations
SQUARES = ("kl", "mu_squared", *ON_REQUEST)  # quadratic in log-ratios, and so is their rounding


def write_table(table: pd.DataFrame, path: Path) -> str:
    """Write a table as Parquet with checksums of its pages; a column of names and numbers becomes one of names.

    Its SHA-256. Raises StorageError.
    """
    mixed = [name for name in table if table[name].dtype == object]
    table = table.assign(**{name: table[name].map(str, na_action="ignore").astype("str") for name in mixed})
    content = io.BytesIO()
    table.to_parquet(content, index=False, compression="zstd", write_page_checksum=True)
    return write_whole(path, content.getvalue())


def write_json(value: object, path: Path) -> str:
    """Write a value as JSON for people to read; its SHA-256. Raises StorageError."""
    return write_whole(path, (json.dumps(value, indent=2, allow_nan=False) + "\n").encode())


def tidy(curves: pd.DataFrame) -> pd.DataFrame:
    """Curves in the order and types of the contract; what was measured exactly has standard error 0.

    What is 0 but for rounding, such as the KL of the reference to itself, is 0.
    """
    curves = curves.copy()
    asked = [name for name in ON_REQUEST if name in curves]
    some = [name for name in OF_SOME if name in curves]
    for name in (*WITH_ERROR, *ALSO_WITH_ERROR, *asked):
        if name in curves and f"{name}_se" not in curves:
            curves[f"{name}_se"] = curves[name] * 0.0
    measured = [*MEASURED, *(column for name in asked for column in (name, f"{name}_se")), *some]
    axes = [name for name in curves if name not in [*LEADING, "step", *measured, "kl_source", "status"]]
    curves = curves.reindex(columns=[*LEADING, *axes, "step", *measured, "kl_source", "status"])
    for name in measured:
        if name in curves and name not in OF_SOME:
            least = 100 * ROUNDING**2 if name in SQUARES else ROUNDING
            curves[name] = curves[name].astype("float64").where(~(curves[name].abs() < least), 0.0)
    numbers = dict.fromkeys(["kappa", "label_noise", *measured], "float64")
    numbers |= {"loss": "str", "kl_source": "str", "beta": "float64"}
    return curves.astype(numbers | {"seed": "Int64", "pairs": "Int64", "step": "int64"})


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
    told = [
        run.columns() | flat_settings(run.settings) | nothing | dict(end) for run, end in zip(runs, ends, strict=True)
    ]
    whole = dict.fromkeys(["seed", "pairs", "diverged_at"], "Int64")
    table = pd.DataFrame(told)
    return table.astype(whole | {"loss": "str", "beta": "float64", "reason": "str"}) if told else table
