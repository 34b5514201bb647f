"""Generations: responses of an initial policy, several to each prompt, with proxy scores and a gold score.

A table has a row for each response (long), or a row for each prompt with lists of responses and scores (nested). Rows
of equal prompts belong together, wherever they stand. The order of responses says nothing. Shapes: R responses.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from analysis.generations.columns import Columns, columns_in
from analysis.generations.files import check_once, numbered, table_in
from analysis.records.load import ResultsError

Array = np.ndarray
LONGEST = 60  # signs of a value in a message
TRUTH = {"true": 1.0, "false": 0.0}


@dataclass(frozen=True, kw_only=True)
class Generations:
    """Scored responses of an initial policy.

    source: the file. columns: which of its columns are taken. prompt: the number of its prompt, [R]. proxies: scores
    [R], by the name of their column. gold: [R].
    """

    source: str
    columns: Columns
    prompt: Array
    proxies: Mapping[str, Array]
    gold: Array


def read_generations(
    source: str | Path | pd.DataFrame,
    *,
    prompt: str | Sequence[str] = (),
    proxy: str | Sequence[str] = (),
    gold: str | None = None,
    response: str | None = None,
) -> Generations:
    """Read a table of generated responses with proxy and gold scores.

    source: a file that ends in .csv, .parquet, .json or .jsonl, or a DataFrame. prompt, proxy, gold, response: names of
    columns; looked for unless given. Several columns of prompt are one prompt together. Raises ResultsError, which
    says the file, the row, the column, the rule and the value.
    """
    named: dict[str, Any] = {"prompt": as_list(prompt), "proxy": as_list(proxy), "gold": gold, "response": response}
    if isinstance(source, pd.DataFrame):
        name, there = "the table", [str(each) for each in source.columns]
        columns = columns_in(there, name, **named)
        check_once(columns.all, there, name)
        table = numbered(source.set_axis(there, axis=1)[columns.all])
        if table.empty:
            raise ResultsError("the table: has no rows")
    else:
        name, found = str(source), []

        def choose(there: Sequence[str]) -> list[str]:
            found.append(columns_in(list(there), name, **named))
            return found[0].all

        table = table_in(Path(source), choose)
        columns = found[0]
    prompts = pd.factorize(prompt_keys(table, columns.prompt, name))[0]
    scores = [*columns.proxies, columns.gold]
    if is_list(table[columns.gold].iloc[0]):
        counts = lengths(table, columns, name)
        values = {each: flat_numbers(table[each], name) for each in scores}
        prompts = np.repeat(prompts, counts)
    else:
        values = {each: numbers(table[each], name) for each in scores}
    return Generations(
        source=name,
        columns=columns,
        prompt=prompts,
        proxies={each: values[each] for each in columns.proxies},
        gold=values[columns.gold],
    )


def as_list(names: str | Sequence[str]) -> list[str]:
    """Names, where one may come by itself."""
    return [names] if isinstance(names, str) else list(names)


def is_list(value: object) -> bool:
    """Whether a value is a list of values."""
    return isinstance(value, list | tuple | np.ndarray)


def prompt_keys(table: pd.DataFrame, names: Sequence[str], source: str) -> Array:
    """What tells prompts apart, [rows]. Raises ResultsError where a row has none."""
    first = [key_of(value) for value in table[names[0]]]
    for place, key in zip(table.index, first, strict=True):
        if not key:
            raise ResultsError(f"{source}: {table.index.name} {place:,}: {names[0]} must be a prompt, but is empty")
    others = [[key_of(value) for value in table[name]] for name in names[1:]]
    found = np.empty(len(first), dtype=object)
    found[:] = list(zip(first, *others, strict=True))
    return found


def key_of(value: Any) -> str:
    """A prompt as text: a text, a number, or the messages of a conversation; nothing for what is missing."""
    if isinstance(value, str):
        return value
    if value is None or (isinstance(value, float) and math.isnan(value)) or value is pd.NA:
        return ""
    if isinstance(value, np.ndarray):
        value = value.tolist()
    return json.dumps(value, sort_keys=True, default=str)


def lengths(table: pd.DataFrame, columns: Columns, source: str) -> Array:
    """How many responses each row of a nested table has. Raises ResultsError for lists that are empty, or not alike."""
    counts = {}
    response = [columns.response] if columns.response and is_list(table[columns.response].iloc[0]) else []
    for name in [columns.gold, *columns.proxies, *response]:
        for place, value in table[name].items():
            if not is_list(value):
                raise ResultsError(
                    f"{source}: {table.index.name} {place:,}: {name} must be a list, as {columns.gold} of the first "
                    f"row is, not {shown(value)}"
                )
        counts[name] = table[name].map(len).to_numpy(int)
        wrong = np.flatnonzero(counts[name] != counts[columns.gold])
        if len(wrong):
            row = int(wrong[0])
            raise ResultsError(
                f"{source}: {table.index.name} {table.index[row]:,}: {name} must have a value for each response; it "
                f"has {counts[name][row]:,}, and {columns.gold} {counts[columns.gold][row]:,}"
            )
    empty = np.flatnonzero(counts[columns.gold] == 0)
    if len(empty):
        place = f"{table.index.name} {table.index[int(empty[0])]:,}"
        raise ResultsError(
            f"{source}: {place}: {columns.gold} must have a value for each response, but is an empty list"
        )
    return counts[columns.gold]


def flat_numbers(column: pd.Series, source: str) -> Array:
    """The numbers of all lists of a column, one after the other. Raises ResultsError."""
    parts = []
    for place, value in column.items():
        try:
            part = np.asarray(value, dtype=float)
        except (TypeError, ValueError):
            part = np.array([number_of(each) for each in value])
        if part.ndim != 1 and len(value):
            raise ResultsError(f"{source}: {column.index.name} {place:,}: {column.name} must be a list of numbers")
        wrong = np.flatnonzero(~np.isfinite(part))
        if len(wrong):
            at = f"{column.index.name} {place:,}, response {wrong[0] + 1:,}"
            raise ResultsError(f"{source}: {at}: {rule(column)}, not {shown(value[int(wrong[0])])}")
        parts.append(part)
    return np.concatenate(parts)


def numbers(column: pd.Series, source: str) -> Array:
    """The numbers of a column. Raises ResultsError."""
    try:
        found = column.to_numpy(dtype=float)
    except (TypeError, ValueError):
        found = np.array([number_of(value) for value in column])
    wrong = np.flatnonzero(~np.isfinite(found))
    if len(wrong):
        row = int(wrong[0])
        place = f"{column.index.name} {column.index[row]:,}"
        raise ResultsError(f"{source}: {place}: {rule(column)}, not {shown(column.iloc[row])}")
    return found


def number_of(value: Any) -> float:
    """A value as a number: a number, a text that is one, true or false, or a list of one number; else NaN."""
    if is_list(value) and len(value) == 1:
        value = value[0]
    if isinstance(value, str) and value.strip().lower() in TRUTH:
        return TRUTH[value.strip().lower()]
    try:
        return float(value)
    except (TypeError, ValueError):
        return math.nan


def rule(column: pd.Series) -> str:
    """What a score has to be."""
    return f"{column.name} must be a finite number"


def shown(value: Any) -> str:
    """A value in a message."""
    if is_list(value):
        return f"a list of {len(value):,}"
    if value is None or value is pd.NA or value == "":
        return "an empty value"
    text = json.dumps(value, ensure_ascii=False) if isinstance(value, str) else str(value)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
