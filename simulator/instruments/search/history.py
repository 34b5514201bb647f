"""All candidates of a search with their regret, as a table: what a search goes on from.

A row is a loss: a rival (generation -1), a candidate, or what was found (after the last generation). Its columns are
`kind`, `name`, `generation`, `number`, `regret` (a mean over worlds, in deviations of gold), `regret_0` and so on in
each world, and, but for rivals, `parameter_k` and `mass_k`. The metadata say of which search the table is, and in which
worlds what it found is judged.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from simulator.common.errors import ConfigError, short
from simulator.instruments.search.evolution import Generation
from simulator.instruments.search.family import KNOTS, NAMES, Family
from simulator.instruments.tables import write_table

FILE = "history.parquet"
RIVAL, CANDIDATE, FOUND = "rival", "candidate", "found"
PARAMETERS = tuple(f"parameter_{number}" for number in range(len(KNOTS)))
KEY, LEVELS, JUDGED_IN = "search", "kl_levels", "judged_in"

Array = np.ndarray


@dataclass(frozen=True, kw_only=True)
class History:
    """What is known of a search: the levels of KL [L] in nats, the regret [W] of each rival, and generations."""

    levels: Array
    rivals: Mapping[str, Array]
    generations: tuple[Generation, ...] = ()


def read_history(folder: Path, key: str) -> History | None:
    """What a folder holds of the search of this key; None where it has no history. Raises ConfigError."""
    path = folder / FILE
    if not path.exists():
        return None
    try:
        table = pq.read_table(path)
        metadata = table.schema.metadata or {}
        of = metadata.get(KEY.encode(), b"").decode()
        levels = np.array([float(text) for text in metadata.get(LEVELS.encode(), b"").decode().split()])
        rows = table.to_pandas()
        worlds = [name for name in rows if name.startswith("regret_")]
        candidates = rows[rows["kind"] == CANDIDATE]
        rivals = rows[rows["kind"] == RIVAL]
        generations = tuple(
            Generation(
                number=int(number),
                parameters=by_row(some[list(PARAMETERS)]),
                regret=by_row(some[worlds]),
            )
            for number, some in candidates.groupby("generation", sort=True)
        )
        known = {str(row["name"]): row[worlds].to_numpy(float) for _, row in rivals.iterrows()}
    except (OSError, ValueError, KeyError) as error:
        raise ConfigError(f"{short(str(path))}: cannot be read as the history of a search ({error})") from None
    if of != key:
        raise ConfigError(
            f"{short(str(path))}: is of a search with other settings or other code; name another folder with --out, "
            "or remove it"
        )
    return History(levels=levels, rivals=known, generations=generations)


def by_row(table: pd.DataFrame) -> Array:
    """Its numbers in the order that they were computed in: sums over other orders have other last bits."""
    return np.ascontiguousarray(table.to_numpy(float))


def write_history(
    folder: Path,
    history: History,
    family: Family,
    key: str,
    held_out: Sequence[int],
    found: Generation | None = None,
) -> None:
    """Replace the history of a folder.

    held_out: the worlds of the judging. found: one candidate, after the last generation. Raises StorageError.
    """
    rows = [row_of(RIVAL, name, -1, number, regret) for number, (name, regret) in enumerate(history.rivals.items())]
    for generation in history.generations:
        rows += candidate_rows(CANDIDATE, generation, family)
    if found is not None:
        rows += candidate_rows(FOUND, found, family)
    made_from = {
        KEY: key,
        LEVELS: " ".join(map(repr, history.levels.tolist())),
        JUDGED_IN: " ".join(map(str, held_out)),
    }
    write_table(pd.DataFrame(rows), folder / FILE, **made_from)


def candidate_rows(kind: str, generation: Generation, family: Family) -> list[dict[str, object]]:
    """The rows of one generation."""
    masses = family.masses(generation.parameters)
    return [
        row_of(kind, kind, generation.number, number, regret)
        | dict(zip(PARAMETERS, parameters.tolist(), strict=True))
        | dict(zip(NAMES, mass.tolist(), strict=True))
        for number, (parameters, mass, regret) in enumerate(
            zip(generation.parameters, masses, generation.regret, strict=True)
        )
    ]


def row_of(kind: str, name: str, generation: int, number: int, regret: Sequence[float] | Array) -> dict[str, object]:
    """A row without what only candidates have."""
    each = {f"regret_{world}": float(value) for world, value in enumerate(regret)}
    mean = float(np.mean(list(each.values())))
    return {"kind": kind, "name": name, "generation": generation, "number": number, "regret": mean, **each}
