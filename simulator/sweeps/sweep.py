"""What a sweep is: the settings that its runs share, and the grid of what varies.

A sweep file has, beside the tables of simulator/settings/tables.py, one for the grid, `[sweep]`. Any key of another
table may be listed there by its full name, such as `"data.pairs" = [64, 256]`, and becomes an axis of the grid.
"""

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

import tomli_w
from pydantic import (
    AfterValidator,
    Field,
    PlainSerializer,
    PlainValidator,
    PrivateAttr,
    ValidationError,
    WithJsonSchema,
    create_model,
    model_validator,
)
from pydantic_core import PydanticCustomError

from simulator.common.errors import ConfigError, short
from simulator.methods import METHODS
from simulator.methods.method import Choices
from simulator.objectives import KNOWN_AS, OBJECTIVES
from simulator.objectives.losses.gpo import LOSSES
from simulator.objectives.mixtures import canonical, is_mixture, mixture
from simulator.own_rewards.source import CodeSource
from simulator.settings.config_errors import complain, known_keys
from simulator.settings.table import TEXT, Positive, Table, choice, distinct, one_of, path_like
from simulator.settings.tables import Settings
from simulator.settings.toml import check_values, flatten, override, place, read_toml
from simulator.sweeps.sweep_files import aliases_in, find_sweep_file, origin, place_in_grid
from simulator.user_code.loading import is_own

RUN_LIMIT = 10_000_000
SEED_LIMIT = 2**31
SEEDS_RULE = (
    "must be how many seeds there are, at least 1, or a list of different ones, such as [4, 5], each at least 0"
)
CELL_LIMIT = 512  # of methods, objectives and values of further axes: the grid without beta and seed
LIST_LIMIT = 1_000
LOSS_LIMIT = 100

METHOD_KNOWN_AS = (
    dict.fromkeys(("dpo", "ipo", "slic"), "gpo")
    | dict.fromkeys(("ppo", "rloo", "grpo", "dr_grpo", "reinforce_pp"), "rl")
    | {"bon": "best_of_n"}
) | {name: f'gpo with sweep.loss = "{name}"' for name in OBJECTIVES}

if TYPE_CHECKING:
    RunSettings = Settings
else:
    TABLES = {method.table.key: (method.table, method.table()) for method in METHODS.values() if method.table}
    RunSettings = create_model("RunSettings", __base__=Settings, **TABLES)
    RunSettings.__doc__ = Settings.__doc__

AXES = frozenset(known_keys(RunSettings))
known_loss = one_of([*OBJECTIVES, "my_file.py:function"], known_as=KNOWN_AS)


def loss_name(value: str) -> str:
    """One of our objectives, a sum of them, or a file of the user's with a function in it."""
    if is_mixture(value):
        try:
            return canonical(value)
        except ValueError as error:
            raise PydanticCustomError("sum", "{why}", {"why": str(error)}) from None
    if is_own(value):
        return os.path.normpath(value).replace(os.sep, "/")  # run_ids follow from it, on every system the same
    if value.endswith(".py") or ".py:" in value:
        raise ValueError(f"{short(value)}: must name a function in the file, as {short(value.split(':')[0])}:function")
    return known_loss(KNOWN_AS.get(value, value))


def is_axis(name: str) -> bool:
    """Whether a dotted name is a key, or a table, that all of a run's settings have."""
    return name in AXES or any(key.startswith(f"{name}.") for key in AXES)


MethodName = Annotated[str, AfterValidator(one_of(METHODS, known_as=METHOD_KNOWN_AS)), choice(METHODS)]
LossName = Annotated[str, Field(max_length=TEXT), AfterValidator(path_like), AfterValidator(loss_name)]
Penalty = Annotated[float, Field(ge=0, le=1e12)]
Hash = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


def seed_list(value: object) -> int | tuple[int, ...]:
    """How many seeds there are, from 0 on, or which: in rising order, and as a number where they are from 0 on."""
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= RUN_LIMIT:
        return value
    values = list(value) if isinstance(value, list | tuple) else []
    whole = all(isinstance(one, int) and not isinstance(one, bool) and 0 <= one < SEED_LIMIT for one in values)
    if not values or not whole or len({*values}) < len(values) or len(values) > RUN_LIMIT:
        raise PydanticCustomError("seeds", SEEDS_RULE)
    values.sort()
    return len(values) if values == list(range(len(values))) else tuple(values)


Seeds = Annotated[
    int | tuple[int, ...],
    PlainValidator(seed_list),
    PlainSerializer(lambda seeds: seeds, return_type=Any),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 1, "maximum": RUN_LIMIT},
                {
                    "type": "array",
                    "items": {"type": "integer", "minimum": 0, "maximum": SEED_LIMIT - 1},
                    "minItems": 1,
                    "maxItems": RUN_LIMIT,
                    "uniqueItems": True,
                },
            ]
        }
    ),
]


class Grid(Table):
    """[sweep]. The grid: every method, its strengths, every seed, and every value of every further axis.

    loss and beta are those of "gpo": any of OBJECTIVES, a sum of them, or `my_file.py:function`. penalty, of KL, is
    that of "rl" and "iterated"; the other methods follow one of their own.
    """

    method: Annotated[
        tuple[MethodName, ...], Field(strict=False, max_length=len(METHODS)), AfterValidator(distinct)
    ] = ("gpo",)
    """How policies are made: "gpo" learns from pairs; "best_of_n", "rl" and "gibbs" follow a proxy; "iterated" a new
    one in each round."""
    loss: Annotated[tuple[LossName, ...], Field(strict=False, max_length=LOSS_LIMIT), AfterValidator(distinct)] = tuple(
        LOSSES
    )
    """Objectives of "gpo": any of ours, "logistic + 0.5 sft", or "mine.py:half", a function of your own."""
    beta: Annotated[tuple[Positive, ...], Field(strict=False, max_length=LIST_LIMIT), AfterValidator(distinct)] = (
        *(0.01, 0.03, 0.1, 0.2),
        *(0.5, 1.0, 3.0, 10.0),
    )
    """Strength of regularization, for "gpo"."""
    penalty: Annotated[tuple[Penalty, ...], Field(strict=False, max_length=LIST_LIMIT), AfterValidator(distinct)] = (
        0.0,
    )
    """Of KL, for "rl" and "iterated", in deviations of gold to a nat."""
    seeds: Seeds = 4
    """Each is a fresh draw of pairs, labels and batches in the same world; a number of them, or a list, [4, 5]."""
    axes: dict[str, Annotated[tuple[Any, ...], Field(strict=False), AfterValidator(distinct)]] = Field(
        default_factory=dict
    )

    @model_validator(mode="before")
    @classmethod
    def _gather_axes(cls, table: Any) -> Any:
        """Single values become lists of one; `"data.pairs"` and nested `data.pairs` become axes."""
        if not isinstance(table, dict):
            return table
        gathered: dict[str, Any] = {"axes": {}}
        for key, value in table.items():
            apart = "." in key or isinstance(value, dict)
            for name, found in flatten(key, value) if apart else [(key, value)]:
                values = found if isinstance(found, list | tuple) else [found]
                if len(values) > LIST_LIMIT and name != "seeds":
                    raise ValueError(f"{short(name)} lists {len(values):,} values; it must list at most {LIST_LIMIT:,}")
                if name in gathered["axes"]:
                    raise ValueError(f"{short(name)} comes twice, as a quoted key and as one of a table")
                if apart and is_axis(name):
                    gathered["axes"][name] = values
                elif key == "axes":
                    raise ValueError('axes is no key; what varies is named itself, such as "data.pairs" = [64, 256]')
                else:
                    gathered[name] = values if key in ("method", "loss", "beta", "penalty") and not apart else found
        return gathered

    @model_validator(mode="after")
    def _is_bounded(self) -> Self:
        for count, most, what in (
            (self.runs, RUN_LIMIT, "runs"),
            (self.cells, CELL_LIMIT, "cells before beta and seeds"),
        ):
            if count > most:
                lists = {
                    "method": self.method,
                    "loss": self.loss,
                    "beta": self.beta,
                    "penalty": self.penalty,
                } | self.axes
                sizes = [f"{len(values)} {name}" for name, values in lists.items() if len(values) > 1]
                which = f"{' × '.join(sizes)}; {len(self.seed_values):,} seeds"
                raise ValueError(f"the grid has {count:,} {what}; it must have at most {most:,} ({which})")
        return self

    @property
    def seed_values(self) -> Sequence[int]:
        """Every seed."""
        return range(self.seeds) if isinstance(self.seeds, int) else self.seeds

    @property
    def points(self) -> int:
        """How many combinations of values the further axes have."""
        return math.prod(map(len, self.axes.values()))

    @property
    def cells(self) -> int:
        """How many combinations the grid has before beta, penalty and seed."""
        return self.points * sum(len(self.loss) if METHODS[name].pairwise else 1 for name in self.method)

    @property
    def runs(self) -> int:
        """How many runs the grid has, those that some axis or seed makes no difference to counted again."""
        logistic = OBJECTIVES["logistic"]
        some = [mixture(name) if is_mixture(name) else OBJECTIVES.get(name, logistic) for name in self.loss]
        given = Choices(loss=some, beta=self.beta, penalty=self.penalty)
        return self.points * len(self.seed_values) * sum(len(METHODS[name].grid(given)) for name in self.method)


class Keep(Table):
    """[keep]. What a sweep keeps beside its tables; runs are the same whatever it is."""

    policies: Literal["auto", "none", "end", "checkpoints"] = "auto"
    """Which trained policies: at the "end" of each run, at all "checkpoints", "none"; "auto": "end" up to 256 MiB."""


class Sweep(RunSettings):
    """A whole sweep: `Settings` shared by all its runs, and the grid of what varies.

    texts: the SHA-256 of each text file that a language is read from, and of each file of pairs; code: of what each
    loss and gold reward of the user's own uses, so that records never mix two of them.
    """

    sweep: Grid = Grid()
    keep: Keep = Keep()
    texts: dict[str, Hash] = Field(default_factory=dict, max_length=LIST_LIMIT)
    code: dict[str, Hash] = Field(default_factory=dict, max_length=LIST_LIMIT)
    _aliases_used: tuple[str, ...] = PrivateAttr(default=())

    def __eq__(self, other: object) -> bool:
        """Whether the settings are equal, wherever they were read from."""
        return isinstance(other, Sweep) and self.model_dump() == other.model_dump()

    __hash__ = RunSettings.__hash__

    @property
    def base_folder(self) -> Path | None:
        """The folder of the sweep file, where files that it names are looked up first."""
        return self.source.base_folder

    @property
    def aliases_used(self) -> tuple[str, ...]:
        """Names of losses in the sweep file that are not ours, such as dpo, and stand for one of ours."""
        return self._aliases_used

    @classmethod
    def from_toml(cls, path: str | Path, overrides: Sequence[str] = (), *, beside: Path | None = None) -> Self:
        """Read a sweep file, or the sweep of this name that ships; each of `overrides`, such as "world.prompts=4",
        replaces one key.

        beside: where files that it names are looked up first; its own folder unless said. Raises ConfigError, which
        says what is wrong and where.
        """
        path = find_sweep_file(path)
        tables = read_toml(path)
        changed = [override(tables, text) for text in overrides]
        try:
            check_values(tables)
            sweep = cls.model_validate(tables)
            sweep._source = CodeSource(base_folder=beside or path.parent)
            sweep._aliases_used = aliases_in(tables)
            return sweep
        except ValidationError as error:
            raise ConfigError(*complain(error, cls, origin=lambda key: origin(key, path, changed))) from None
        except ConfigError as error:
            key = str(error).partition(" = ")[0]
            raise ConfigError(f"{error} ({origin(key, path, changed)})") from None

    def settings_at(self, point: Mapping[str, Any]) -> Settings:
        """The settings at one point of the grid, given by dotted key and value. Raises ConfigError."""
        tables = self.model_dump(exclude={"sweep", "keep", "texts", "code"})
        for name, value in point.items():
            place(tables, name, value)
        try:
            return RunSettings.model_validate(tables).found_in(self.source)
        except ValidationError as error:
            lines = complain(error, RunSettings, origin=lambda key: place_in_grid(key, point))
            raise ConfigError(*lines) from None

    def to_toml(self) -> str:
        """The resolved sweep, defaults included, as TOML that reads back to an equal sweep."""
        tables = self.model_dump(mode="json")
        tables["sweep"] |= tables["sweep"].pop("axes")
        for name in ("texts", "code"):
            if not tables[name]:
                del tables[name]
        return tomli_w.dumps(tables)
