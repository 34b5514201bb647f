"""Pairs as files that users bring: ids, text or messages, in Parquet or JSON lines."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow.parquet import write_table

from simulator import Pairs, World

Row = dict[str, Any]


def rows_of(pairs: Pairs) -> list[Row]:
    """A row of ids for each pair."""
    columns = {"prompt": pairs.prompts, "chosen": pairs.chosen, "rejected": pairs.rejected}
    return [
        dict(zip(columns, row, strict=True))
        for row in zip(*(column.tolist() for column in columns.values()), strict=True)
    ]


def flipped(pairs: Pairs) -> Pairs:
    """The same pairs with every label the other way round, as pairs of a user's own."""
    return Pairs(prompts=pairs.prompts, chosen=pairs.rejected, rejected=pairs.chosen)


def parquet(path: Path, rows: list[Row], types: Mapping[str, pa.DataType] | None = None) -> str:
    """Write rows as Parquet; the name of the file."""
    types = types or {}
    write_table(pa.table({name: pa.array([row[name] for row in rows], types.get(name)) for name in rows[0]}), path)
    return path.name


def lines(path: Path, rows: list[Row]) -> str:
    """Write rows as JSON lines; the name of the file."""
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path.name


def each(rows: list[Row], change: Callable[[Any], Any], *names: str) -> list[Row]:
    """The rows with some values changed, or all."""
    return [{name: change(value) if name in (names or row) else value for name, value in row.items()} for row in rows]


def as_ids(folder: Path, world: World, pairs: Pairs) -> str:
    """Ids in Parquet; -1 stays behind an end."""
    return parquet(folder / "ids.parquet", rows_of(pairs))


def as_text(folder: Path, world: World, pairs: Pairs) -> str:
    """Text in JSON lines, as the world spells it; an end that is seen to be meant is left out."""
    end = world.simulated.end

    def spelled(tokens: list[int]) -> str:
        said = [token for token in tokens if token >= 0]
        return world.spell(said[:-1] if said[-1] == end and len(said) < world.response_length else said)

    return lines(folder / "text.jsonl", each(rows_of(pairs), spelled))


def as_messages(folder: Path, world: World, pairs: Pairs) -> str:
    """Messages alone, as the command export writes them."""
    from simulator.interchange.spelling import spelling_of
    from simulator.interchange.tables import columns_of, spoken

    sides = {"prompt": pairs.prompts, "chosen": pairs.chosen, "rejected": pairs.rejected}
    tokens = {name: spoken(side.tolist()) for name, side in sides.items()}
    written = columns_of(tokens, world, spelling_of(world.settings, world.simulated.end))
    write_table(pa.table({name: written[name] for name in sides}), folder / "messages.parquet")
    return "messages.parquet"
