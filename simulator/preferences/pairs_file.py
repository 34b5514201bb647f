"""Preference pairs from a file of the user's own: `data.file = "pairs.parquet"`, or JSON lines.

A row has `prompt`, `chosen` and `rejected`, each as token ids, as text in the world's tokens, or as messages of the
conversational format, whose contents are put together as they are. Columns of ids, `prompt_tokens` and so on as in an
export, or `prompt_ids` and so on, come first where all three are there. Pairs are trained on as they are, whoever
labelled them. Shapes: N pairs, L prompt length, T response length.
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
from simulator.settings.data_table import PARQUET, file_of
from simulator.worlds.protocol import World

COLUMNS = ("prompt", "chosen", "rejected")
NAMES = tuple(tuple(f"{name}{end}" for name in COLUMNS) for end in ("_tokens", "_ids", ""))  # the first that are there
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

    def identical(self, pairs: int) -> float:
        """The share of the first `pairs` that are two identical responses."""
        chosen, rejected = self.responses[:pairs].unbind(dim=1)
        return float((chosen == rejected).all(dim=-1).double().mean())

    @property
    def count(self) -> int:
        """How many pairs the file has."""
        return len(self.rows) + sum(self.refused.values())


def rows_of_file(name: str) -> Iterator[dict[str, Any]]:
    """The rows of a file, with the columns that are needed. Raises ConfigError."""
    path = file_of(name)
    try:
        found = parquet_rows(path, name) if path.suffix == PARQUET else line_rows(path, name)
        for place, row in found:
            names = columns_in(row)
            if missing := missing_in(row, names):
                raise ConfigError(f"{KEY}{name}: {place} {missing}")
            yield {plain: row[each] for plain, each in zip(COLUMNS, names, strict=True)}
    except ConfigError:
        raise
    except Exception as error:  # whatever a damaged file makes of a library
        text = " ".join(str(error).split())[:200]
        raise ConfigError(f"{KEY}{name}: cannot be read ({type(error).__name__}: {text})") from None


def columns_in(row: Mapping[str, Any]) -> tuple[str, ...]:
    """The names under which a row has prompt, chosen and rejected."""
    return next((names for names in NAMES if all(row.get(each) is not None for each in names)), COLUMNS)


def missing_in(row: Mapping[str, Any], names: Sequence[str]) -> str:
    """What a row has not, for people; nothing where all is there."""
    for each in names:
        if row.get(each) is None:
            return f"has null as {each}" if each in row else f"has no {each}{nearest(each, row)}"
    return ""


def parquet_rows(path: Path, name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The rows of a Parquet file, and where each is. Raises ConfigError where it has not the columns."""
    from pyarrow.parquet import ParquetFile

    with ParquetFile(path, page_checksum_verification=True) as file:
        there = file.schema_arrow.names
        if missing := missing_in(dict.fromkeys(there, True), columns_in(dict.fromkeys(there, True))):
            raise ConfigError(f"{KEY}{name}: {missing}")
        needed = [each for names in NAMES for each in names if each in there]
        number = 0
        for batch in file.iter_batches(columns=needed):
            for row in batch.to_pylist():
                number += 1
                yield f"row {number:,}", row


def line_rows(path: Path, name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The rows of a file of JSON lines, and where each is. Raises ConfigError where a line is no table."""
    for number, line in enumerate(without_mark(path.read_bytes()).split(b"\n")):
        if line.strip():
            place = f"line {number + 1:,}"
            try:
                row = json.loads(line)
            except ValueError as error:
                raise ConfigError(f"{KEY}{name}: {place} is no JSON ({error})") from None
            if not isinstance(row, dict):
                raise ConfigError(f"{KEY}{name}: {place} must be a table with prompt, chosen and rejected, on one line")
            yield place, row


def texts_in(value: Any) -> list[str] | None:
    """A text, or the contents of messages; None for anything else."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, Sequence) and value and all(isinstance(each, dict) for each in value):
        contents = [each.get("content") for each in value]
        return contents if all(isinstance(each, str) for each in contents) else None
    return None


def ids_of(value: Any, world: World) -> list[int] | None:
    """Token ids, from ids or from text in the world's tokens; -1 for what is no token. None for anything else."""
    if isinstance(value, Sequence) and not isinstance(value, str) and all(type(each) is int for each in value):
        return list(value)
    texts, is_text = texts_in(value), "text_sha256" in world.facts
    if texts is None:
        return None
    vocabulary = world.architecture.vocabulary
    return [token for text in texts for token in tokens_in(text, vocabulary=vocabulary, is_text=is_text)]


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
        response_of(ids[name] or [], world, length, is_text=texts_in(row[name]) is not None) for name in COLUMNS[1:]
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
    same_file = str(path.resolve()), there.st_ino, there.st_mtime_ns, there.st_size
    key = *same_file, world.facts["reference_sha256"], digest(world.prompts.tolist())
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
        reasons = "; ".join(f"{count:,} with {why}" for why, count in refused.most_common(FEW)) or "it has no rows"
        raise ConfigError(f"{KEY}{name}: has no pair that this world can use ({reasons})")
    return FilePairs(
        rows=tuple(rows),
        prompt=torch.tensor(prompts, dtype=torch.int64),
        responses=torch.tensor(responses, dtype=torch.int64),
        refused=dict(refused),
    )


def reasons_of(found: FilePairs) -> str:
    """How many pairs cannot be used, and why; nothing where all can."""
    return "; ".join(f"{count:,} ({count / found.count:.0%}) with {why}" for why, count in found.refused.items())


def enough_pairs(name: str, pairs: int, world: World) -> FilePairs:
    """The pairs of a file that a world can use. Raises ConfigError where they are fewer than `pairs`."""
    found = read_pairs(name, world)
    if (usable := len(found.rows)) < pairs:
        why = f" ({reasons_of(found)})" if found.refused else ""
        raise ConfigError(
            f"data.pairs = {pairs}: {name} has {found.count:,} {'pairs' if found.count > 1 else 'pair'}, of which this "
            f"world can use {usable:,}{why}; data.pairs={usable} trains on those"
        )
    return found


def check_pairs_file(name: str, pairs: int, world: World) -> list[str]:
    """What to warn of in a file whose first `pairs` usable pairs are trained on. Raises ConfigError."""
    found = enough_pairs(name, pairs, world)
    left_out = f"{KEY}{name}: of {found.count:,} pairs some are left out: {reasons_of(found)}" if found.refused else ""
    identical = found.identical(pairs)
    alike = f"{KEY}{name}: {identical:.1%} of the pairs are two identical responses, and say nothing" * (identical > 0)
    return [*filter(None, (left_out, alike))]


def file_preferences(name: str, pairs: int, world: World) -> Preferences:
    """The first `pairs` of a file that a world can use, as they are, with gold as their scores. Raises ConfigError."""
    found, device = enough_pairs(name, pairs, world), world.prompts.device
    prompt, responses = (values[:pairs].to(device) for values in (found.prompt, found.responses))
    return Preferences(
        prompt=prompt,
        responses=responses,
        reference=world.log_reference(prompt[None], responses[None])[0],
        scores=world.gold_of(prompt[None], responses[None])[0],
    )
