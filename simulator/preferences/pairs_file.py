"""Preference pairs from a file of the user's own: `data.file = "pairs.parquet"`, or JSON lines.

A row has `prompt`, `chosen` and `rejected`, each as token ids, as text in the world's tokens, or as messages of the
conversational format, whose contents are joined; `prompt_ids`, `chosen_ids` and `rejected_ids` come first where all
three are there. They are trained on as they are, whoever labelled them. Shapes: N pairs, L prompt length, T response
length.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from simulator.common.errors import ConfigError, nearest
from simulator.common.identity import digest
from simulator.common.text_encoding import without_mark
from simulator.languages.spelling import tokens_in
from simulator.networks.architecture import FILL
from simulator.preferences.pairs import Preferences
from simulator.settings.pair_counts import PARQUET, file_of
from simulator.worlds.protocol import World

COLUMNS = ("prompt", "chosen", "rejected")
IDS = tuple(f"{name}_ids" for name in COLUMNS)
KEY = "data.file = "
FEW = 5  # reasons that a message has


READ: dict[tuple[Any, ...], "FilePairs"] = {}  # by file, and what of a world matters
MOST_READ = 4


@dataclass(frozen=True, kw_only=True)
class FilePairs:
    """The pairs of a file that a world can use, and why the others cannot be: how many for each reason.

    rows: of the file, [N]. prompt: rows of the world's prompts, [N]. responses: token ids [N, 2, T], chosen first.
    """

    rows: tuple[int, ...]
    prompt: torch.Tensor
    responses: torch.Tensor
    refused: Mapping[str, int]

    @property
    def identical(self) -> float:
        """The share of the pairs that are two identical responses."""
        return float((self.responses[:, 0] == self.responses[:, 1]).all(dim=-1).double().mean())

    @property
    def count(self) -> int:
        """How many pairs the file has."""
        return len(self.rows) + sum(self.refused.values())


def rows_of_file(name: str) -> Iterator[dict[str, Any]]:
    """The rows of a file, with the columns that are needed. Raises ConfigError."""
    path = file_of(name)
    try:
        found = parquet_rows(path) if path.suffix == PARQUET else line_rows(path)
        for number, row in enumerate(found):
            names = IDS if all(row.get(each) is not None for each in IDS) else COLUMNS
            missing = [each for each in names if row.get(each) is None]
            if missing:
                hint = nearest(missing[0], row)
                raise ConfigError(f"{KEY}{name}: row {number:,} has no {missing[0]}{hint}")
            yield {plain: row[each] for plain, each in zip(COLUMNS, names, strict=True)}
    except ConfigError:
        raise
    except Exception as error:  # whatever a damaged file makes of a library
        text = " ".join(str(error).split())[:200]
        raise ConfigError(f"{KEY}{name}: cannot be read ({type(error).__name__}: {text})") from None


def parquet_rows(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a Parquet file."""
    from pyarrow.parquet import ParquetFile

    with ParquetFile(path, page_checksum_verification=True) as file:
        there = [name for name in (*COLUMNS, *IDS) if name in file.schema_arrow.names]
        for batch in file.iter_batches(columns=there):
            yield from batch.to_pylist()


def line_rows(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a file of JSON lines. Raises ConfigError where a line is no table."""
    for number, line in enumerate(without_mark(path.read_bytes()).decode().splitlines()):
        if line.strip():
            try:
                row = json.loads(line)
            except ValueError as error:
                raise ConfigError(f"{KEY}{path}: line {number + 1:,} is no JSON ({error})") from None
            if not isinstance(row, dict):
                raise ConfigError(f"{KEY}{path}: line {number + 1:,} must be a table with prompt, chosen and rejected")
            yield row


def text_of(value: Any) -> str | None:
    """Text, or the contents of messages one after another; None for anything else."""
    if isinstance(value, str):
        return value
    if isinstance(value, Sequence) and value and all(isinstance(each, dict) for each in value):
        contents = [each.get("content") for each in value]
        return " ".join(contents) if all(isinstance(each, str) for each in contents) else None
    return None


def ids_of(value: Any, world: World) -> list[int] | None:
    """Token ids, from ids or from text in the world's tokens; -1 for what is no token. None for anything else."""
    if isinstance(value, Sequence) and not isinstance(value, str):
        if all(isinstance(each, int) and not isinstance(each, bool) for each in value):
            return list(value)
        if not all(isinstance(each, dict) for each in value):
            return None
    text = text_of(value)
    if text is None:
        return None
    return tokens_in(text, vocabulary=world.architecture.vocabulary, is_text="text_sha256" in world.facts)


def response_of(ids: list[int], world: World, length: int, *, is_text: bool) -> list[int] | str:
    """A response [T], or why it is none. is_text: it came as text, where an end may be left to be understood."""
    while ids and ids[-1] == FILL and not is_text:
        ids = ids[:-1]
    if any(not 0 <= token < world.architecture.vocabulary for token in ids):
        return "unknown tokens"
    if world.end is not None:
        if world.end in ids[:-1]:
            return "tokens behind the end of a response"
        if is_text and len(ids) < length and (not ids or ids[-1] != world.end):
            ids = [*ids, world.end]
        if len(ids) > length or (len(ids) < length and (not ids or ids[-1] != world.end)):
            return f"responses of other than {length} tokens that do not end"
    elif len(ids) != length:
        return f"responses of other than {length} tokens"
    return ids + [FILL] * (length - len(ids))


def pair_of(row: Mapping[str, Any], world: World, known: Mapping[tuple[int, ...], int], length: int) -> Any:
    """The row of a prompt and two responses, or why a row of the file cannot be used."""
    ids = {name: ids_of(row[name], world) for name in COLUMNS}
    if any(value is None for value in ids.values()):
        return "values that are neither token ids nor text"
    prompt = ids["prompt"] or []
    if any(not 0 <= token < world.architecture.vocabulary for token in prompt):
        return "unknown tokens"
    if tuple(prompt) not in known:
        return "prompts that are none of the world's"
    responses = [
        response_of(ids[name] or [], world, length, is_text=text_of(row[name]) is not None) for name in COLUMNS[1:]
    ]
    wrong = [response for response in responses if isinstance(response, str)]
    return wrong[0] if wrong else (known[tuple(prompt)], responses)


def read_pairs(name: str, world: World) -> FilePairs:
    """The pairs of a file in a world. Raises ConfigError where there is none that it can use."""
    path = file_of(name)
    try:
        there = path.stat()
    except OSError as error:
        raise ConfigError(f"{KEY}{name}: cannot be read ({error.strerror})") from None
    key = name, there.st_mtime_ns, there.st_size, world.facts["reference_sha256"], digest(world.prompts.tolist())
    if key not in READ:
        while len(READ) >= MOST_READ:
            READ.pop(next(iter(READ)))
        READ[key] = usable_pairs(name, world)
    return READ[key]


def usable_pairs(name: str, world: World) -> FilePairs:
    """The pairs of a file in a world, read now. Raises ConfigError."""
    refused = Counter[str]()
    length = world.architecture.context - world.prompts.shape[1] + 1
    known = {tuple(prompt): row for row, prompt in enumerate(world.prompts.tolist())}
    rows, prompts, responses = [], [], []
    for number, row in enumerate(rows_of_file(name)):
        found = pair_of(row, world, known, length)
        if isinstance(found, str):
            refused[found] += 1
            continue
        rows.append(number)
        prompts.append(found[0])
        responses.append(found[1])
    if not rows:
        reasons = "; ".join(f"{count:,} have {why}" for why, count in refused.most_common(FEW)) or "it has no rows"
        raise ConfigError(f"{KEY}{name}: has no pair that this world can use ({reasons})")
    return FilePairs(
        rows=tuple(rows),
        prompt=torch.tensor(prompts, dtype=torch.int64),
        responses=torch.tensor(responses, dtype=torch.int64),
        refused=dict(refused),
    )


def check_pairs_file(name: str, pairs: int, world: World) -> list[str]:
    """What to tell of a file whose first `pairs` usable pairs are trained on. Raises ConfigError where it has fewer."""
    found = read_pairs(name, world)
    told = "; ".join(f"{count:,} ({count / found.count:.0%}) have {why}" for why, count in found.refused.items())
    if len(found.rows) < pairs:
        raise ConfigError(
            f"data.pairs = {pairs}: {name} has {found.count:,} pairs, of which this world can use {len(found.rows):,}"
            f"{f' ({told})' if told else ''}; data.pairs={len(found.rows)} trains on those"
        )
    sentences = [f"{KEY}{name}: of {found.count:,} pairs some are left out: {told}"] if told else []
    if found.identical:
        sentences.append(
            f"{KEY}{name}: {found.identical:.1%} of the pairs are two identical responses, and say nothing"
        )
    return sentences


def file_preferences(name: str, pairs: int, world: World) -> Preferences:
    """The first `pairs` of a file that a world can use, as they are, with gold as their scores. Raises ConfigError."""
    found, device = read_pairs(name, world), world.prompts.device
    prompt, responses = (values[:pairs].to(device) for values in (found.prompt, found.responses))
    return Preferences(
        prompt=prompt,
        responses=responses,
        reference=world.log_reference(prompt[None], responses[None])[0],
        scores=world.gold_of(prompt[None], responses[None])[0],
    )
