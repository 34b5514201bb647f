"""Whether result folders may be joined: one sweep but for its lists, one world, one program, and equal overlaps."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from simulator.common.errors import ConfigError, shown
from simulator.joining.grids import LISTS, Values, axes_of, first_difference, missing_in, values_of, with_values
from simulator.joining.sources import Source
from simulator.sweeps.sweep import Sweep

OF_THE_MACHINE = (  # columns of runs that say where and when a run was made, and not what came of it
    *("wall_seconds", "device", "engine", "reason", "simulator_version", "simulator_source"),
    *("python_version", "torch_version", "numpy_version"),
)


def sweep_of_all(sources: Sequence[Source]) -> Sweep:
    """The sweep whose grid has all values of all. Raises ConfigError where they differ in anything else, by its key."""
    first = sources[0]
    axes = axes_of(*(source.sweep for source in sources))
    lists: dict[str, Values] = dict(values_of(first.sweep, axes))
    texts, code = dict(first.sweep.texts), dict(first.sweep.code)
    for other in sources[1:]:
        if differs := first_difference(first.sweep, other.sweep, but=axes):
            name, here, there = differs
            raise disagree(first.path, other.path, name, here, there)
        for key, values in values_of(other.sweep, axes).items():
            lists[key] = [*lists[key], *missing_in(values, lists[key])]
        texts |= other.sweep.texts
        code |= other.sweep.code
    kept = {*LISTS, *first.sweep.sweep.axes}
    varied = {key: each for key, each in lists.items() if len(each) > 1 or key.removeprefix("sweep.") in kept}
    return with_values(first.sweep, varied).model_copy(update={"texts": texts, "code": code})


def disagree(one: Path, other: Path, key: str, here: Any, there: Any) -> ConfigError:
    """The error of two folders that differ in a key."""
    return ConfigError(
        f"join {other}: {key} = {shown(there)}, and {one} has {shown(here)}; only the lists of [sweep] may differ"
    )


def check_programs(sources: Sequence[Source]) -> None:
    """Raises ConfigError where the code that made some records may give other numbers than that of others."""
    first = sources[0]
    for other in sources[1:]:
        if other.made_by != first.made_by:
            changed = changed_modules(first, other)
            raise ConfigError(
                f"join {other.path}: results_source = {other.made_by}, and {first.path} has {first.made_by}: their "
                f"records were made by different code{changed}"
            )


def changed_modules(one: Source, other: Source) -> str:
    """A clause that names a module in which the code of two folders differs, as far as that is known."""
    try:
        here, there = (json.loads(each.folder.source.read_bytes())["modules"] for each in (one, other))
    except (OSError, ValueError, KeyError, TypeError):
        return ""
    names = sorted(name for name in here.keys() | there.keys() if here.get(name) != there.get(name))
    return f" (first of {len(names)}: {names[0]})" if names else ""


def worlds_of_all(sources: Sequence[Source]) -> dict[str, Mapping[str, Any]]:
    """The facts of every world, by its name. Raises ConfigError where two folders have other facts of one world."""
    worlds: dict[str, tuple[Source, dict[str, Any]]] = {}
    for source in sources:
        for name, facts in source.worlds.items():
            first, known = worlds.setdefault(name, (source, dict(facts)))
            for key in facts.keys() & known.keys():
                if facts[key] != known[key]:
                    hint = (
                        "; references are trained on each machine unless SIMULATOR_CACHE names a folder that all share"
                        if key == "reference_sha256"
                        else ""
                    )
                    raise ConfigError(
                        f"join {source.path}: world.json: {key} = {shown(facts[key])}, and {first.path} has "
                        f"{shown(known[key])}, of world {name}{hint}"
                    )
            known |= {key: facts[key] for key in facts.keys() - known.keys()}
    return {name: known for name, (_, known) in worlds.items()}


def check_overlaps(kind: str, tables: Sequence[tuple[Source, pd.DataFrame]]) -> int:
    """Raises ConfigError where a run that is in several tables of a kind is not equal in them, to the byte.

    How many runs are there again in tables after their first.
    """
    owner: dict[str, int] = {}
    again = 0
    for number, (_, table) in enumerate(tables):
        names = pd.unique(table["run_id"])
        for first in sorted({owner[name] for name in names if name in owner}):
            shared = [name for name in names if owner.get(name) == first]
            again += len(shared)
            compare(kind, tables[first], tables[number], shared)
        owner |= {name: number for name in names if name not in owner}
    return again


def compare(
    kind: str, one: tuple[Source, pd.DataFrame], other: tuple[Source, pd.DataFrame], shared: Sequence[str]
) -> None:
    """Raises ConfigError, which says where, if the rows of what two tables share are not equal."""
    (here, ours), (there, theirs) = one, other
    left, right = (
        table[table["run_id"].isin(shared)].sort_values("run_id", kind="stable", ignore_index=True)
        for table in (ours, theirs)
    )
    if len(left) != len(right):
        raise unequal(kind, here, there, f"{len(right):,} rows of {shared[0]} and others", f"{len(left):,}")
    for name in left.columns.intersection(right.columns):
        if kind == "runs" and name in OF_THE_MACHINE:
            continue
        equal = (left[name] == right[name]).fillna(False) | (left[name].isna() & right[name].isna())
        if not equal.all():
            at = int((~equal.astype(bool)).to_numpy().argmax())
            found = f"{name} = {shown_value(right[name][at])} of {right['run_id'][at]}"
            raise unequal(kind, here, there, found, shown_value(left[name][at]))


def shown_value(value: Any) -> str:
    """A value of a table in a message, to the last digit."""
    return repr(float(value)) if isinstance(value, float) else str(value)


def unequal(kind: str, here: Source, there: Source, found: str, known: str) -> ConfigError:
    """The error of a run that is not the same in two folders."""
    return ConfigError(
        f"join {there.path}: {kind}.parquet has {found}, and {here.path} has {known}; what is in several folders must "
        "be equal in them"
    )
