"""Files of generations as tables: CSV, Parquet, JSON lines, or one list in JSON.

Only the columns that are needed are kept, since responses are long. The index of a table says where each row stands in
its file, and its name is "row" or "line".
"""

import codecs
import csv
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.records.load import ResultsError

CSV, PARQUET, JSON = (".csv",), (".parquet", ".pq"), (".json", ".jsonl", ".ndjson")
LONGEST = 2**31 - 1  # signs of a text
Choose = Callable[[Sequence[str]], Sequence[str]]


def table_in(path: Path, choose: Choose) -> pd.DataFrame:
    """The table of a file. choose: from the names of its columns to those that are needed. Raises ResultsError."""
    kind = path.suffix.lower()
    if kind not in (*CSV, *PARQUET, *JSON):
        found = f"ends in {kind}" if kind else "has no ending"
        raise ResultsError(f"{path}: must end in {', '.join((*CSV, *PARQUET, *JSON))}, but {found}")
    try:
        if path.is_dir():
            raise ResultsError(f"{path}: is a folder; name the file in it")
        table = csv_table(path, choose) if kind in CSV else None
        table = parquet_table(path, choose) if kind in PARQUET else table
        table = json_table(path, choose) if table is None else table
    except ResultsError:
        raise
    except OSError as error:
        raise ResultsError(f"{path}: cannot be read ({error.strerror or error})") from None
    except Exception as error:  # a damaged file may raise anything
        why = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise ResultsError(f"{path}: cannot be read as {kind.removeprefix('.').upper()} ({why})") from None
    if table.empty:
        raise ResultsError(f"{path}: has no rows")
    return table


def csv_table(path: Path, choose: Choose) -> pd.DataFrame:
    """A table of texts, as they stand in the file. Raises ResultsError where a row is longer or shorter."""
    with path.open("rb") as file:
        if file.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
            raise ResultsError(f"{path}: must be UTF-8 text, but is UTF-16; save it as UTF-8")
    before = csv.field_size_limit(LONGEST)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.reader(file, strict=True)
            there = next(rows, [])
            needed = list(choose(there))
            check_once(needed, there, str(path))
            places = [there.index(name) for name in needed]
            kept: list[list[str]] = [[] for _ in needed]
            for number, row in enumerate(filter(None, rows), 1):
                if len(row) != len(there):
                    raise ResultsError(
                        f"{path}: row {number:,} has {len(row)} values, and the header {len(there)} columns; a text "
                        "with commas must stand in quotes"
                    )
                for values, place in zip(kept, places, strict=True):
                    values.append(row[place])
    finally:
        csv.field_size_limit(before)
    return numbered(
        pd.DataFrame({name: pd.Series(values, dtype=object) for name, values in zip(needed, kept, strict=True)})
    )


def check_once(needed: Sequence[str], there: Sequence[str], source: str) -> None:
    """Raises ResultsError where a column that is needed is there twice."""
    for name in needed:
        if (count := list(there).count(name)) > 1:
            raise ResultsError(f"{source}: has {count} columns {name}; which one is meant cannot be known")


def parquet_table(path: Path, choose: Choose) -> pd.DataFrame:
    """A table of whatever Parquet has."""
    from pyarrow.parquet import ParquetFile

    with ParquetFile(path, page_checksum_verification=True) as file:
        needed = list(choose(file.schema_arrow.names))
        check_once(needed, file.schema_arrow.names, str(path))
        return numbered(file.read(columns=needed).to_pandas()[needed])


def json_table(path: Path, choose: Choose) -> pd.DataFrame:
    """A table of whatever JSON has. The first row says which columns there are."""
    rows, place = json_rows(path)
    found: list[dict[str, Any]] = []
    numbers: list[int] = []
    needed: list[str] = []
    for number, row in rows:
        if not isinstance(row, dict):
            raise ResultsError(f"{path}: {place} {number:,} must be an object with columns, not {type(row).__name__}")
        needed = needed or list(choose(list(row)))
        for name in needed:
            if name not in row:
                raise ResultsError(f"{path}: {place} {number:,} has no {name}, which the first has")
        found.append({name: row[name] for name in needed})
        numbers.append(number)
    table = pd.DataFrame({name: pd.Series([row[name] for row in found], dtype=object) for name in needed})
    table.index = pd.Index(numbers, name=place)
    return table


def json_rows(path: Path) -> tuple[Iterator[tuple[int, Any]], str]:
    """The rows of a file of JSON with their numbers, and what these count: rows of a list, or lines."""
    content = path.read_bytes()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ResultsError(f"{path}: must be UTF-8 text, but byte {error.start:,} is not ({error.reason})") from None
    if text.lstrip()[:1] == "[":
        return enumerate(json.loads(text), 1), "row"
    return line_rows(path, text), "line"


def line_rows(path: Path, text: str) -> Iterator[tuple[int, Any]]:
    """What stands on each line. Raises ResultsError where a line is no JSON."""
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            try:
                row = json.loads(line)
            except ValueError as error:
                raise ResultsError(
                    f"{path}: line {number:,} is no JSON ({error}); write one object on each line, or one list"
                ) from None
            yield number, row


def numbered(table: pd.DataFrame) -> pd.DataFrame:
    """The table with rows that are counted from 1."""
    return table.set_axis(pd.RangeIndex(1, len(table) + 1, name="row"), axis=0)
