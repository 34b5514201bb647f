"""Several result directories as one table."""

import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.records.checks import checked
from analysis.records.load import ResultsError
from analysis.records.load import load as load_one

GRID = ("method", "loss", "beta", "penalty", "seeds")  # of [sweep]: they are columns anyway
WORLD = ("world", "reference", "gold", "policy", "measure")  # tables that oracles depend on, too

Settings = dict[str, Any]


def load(folder: str | Path | list[str | Path], *more: str | Path) -> pd.DataFrame:
    """The curves of a sweep, one that ended or still runs; of several sweeps together where more folders are named.

    What differs between several folders by their config.toml becomes a column, as further axes of one sweep are:
    `world.seed` is world_seed, `data.label_noise` is label_noise. A run that is in two of them, since it does not read
    what differs, is there once, without a value in these columns. Raises ResultsError where a folder cannot be read, or
    where what was put together does not fit.
    """
    folders = [*(folder if isinstance(folder, list) else [folder]), *more]
    if len(folders) == 1:
        return load_one(folders[0])
    settings = [settings_in(Path(each)) for each in folders]
    keys = differing_settings(settings)
    tables = [with_columns(load_one(each), keys, own) for each, own in zip(folders, settings, strict=True)]
    times = Counter(run for table in tables for run in table["run_id"].unique())
    seen: set[str] = set()
    parts = []
    for table in tables:
        part = table[~table["run_id"].isin(seen)]
        seen |= set(table["run_id"])
        again = part["run_id"].map(times) > 1
        added = [column_of(key) for key in keys if key not in ("data.pairs", "data.label_noise")]
        parts.append(part.assign(**{name: part[name].where(~again) for name in added}))
    try:
        return checked(pd.concat(parts, ignore_index=True))
    except ResultsError as error:
        raise ResultsError(f"{' and '.join(map(str, folders))}, put together: {error}") from None


def settings_in(folder: Path) -> Settings:
    """All settings of a sweep by their dotted keys, from its config.toml. Raises ResultsError."""
    path = folder / "config.toml"
    try:
        return dict(flattened("", tomllib.loads(path.read_text(encoding="utf-8"))))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ResultsError(f"{path}: cannot be read ({error}), so what differs between folders is not known") from None


def flattened(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """The leaves of nested tables, each with its dotted key."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from flattened(f"{name}.{key}" if name else key, inner)
    else:
        yield name, ", ".join(map(str, value)) if isinstance(value, list) and not name.startswith("sweep.") else value


def differing_settings(settings: Sequence[Settings]) -> list[str]:
    """The keys whose values are not the same in all, or that are an axis in some."""
    known = dict.fromkeys(key for each in settings for key in each)
    axes = [key.removeprefix("sweep.") for key in known if key.startswith("sweep.") and key[6:] not in GRID]
    plain = [key for key in known if not key.startswith("sweep.")]
    return [key for key in plain if key in axes or any(each.get(key) != settings[0].get(key) for each in settings)]


def column_of(key: str) -> str:
    """The column of a key, as further axes of one sweep are named."""
    return key.removeprefix("data.").removeprefix("objective.").replace(".", "_")


def with_columns(curves: pd.DataFrame, keys: Sequence[str], own: Settings) -> pd.DataFrame:
    """The curves of one sweep with a column for each of the keys; oracles have those that they depend on."""
    added = {}
    for key in keys:
        name = column_of(key)
        if name not in curves:
            value = pd.Series(own.get(key), index=curves.index)
            best = curves["method"] == "oracle"
            added[name] = value if key.split(".")[0] in WORLD else value.where(~best)
    return curves.assign(**added)
