"""Preference pairs, prompts and gold as Parquet, with the columns that trainers of TRL read.

Shapes: N pairs, P prompts, L prompt length, G responses in all, T response length.

`prompt`, `chosen` and `rejected` are lists of messages. TRL adds an end to text, which no response of ours needs, and
none to messages. Ids stand in `…_tokens`, without the -1 behind an end: a column `chosen_ids` would be taken for whole
sequences by TRL's RewardTrainer, and `margin` for a margin of rewards.
"""

import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow.parquet import write_table

from simulator.api.pairs import Pairs
from simulator.api.world import World
from simulator.interchange.spelling import Spelling, is_text
from simulator.settings.data_table import Data
from simulator.settings.labels import has_ties
from simulator.settings.relevant_keys import unread_keys
from simulator.settings.run import Run, axis_column
from simulator.settings.tables import Settings

MESSAGES = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))
TOKENS = pa.list_(pa.int64())
MOST_LISTED = 2**20  # rows of the table of gold
APART = ("pairs", "labeller", "pool")  # keys of [data] that make no other pairs, or fewer
SIDES = ("chosen", "rejected")


@dataclass(frozen=True, kw_only=True)
class DataSetting:
    """One way in which runs of the sweep draw pairs: [data] with the most pairs of these runs, and their seeds."""

    data: Data
    seeds: tuple[int, ...]


def drawing(settings: Settings) -> dict[str, Any]:
    """The keys of [data] that pairs follow from, but for how many."""
    left_out = {*APART, *unread_keys(settings)["data"]}
    return {name: value for name, value in settings.data.model_dump().items() if name not in left_out}


def data_settings(runs: Sequence[Run]) -> list[DataSetting]:
    """The ways in which runs draw pairs, in the order of the grid. Unfiltered, fewer pairs are the first of more."""
    data: dict[str, Data] = {}
    seeds: dict[str, dict[int, None]] = {}
    counted = any(is_filtered(run.settings.data) for run in runs)
    for run in runs:
        mine = run.settings.data
        key = json.dumps([drawing(run.settings), mine.pairs if counted else 0])
        if key not in data or data[key].pairs < mine.pairs:
            data[key] = mine
        seeds.setdefault(key, {})[run.seed] = None
    return [DataSetting(data=data[key], seeds=tuple(sorted(seeds[key]))) for key in data]


def is_filtered(data: Data) -> bool:
    """Whether some of the labelled pairs are dropped."""
    return data.filter != "none"


def varying(settings: Sequence[DataSetting]) -> list[str]:
    """The keys of [data] in which several ways to draw pairs differ; the number of pairs aside, unless filtered."""
    tables = [setting.data.model_dump() for setting in settings]
    counted = {"pairs"} if any(is_filtered(setting.data) for setting in settings) else set()
    names = [name for name in Data.model_fields if name not in APART or name in counted]
    return [name for name in names if len({table[name] for table in tables}) > 1]


@dataclass(frozen=True, kw_only=True)
class PairsTable:
    """The pairs of all seeds as a table, and how many responses or prompts in it are bytes that are no UTF-8."""

    table: pa.Table
    no_text: int


def pairs_table(world: World, spelling: Spelling, settings: Sequence[DataSetting]) -> PairsTable:
    """`preferences.parquet`: pairs that gold labelled, for each way to draw them and each seed. Raises ConfigError."""
    names, parts, no_text = varying(settings), [], 0
    for setting in settings:
        keys = setting.data.model_dump()
        here = replace(world, settings=world.settings.model_copy(update={"data": setting.data}))
        for seed in setting.seeds:
            drawn = here.preferences(seed=seed)
            assert drawn.gold is not None
            sides = {"prompt": drawn.prompts, "chosen": drawn.chosen, "rejected": drawn.rejected}
            tokens = {name: spoken(side.tolist()) for name, side in sides.items()}
            no_text += spelling.kind == "bytes" and sum(
                not is_text(said) for found in tokens.values() for said in found
            )
            gold = dict(zip(SIDES, drawn.gold.double().cpu().numpy().T, strict=True))
            constant = {"seed": seed, **{axis_column(f"data.{name}"): keys[name] for name in names}}
            parts.append(
                pa.table(
                    {
                        **columns_of(tokens, world, spelling),
                        **{f"gold_{side}": np.ascontiguousarray(gold[side]) for side in SIDES},
                        "pair": np.arange(len(drawn)),
                        **({"tied": tied_of(drawn)} if any(has_ties(each.data) for each in settings) else {}),
                        **{name: pa.array([value] * len(drawn)) for name, value in constant.items()},
                    }
                )
            )
    return PairsTable(table=pa.concat_tables(parts), no_text=no_text)


def tied_of(pairs: Pairs) -> np.ndarray:
    """Which pairs gold labelled a tie, [N]."""
    if pairs.weights is None:
        return np.zeros(len(pairs), dtype=bool)
    return (pairs.weights[:, 0] == pairs.weights[:, 1]).cpu().numpy()


def spoken(sequences: Iterable[Sequence[int]]) -> list[list[int]]:
    """Sequences of ids without those behind an end."""
    return [[token for token in tokens if token >= 0] for tokens in sequences]


def columns_of(tokens: dict[str, list[list[int]]], world: World, spelling: Spelling) -> dict[str, pa.Array]:
    """Messages, texts and ids of prompts and responses, by their names."""
    messages = {
        name: pa.array([[message(name, spelling.text(said))] for said in found], MESSAGES)
        for name, found in tokens.items()
    }
    texts = {f"{name}_text": pa.array([world.spell(said) for said in found]) for name, found in tokens.items()}
    return {**messages, **texts, **{f"{name}_tokens": pa.array(found, TOKENS) for name, found in tokens.items()}}


def message(name: str, content: str) -> dict[str, str]:
    """A prompt is said by a user, and a response by an assistant."""
    return {"role": "user" if name == "prompt" else "assistant", "content": content}


def prompts_table(world: World, spelling: Spelling) -> pa.Table:
    """`prompts.parquet`: every prompt of the world, for trainers that draw responses themselves."""
    return pa.table(columns_of({"prompt": spoken(world.prompts.tolist())}, world, spelling))


def gold_table(world: World) -> pa.Table | None:
    """`gold.parquet`: every response to every prompt, with gold and log pi_ref; None where not all are listed."""
    if not world.simulated.lists_responses or len(world.prompts) * len(world.responses) > MOST_LISTED:
        return None
    prompts, responses = world.prompts, world.responses
    all_of = responses.expand(len(prompts), -1, -1)
    said = responses.tolist()
    return pa.table(
        {
            "prompt_tokens": pa.array([tokens for tokens in prompts.tolist() for _ in said], TOKENS),
            "response_tokens": pa.array(said * len(prompts), TOKENS),
            "response_text": pa.array([world.spell(tokens) for tokens in said] * len(prompts)),
            "gold": world.gold(prompts, all_of).flatten().cpu().numpy(),
            "reference_log_prob": world.reference.log_prob(prompts, all_of).flatten().cpu().numpy(),
        }
    )


def as_parquet(table: pa.Table) -> bytes:
    """A table as a file."""
    content = io.BytesIO()
    write_table(table, content)
    return content.getvalue()
