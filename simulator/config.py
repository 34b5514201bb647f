"""What a sweep is: the settings that its runs share, and the grid of what varies.

A sweep file has, beside the tables of simulator/settings.py, one for the grid, `[sweep]`. Any key of another table may
be listed there by its full name, such as `"data.pairs" = [64, 256]`, and becomes an axis of the grid.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import tomli_w
from pydantic import AfterValidator, Field, ValidationError, model_validator

from simulator.complaints import ConfigError, complain, distinct, one_of
from simulator.losses import LOSSES
from simulator.settings import Positive, Settings, Table
from simulator.toml_input import flatten, override, place, read_toml

RUN_LIMIT = 10**6

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
    axes: dict[str, Annotated[tuple[Any, ...], Field(strict=False), AfterValidator(distinct)]] = Field(
        default_factory=dict
    )

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


class Sweep(Settings):
    """A whole sweep: `Settings` shared by all its runs, and the grid of what varies.

    texts: the SHA-256 of each text file that a language is read from, so that records never mix two of them.
    """

    sweep: Grid = Grid()
    texts: dict[str, str] = Field(default_factory=dict)

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
        tables = self.model_dump(exclude={"sweep", "texts"})
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
        if not self.texts:
            del tables["texts"]
        return tomli_w.dumps(tables)
