"""What a sweep is: every setting, its rule and its default.

A sweep file has one table for each part of the experiment and one, `[sweep]`, for the grid. Every key is
optional. Any key of another table may be listed under `[sweep]` by its full name, such as
`"data.pairs" = [64, 256]`, and becomes an axis of the grid.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import tomli_w
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from gold_rewards import GOLD_REWARDS, Labels
from simulator.complaints import ConfigError, at_least, complain, distinct, one_of
from simulator.losses import LOSSES
from simulator.preferences import Behaviour
from simulator.toml_input import flatten, override, place, read_toml

ENUMERABLE_LIMIT = 2**23
RUN_LIMIT = 10**6

Count = Annotated[int, Field(ge=1, le=10**9)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]
Positive = Annotated[float, Field(gt=0, le=1e12), AfterValidator(at_least(1e-12))]
Share = Annotated[float, Field(ge=0, le=1)]


class Table(BaseModel):
    """One table of a sweep file: unknown keys, wrong types, infinities and NaN are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Language(Table):
    """[world.language]. The Markov grammar that the reference learns; see simulator/language.py."""

    topics: Count | Literal["auto"] = "auto"
    branching: Count | Literal["auto"] = "auto"
    slip: Annotated[float, Field(gt=0, lt=1), AfterValidator(at_least(1e-9))] = 0.02


class World(Table):
    """[world]. Prompts, and responses of `response_length` tokens out of `vocabulary`."""

    kind: Literal["enumerable"] = "enumerable"
    vocabulary: Annotated[int, Field(ge=2, le=1024)] = 8
    response_length: Annotated[int, Field(ge=1, le=256)] = 4
    prompts: Count = 16
    prompt_length: Annotated[int, Field(ge=1, le=256)] = 2
    language: Language = Language()
    seed: Seed = 0

    @property
    def topics(self) -> int:
        """Topics of the language; "auto" means 4, or as many as there are tokens."""
        return min(4, self.vocabulary) if self.language.topics == "auto" else self.language.topics

    @property
    def branching(self) -> int:
        """Grammatical successors of a token; "auto" means V^(2/3), for two thirds of the largest entropy."""
        auto = self.language.branching == "auto"
        return round(self.vocabulary ** (2 / 3)) if auto else int(self.language.branching)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        for name, value in (("topics", self.topics), ("branching", self.branching)):
            if value > self.vocabulary:
                raise ValueError(f"language.{name} (={value}) must be at most vocabulary (={self.vocabulary})")
        readable = self.topics * self.vocabulary ** (self.prompt_length - 1)
        if self.prompts > readable:
            raise ValueError(
                f"prompts (={self.prompts}) must be at most topics * vocabulary^(prompt_length - 1) (={readable}), "
                "the number of different prompts"
            )
        if self.prompts * self.vocabulary**self.response_length > ENUMERABLE_LIMIT:
            raise ValueError(
                f"prompts * vocabulary^response_length (={self.prompts} * {self.vocabulary}^{self.response_length}) "
                f"must be at most {ENUMERABLE_LIMIT:,} for every response to be listed: lower vocabulary, "
                "response_length or prompts"
            )
        return self


class Reference(Table):
    """[reference]. Maximum-likelihood training of the reference; its architecture is that of [policy]."""

    steps: Count = 2000
    batch: Count = 128
    learning_rate: Positive = 0.01


class Gold(Table):
    """[gold]. Content (`reward`) plus `fluency` times fluency, each in standard deviations under the reference."""

    reward: Annotated[str, AfterValidator(one_of(GOLD_REWARDS))] = "transformer"
    fluency: Annotated[float, Field(ge=0, le=1000)] = 1.0
    seed: Seed = 0


class Data(Table):
    """[data]. Preference pairs of one seed, and who labels them; see simulator/preferences.py."""

    pairs: Annotated[int, Field(ge=1, le=10**7)] = 1024
    behaviour: Behaviour = "reference"
    behaviour_temperature: Positive = 2.0
    uniform_share: Share = 0.25
    labels: Labels = "bradley_terry"
    temperature: Positive = 1.0
    label_noise: Share = 0.0
    labeller: Literal["gold"] = "gold"


class Policy(Table):
    """[policy]. Architecture of the policy and of the reference that it starts from."""

    layers: Annotated[int, Field(ge=1, le=100)] = 1
    width: Annotated[int, Field(ge=1, le=16384)] = 16
    heads: Annotated[int, Field(ge=1, le=1024)] = 2

    @model_validator(mode="after")
    def _divides(self) -> Self:
        if self.width % self.heads:
            raise ValueError(f"width (={self.width}) must be divisible by heads (={self.heads})")
        return self


class Train(Table):
    """[train]. `batch` pairs a step, or all pairs where there are fewer; `clip` = 0 leaves gradients alone."""

    steps: Count = 600
    batch: Count = 32
    learning_rate: Positive = 0.003
    optimizer: Literal["adam", "adamw"] = "adam"
    weight_decay: Annotated[float, Field(ge=0, le=1)] = 0.01
    schedule: Literal["constant", "linear", "cosine"] = "constant"
    warmup: Annotated[int, Field(ge=0, le=10**9)] = 0
    clip: Annotated[float, Field(ge=0, le=1e12)] = 1.0
    checkpoints: Annotated[int, Field(ge=2, le=10_000)] = 24

    @model_validator(mode="after")
    def _warms_up(self) -> Self:
        if self.warmup > self.steps:
            raise ValueError(f"warmup (={self.warmup}) must be at most steps (={self.steps})")
        return self


KNOWN_AS = {"dpo": "logistic", "ipo": "squared", "slic": "hinge"}
LossName = Annotated[str, AfterValidator(one_of(LOSSES, known_as=KNOWN_AS))]


class Grid(Table):
    """[sweep]. The grid: every method, loss, beta and seed, and every value of every further axis."""

    method: Literal["gpo"] = "gpo"
    loss: Annotated[tuple[LossName, ...], Field(strict=False), AfterValidator(distinct)] = tuple(LOSSES)
    beta: Annotated[tuple[Positive, ...], Field(strict=False), AfterValidator(distinct)] = (
        0.01,
        0.03,
        0.1,
        0.2,
        0.5,
        1.0,
        3.0,
        10.0,
    )
    seeds: Annotated[int, Field(ge=1, le=100_000)] = 4
    axes: dict[str, Annotated[tuple[Any, ...], Field(strict=False), AfterValidator(distinct)]] = {}

    @model_validator(mode="before")
    @classmethod
    def _gather_axes(cls, table: Any) -> Any:
        """Single values become lists of one; `"data.pairs"` and nested `data.pairs` become axes."""
        if not isinstance(table, dict):
            return table
        axes = table.get("axes", {})
        if not isinstance(axes, dict):
            return table
        gathered: dict[str, Any] = {"axes": dict(axes)}
        for key, value in table.items():
            if key == "axes":
                continue
            if "." in key or isinstance(value, dict):
                for name, values in flatten(key, value):
                    gathered["axes"][name] = values if isinstance(values, list | tuple) else [values]
            elif key in ("loss", "beta") and not isinstance(value, list | tuple):
                gathered[key] = [value]
            else:
                gathered[key] = value
        return gathered

    @model_validator(mode="after")
    def _is_bounded(self) -> Self:
        if self.runs > RUN_LIMIT:
            raise ValueError(f"the grid has {self.runs:,} runs; it must have at most {RUN_LIMIT:,}")
        return self

    @property
    def runs(self) -> int:
        """How many runs the grid has."""
        return math.prod(map(len, (self.loss, self.beta, *self.axes.values()))) * self.seeds


class Settings(Table):
    """Everything that a run needs to know but its method, loss, beta and seed."""

    world: World = World()
    reference: Reference = Reference()
    gold: Gold = Gold()
    data: Data = Data()
    policy: Policy = Policy()
    train: Train = Train()


class Sweep(Settings):
    """A whole sweep: `Settings` shared by all its runs, and the grid of what varies."""

    sweep: Grid = Grid()

    @classmethod
    def from_toml(cls, path: str | Path, overrides: Sequence[str] = ()) -> Self:
        """Read a sweep file; each of `overrides`, such as "world.prompts=4", replaces one key.

        Raises ConfigError, which says what is wrong and where.
        """
        tables = read_toml(Path(path))
        for text in overrides:
            override(tables, text)
        try:
            return cls.model_validate(tables)
        except ValidationError as error:
            source = " ".join([str(path), *(f"--set {text}" for text in overrides)])
            raise ConfigError(complain(error, cls, source=source)) from None

    def settings_at(self, point: Mapping[str, Any]) -> Settings:
        """The settings at one point of the grid, given by dotted key and value. Raises ConfigError."""
        tables = self.model_dump(exclude={"sweep"})
        for name, value in point.items():
            place(tables, name, value)
        try:
            return Settings.model_validate(tables)
        except ValidationError as error:
            at = ", ".join(f"{name} = {value}" for name, value in point.items())
            raise ConfigError(complain(error, Settings, source=f"[sweep] at {at}")) from None

    def to_toml(self) -> str:
        """The resolved sweep, defaults included, as TOML that reads back to an equal sweep."""
        tables = self.model_dump(mode="json")
        tables["sweep"] |= tables["sweep"].pop("axes")
        return tomli_w.dumps(tables)
