"""What a sweep leaves behind: tables that appear whole or not at all, and a folder that holds one sweep.

While a sweep runs, every finished stack has two files in `parts/`, its curves and then its runs; a stack
counts as finished once the second is there. When all are, they are joined into `curves.parquet` and
`runs.parquet`, in the order of the grid, and the parts go.
"""

import json
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from simulator.complaints import ConfigError, shown
from simulator.config import Sweep
from simulator.files import write_whole
from simulator.grid import Run, digest
from simulator.toml_input import flatten

LEADING = ["run_id", "method", "loss", "beta", "kappa", "seed", "pairs", "label_noise"]
MEASURED = [
    *("kl", "kl_se", "gold", "gold_se", "proxy", "proxy_se", "win_rate", "win_rate_se", "mu_squared"),
    *("train_loss", "train_accuracy", "entropy", "chosen_logratio", "rejected_logratio"),
]
EXACT = ("kl_se", "gold_se", "proxy_se", "win_rate_se")
OURS = ("config.toml", "world.json", "losses.parquet", "curves.parquet", "runs.parquet", "parts", "figures")


@dataclass(frozen=True, kw_only=True)
class Folder:
    """The result directory of one sweep."""

    path: Path

    @property
    def config(self) -> Path:
        """The resolved sweep."""
        return self.path / "config.toml"

    @property
    def curves(self) -> Path:
        """One row per run and checkpoint."""
        return self.path / "curves.parquet"

    @property
    def runs(self) -> Path:
        """One row per run."""
        return self.path / "runs.parquet"

    @property
    def complete(self) -> bool:
        """Whether the sweep ended: the table of runs is written last."""
        return self.curves.exists() and self.runs.exists()

    def part(self, stack: Sequence[Run], kind: str) -> Path:
        """Where a stack's `kind`, "curves" or "runs", lies until the sweep ends."""
        return self.path / "parts" / f"{digest([run.run_id for run in stack])}.{kind}.parquet"

    def finished(self, stack: Sequence[Run]) -> bool:
        """Whether the records of a stack are all on disk."""
        return self.part(stack, "runs").exists()


def open_folder(path: Path, sweep: Sweep, *, fresh: bool = False) -> Folder:
    """The folder at `path`, made or found, for the records of `sweep`; `fresh` removes what is there.

    Raises ConfigError where it cannot be written, or holds the records of another sweep.
    """
    folder = Folder(path=path)
    try:
        path.mkdir(parents=True, exist_ok=True)
        if fresh:
            clear(folder)
        check_same_sweep(folder, sweep)
        if not folder.config.exists():
            with write_whole(folder.config) as file:
                file.write(sweep.to_toml().encode())
        if not folder.complete:
            (path / "parts").mkdir(exist_ok=True)
    except OSError as error:
        raise ConfigError(f"--out {path}: cannot be written ({error.strerror or error})") from None
    return folder


def clear(folder: Folder) -> None:
    """Remove the records in the folder, and nothing that a sweep did not write."""
    for name in OURS:
        target = folder.path / name
        if target.is_dir():
            shutil.rmtree(target)
        else:
            target.unlink(missing_ok=True)


def check_same_sweep(folder: Folder, sweep: Sweep) -> None:
    """Raises ConfigError if the folder holds records, and they are not those of `sweep`."""
    remedy = "choose another --out, or start over with --fresh"
    if not folder.config.exists():
        if folder.curves.exists() or folder.runs.exists():
            raise ConfigError(f"--out {folder.path}: holds records but no config.toml that says of what; {remedy}")
        return
    try:
        held = Sweep.from_toml(folder.config)
    except ConfigError as error:
        raise ConfigError(
            f"--out {folder.path}: holds records of a sweep that cannot be read; {remedy}\n{error}"
        ) from None
    there, here = (dict(flatten("", each.model_dump())) for each in (held, sweep))
    for name in sorted(there.keys() | here.keys()):
        if there.get(name) != here.get(name):
            raise ConfigError(
                f"--out {folder.path}: holds the records of another sweep, where {name.removeprefix('.')} = "
                f"{shown(there.get(name))} and not {shown(here.get(name))}; {remedy}"
            )


def write_table(table: pd.DataFrame, path: Path) -> None:
    """Write a table as Parquet."""
    with write_whole(path) as file:
        table.to_parquet(file, index=False, compression="zstd")


def write_json(value: object, path: Path) -> None:
    """Write a value as JSON for people to read."""
    with write_whole(path) as file:
        file.write((json.dumps(value, indent=2, allow_nan=False) + "\n").encode())


def tidy(curves: pd.DataFrame) -> pd.DataFrame:
    """Curves in the order and types of the contract; what was measured exactly has standard error 0."""
    curves = curves.copy()
    for name in EXACT:
        if name not in curves:
            curves[name] = curves[name.removesuffix("_se")] * 0.0
    axes = [name for name in curves if name not in [*LEADING, "step", *MEASURED, "status"]]
    curves = curves.reindex(columns=[*LEADING, *axes, "step", *MEASURED, "status"])
    numbers = dict.fromkeys(["kappa", "label_noise", *MEASURED], "float64")
    return curves.astype(numbers | {"loss": "str", "seed": "Int64", "pairs": "Int64", "step": "int64"})


def run_rows(stack: Sequence[Run], curves: pd.DataFrame, facts: dict[str, Any]) -> pd.DataFrame:
    """One row a run: every setting of it, how it ended, and `facts` of the machine that ran it."""
    diverged = curves[curves["status"] == "diverged"].set_index("run_id")["step"]
    return pd.DataFrame(
        [
            {
                **run.columns(),
                **{name.removeprefix("."): value for name, value in flatten("", run.settings.model_dump())},
                "status": "diverged" if run.run_id in diverged.index else "finished",
                "diverged_at": diverged.get(run.run_id),
                **facts,
            }
            for run in stack
        ]
    ).astype({"seed": "Int64", "pairs": "Int64", "diverged_at": "Int64"})


def join(folder: Folder, stacks: Iterable[Sequence[Run]], runs: Sequence[Run], oracle: pd.DataFrame) -> None:
    """Write the two tables from the parts of all stacks, runs in the order of the grid, then remove the parts."""
    order = {run.run_id: i for i, run in enumerate(runs)}
    for kind, target in (("curves", folder.curves), ("runs", folder.runs)):
        parts = [pd.read_parquet(folder.part(stack, kind)) for stack in stacks]
        table = pd.concat(parts, ignore_index=True)
        table = table.sort_values("run_id", key=lambda ids: ids.map(order), kind="stable")
        if kind == "curves":
            table = pd.concat([table, oracle], ignore_index=True)
        write_table(table, target)
    shutil.rmtree(folder.path / "parts")
