"""What a sweep leaves behind: tables that appear whole or not at all, and a folder that holds one sweep.

While a sweep runs, every finished stack has files in `parts/`, its curves and then its runs; its runs count as
finished once the last is there. When all are, they are joined into `curves.parquet` and `runs.parquet`, in the
order of the grid, and the parts go. A trained proxy lies in `proxies/`, and stays there; what is said of all of them is
joined into `proxies.parquet`.
"""

import json
import os
import zipfile
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from pyarrow import ArrowException
from pyarrow.parquet import read_metadata

from simulator.complaints import ConfigError, shown
from simulator.config import Sweep
from simulator.files import write_whole
from simulator.proxies import Member
from simulator.runs import Run, axis_column, digest
from simulator.settings import ESTIMATORS, Settings
from simulator.toml_input import flatten

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
OF_SOME = ("n", "kl_bound", "tau", "proxy_parameters")  # measured or known for some methods only
BESIDE = ("responses", "gold_law", "margins")  # tables of trained policies at the end, for people to look at
KINDS = ("curves", "runs", "proxies", *BESIDE)
PARTS = tuple(f"parts/*.{kind}.parquet" for kind in KINDS)
RECORDS = (
    *("config.toml", "world.json", "losses.parquet", "report.html", "claims.json"),
    *(*(f"{kind}.parquet" for kind in KINDS), *PARTS, "proxies/*.npz", "figures/*.png", "figures/*.svg"),
)


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
    def world(self) -> Path:
        """The facts of the world, or of all worlds."""
        return self.path / "world.json"

    @property
    def losses(self) -> Path:
        """The losses of the sweep as functions."""
        return self.path / "losses.parquet"

    @property
    def oracle(self) -> Path:
        """The oracle's curves until the sweep ends."""
        return self.path / "parts" / "oracle.curves.parquet"

    @property
    def proxies(self) -> Path:
        """One row per proxy reward model, where there are any."""
        return self.path / "proxies.parquet"

    @property
    def complete(self) -> bool:
        """Whether all records are there."""
        return all(path.exists() for path in (self.curves, self.runs, self.world, self.losses))

    @property
    def has_records(self) -> bool:
        """Whether anything was measured here."""
        tables = (self.curves, self.runs, self.proxies)
        parts = ("parts/*.runs.parquet", "parts/*.proxies.parquet", "proxies/*.npz")
        return any(path.exists() for path in tables) or any(any(self.path.glob(part)) for part in parts)

    def part(self, stack: Sequence[Run], kind: str) -> Path:
        """Where a stack's table of a `kind`, such as "curves" or "runs", lies until the sweep ends."""
        return self.path / "parts" / f"{digest([run.run_id for run in stack])}.{kind}.parquet"

    def proxy_part(self, stack: Sequence[Member]) -> Path:
        """Where what is said of a stack of proxies lies until the sweep ends."""
        return self.path / "parts" / f"{digest([member.name for member in stack])}.proxies.parquet"

    def network(self, name: str) -> Path:
        """Where the proxy of this name lies."""
        return self.path / "proxies" / f"{name}.npz"

    def trained_proxies(self) -> set[str]:
        """The names of the proxies that lie there and of which the records are on disk."""
        names: set[str] = set()
        for table in self.said_of_proxies():
            names.update(table["proxy"])
        return {name for name in names if self._whole(name)}

    def said_of_proxies(self) -> list[pd.DataFrame]:
        """What is said of the proxies that are trained, as far as it can be read; the others are trained again."""
        tables = []
        for path in [self.proxies, *sorted(self.path.glob("parts/*.proxies.parquet"))]:
            with suppress(OSError, ArrowException):
                tables.append(pd.read_parquet(path))
        return tables

    def _whole(self, name: str) -> bool:
        try:
            with zipfile.ZipFile(self.network(name)) as file:
                return file.testzip() is None
        except (OSError, zipfile.BadZipFile):
            return False

    def finished_parts(self) -> list[dict[str, Path]]:
        """The two files of every stack whose records are all on disk and can be read."""
        found = []
        for runs in sorted(self.path.glob("parts/*.runs.parquet")):
            files = {"runs": runs, "curves": runs.with_name(beside_name(runs, "curves"))}
            others = [path for kind in BESIDE if (path := runs.with_name(beside_name(runs, kind))).exists()]
            try:
                for path in (*files.values(), *others):
                    read_metadata(path)
            except (OSError, ArrowException):
                continue
            found.append(files)
        return found

    def finished_runs(self) -> set[str]:
        """The names of the runs whose records are all on disk; those of a damaged file are not, and are run again."""
        names: set[str] = set()
        for files in self.finished_parts():
            names.update(pd.read_parquet(files["runs"], columns=["run_id"])["run_id"])
        return names


def beside_name(runs: Path, kind: str) -> str:
    """The name of the file of another kind that a stack has beside its runs."""
    return runs.name.replace(".runs.", f".{kind}.")


def examine_folder(path: Path, sweep: Sweep, *, fresh: bool) -> bool:
    """Whether all records of `sweep` are at `path` already; changes nothing.

    Raises ConfigError where a folder there could not be written, or holds the records of another sweep.
    """
    if str(path) in ("", "."):
        raise ConfigError("--out: must name a folder of its own, such as results/mine")
    try:
        there = path
        while not there.exists() and there != there.parent:
            there = there.parent
    except OSError as error:
        raise ConfigError(f"--out {path}: cannot be written ({error.strerror or error})") from None
    if not there.is_dir():
        raise ConfigError(f"--out {path}: cannot be written ({there} is not a directory)")
    if not os.access(there, os.W_OK | os.X_OK):
        raise ConfigError(f"--out {path}: cannot be written (no permission in {there})")
    folder = Folder(path=path)
    if fresh:
        held_by(folder)
        return False
    check_same_sweep(folder, sweep)
    return folder.complete


def open_folder(path: Path, sweep: Sweep, *, fresh: bool = False) -> Folder:
    """The folder at `path`, made or found, for the records of `sweep`; `fresh` removes records that are there.

    Raises ConfigError where it cannot be written.
    """
    folder = Folder(path=path)
    try:
        path.mkdir(parents=True, exist_ok=True)
        if fresh:
            clear(folder)
        if not folder.has_records:
            with write_whole(folder.config) as file:
                file.write(sweep.to_toml().encode())
    except OSError as error:
        raise ConfigError(f"--out {path}: cannot be written ({error.strerror or error})") from None
    return folder


def clear(folder: Folder) -> None:
    """Remove the records of a sweep, and nothing that a sweep did not write.

    Raises ConfigError where config.toml is not that of a sweep, so that the rest may be anybody's.
    """
    held_by(folder)
    remove(folder, RECORDS)


def remove(folder: Folder, patterns: Iterable[str]) -> None:
    """Remove the files of these patterns, and the inner folders that are empty without them."""
    for pattern in patterns:
        for path in folder.path.glob(pattern):
            path.unlink()
    for name in ("parts", "proxies", "figures"):
        inner = folder.path / name
        if inner.is_dir() and not any(inner.iterdir()):
            inner.rmdir()


def held_by(folder: Folder) -> Sweep | None:
    """The sweep whose folder this is. Raises ConfigError where its config.toml is none that we wrote."""
    if not folder.config.exists():
        return None
    try:
        return Sweep.from_toml(folder.config)
    except ConfigError as error:
        raise ConfigError(
            f"--out {folder.path}: holds a config.toml that is not of this version; choose another --out\n{error}"
        ) from None


def check_same_sweep(folder: Folder, sweep: Sweep) -> None:
    """Raises ConfigError if the folder holds records, and they are not those of `sweep`."""
    held = held_by(folder)
    if not folder.has_records:
        return
    remedy = "choose another --out, or start over with --fresh"
    if held is None:
        raise ConfigError(f"--out {folder.path}: holds records but no config.toml that says of what; {remedy}")
    for before, now, what in ((held.texts, sweep.texts, "text"), (held.code, sweep.code, "code")):
        for name in before.keys() & now.keys():
            if before[name] != now[name]:
                raise ConfigError(
                    f"--out {folder.path}: holds the records of another sweep, whose {what} {name} has changed since; "
                    f"bring that file back (its SHA-256 was {before[name]}), {remedy}"
                )
    there, here = (flat_settings(each) for each in (held, sweep))
    for name in sorted(there.keys() | here.keys()):
        if there.get(name) != here.get(name):
            raise ConfigError(
                f"--out {folder.path}: holds the records of another sweep, where {name} = "
                f"{shown(there.get(name))} and not {shown(here.get(name))}; {remedy}"
            )


def flat_settings(settings: Settings) -> dict[str, Any]:
    """Every setting by its dotted key, as a user writes it."""
    return {
        name.removeprefix(".").replace("sweep.axes.", "sweep."): value
        for name, value in flatten("", settings.model_dump())
    }


def write_table(table: pd.DataFrame, path: Path) -> None:
    """Write a table as Parquet; a column of names and numbers becomes one of names."""
    mixed = [name for name in table if table[name].dtype == object]
    table = table.assign(**{name: table[name].map(str, na_action="ignore").astype("str") for name in mixed})
    with write_whole(path) as file:
        table.to_parquet(file, index=False, compression="zstd")


def write_json(value: object, path: Path) -> None:
    """Write a value as JSON for people to read."""
    with write_whole(path) as file:
        file.write((json.dumps(value, indent=2, allow_nan=False) + "\n").encode())


def tidy(curves: pd.DataFrame) -> pd.DataFrame:
    """Curves in the order and types of the contract; what was measured exactly has standard error 0."""
    curves = curves.copy()
    asked = [name for name in ON_REQUEST if name in curves]
    some = [name for name in OF_SOME if name in curves]
    for name in (*WITH_ERROR, *ALSO_WITH_ERROR, *asked):
        if name in curves and f"{name}_se" not in curves:
            curves[f"{name}_se"] = curves[name] * 0.0
    measured = [*MEASURED, *(column for name in asked for column in (name, f"{name}_se")), *some]
    axes = [name for name in curves if name not in [*LEADING, "step", *measured, "kl_source", "status"]]
    curves = curves.reindex(columns=[*LEADING, *axes, "step", *measured, "kl_source", "status"])
    numbers = dict.fromkeys(["kappa", "label_noise", *measured], "float64")
    numbers |= {"loss": "str", "kl_source": "str", "beta": "float64"}
    return curves.astype(numbers | {"seed": "Int64", "pairs": "Int64", "step": "int64"})


def run_rows(stack: Sequence[Run], curves: pd.DataFrame, facts: dict[str, Any]) -> pd.DataFrame:
    """One row a run: every setting of it, how it ended, and `facts` of the machine that ran it."""
    diverged = curves[curves["status"] == "diverged"].set_index("run_id")["step"]
    return pd.DataFrame(
        [
            {
                **run.columns(),
                **flat_settings(run.settings),
                "status": "diverged" if run.run_id in diverged.index else "finished",
                "diverged_at": diverged.get(run.run_id),
                **facts,
            }
            for run in stack
        ]
    ).astype({"seed": "Int64", "pairs": "Int64", "diverged_at": "Int64", "loss": "str", "beta": "float64"})


def join(folder: Folder, runs: Sequence[Run]) -> None:
    """Write the two tables from the parts, runs in the order of the grid, then remove the parts."""
    order = {run.run_id: i for i, run in enumerate(runs)}
    parts = folder.finished_parts()
    join_beside(folder, parts, order)
    for kind, target in (("curves", folder.curves), ("runs", folder.runs)):
        table = pd.concat([pd.read_parquet(files[kind]) for files in parts], ignore_index=True)
        table = table.sort_values("run_id", key=lambda ids: ids.map(order), kind="stable")
        table = table.drop_duplicates(["run_id", "step"] if kind == "curves" else ["run_id"])
        axes = dict.fromkeys(axis_column(name) for run in runs for name in run.axes)
        table = table[[name for name in table if name not in axes] + list(axes)]
        if kind == "curves":
            table = tidy(pd.concat([table, pd.read_parquet(folder.oracle)], ignore_index=True))
        write_table(table, target)
    remove(folder, PARTS)


def join_beside(folder: Folder, parts: Sequence[dict[str, Path]], order: dict[str, int]) -> None:
    """Write the tables of trained policies at the end of training, where the parts have any."""
    for kind in BESIDE:
        paths = [files["runs"].with_name(beside_name(files["runs"], kind)) for files in parts]
        tables = [table for path in paths if path.exists() and len(table := pd.read_parquet(path))]
        if tables:
            table = pd.concat(tables, ignore_index=True)
            table = table[table["run_id"].isin(order)].drop_duplicates()
            table = table.sort_values("run_id", key=lambda ids: ids.map(order), kind="stable", ignore_index=True)
            write_table(table, folder.path / f"{kind}.parquet")
