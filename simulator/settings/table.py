"""What all tables of a sweep file have in common: their base, the types of their numbers, their validators."""

import unicodedata
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

from simulator.common.errors import nearest
from simulator.common.identity import rounded
from simulator.own_rewards.source import plain_name
from simulator.user_code.loading import is_own

OWN_FUNCTION = r"[^\x00-\x1f\x7f-\x9f]*\.py:[^\W\d]\w*"  # the pattern of a function's name in a file


def one_of(choices: Iterable[str], *, known_as: Mapping[str, str] | None = None) -> Callable[[str], str]:
    """A validator that accepts the names in `choices`; `known_as` are other names that people give them."""
    names, other_names = list(choices), known_as or {}

    def check(value: str) -> str:
        if value not in names:
            plain = value.lower().replace("-", "_")
            other = other_names.get(plain) or next((name for name in names if name.lower() == plain), None)
            hint = f"; did you mean {other}?" if other else nearest(value, names)
            hint = "" if value.startswith("[") else hint
            raise PydanticCustomError(
                "one_of", "must be one of {names}{hint}", {"names": ", ".join(names), "hint": hint}
            )
        return value

    return check


def one_or_own(choices: Iterable[str], *others: str) -> Callable[[str], str]:
    """A validator that accepts the names in `choices`, and functions of the user's own; others: names in messages."""
    known = one_of([*choices, "my_file.py:function", *others])

    def check(value: str) -> str:
        if is_own(value):
            return plain_name(value)
        if value.endswith(".py") or ".py:" in value:
            raise ValueError(f"{value}: must name a function in the file, as {value.split(':')[0]}:function")
        return known(value)

    return check


def at_least(smallest: float) -> Callable[[float], float]:
    """A validator for positive numbers that refuses those too small to compute with."""

    def check(value: float) -> float:
        if value < smallest:
            raise PydanticCustomError("at_least", "must be at least {smallest}", {"smallest": f"{smallest:g}"})
        return value

    return check


def distinct(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """A validator for the values of an axis: at least one, and none twice."""
    if not values:
        raise PydanticCustomError("empty_axis", "must list at least one value")
    if any(isinstance(value, dict | list | tuple) for value in values):
        raise PydanticCustomError("nested_axis", "must list single values, not tables or lists")
    seen: set[object] = set()
    for value in values:
        if rounded(value) in seen:
            raise PydanticCustomError("repeat", "must list every value once; {value} comes twice", {"value": value})
        seen.add(rounded(value))
    return values


TEXT = 4096  # characters of a string at most


Count = Annotated[int, Field(ge=1, le=10**9)]


Seed = Annotated[int, Field(ge=0, lt=2**63)]


Positive = Annotated[float, Field(gt=0, le=1e12, json_schema_extra={"minimum": 1e-12}), AfterValidator(at_least(1e-12))]


Share = Annotated[float, Field(ge=0, le=1)]


Layers = Annotated[int, Field(ge=1, le=100)]


Width = Annotated[int, Field(ge=1, le=16384)]


Heads = Annotated[int, Field(ge=1, le=1024)]


def choice(names: Iterable[str]) -> WithJsonSchema:
    """How a schema tells the names that `one_of` accepts."""
    return WithJsonSchema({"type": "string", "enum": [*names]})


def choice_or_own(names: Iterable[str]) -> WithJsonSchema:
    """How a schema tells what `one_or_own` accepts."""
    named = {"type": "string", "enum": [*names]}
    return WithJsonSchema({"anyOf": [named, {"type": "string", "pattern": f"^{OWN_FUNCTION}$"}]})


def one_byte(value: str) -> str:
    """Refuse what is not one byte of UTF-8; nothing is fine too."""
    if value and (len(value) != 1 or not value.isascii()):
        raise ValueError(f'must be one ASCII character such as "\\n", not {value!r}')
    return value


def path_like(value: str) -> str:
    """Refuse control characters, which no sane path has."""
    if any(unicodedata.category(sign) == "Cc" for sign in value):
        raise PydanticCustomError("control", "must not have control characters")
    return value


class Table(BaseModel):
    """One table of a sweep file: unknown keys, wrong types, infinities and NaN are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


PathText = Annotated[
    str,
    Field(max_length=TEXT, json_schema_extra={"not": {"pattern": r"[\x00-\x1f\x7f-\x9f]"}}),
    AfterValidator(path_like),
]
