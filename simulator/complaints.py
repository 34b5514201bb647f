"""What a user is told when a sweep cannot be: the key, the rule, the value that came, the nearest right one."""

import difflib
import itertools
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, time
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from simulator.terminal import printable

SHOWN = 5
EMPTY = '""'  # a key without a sign
LONGEST = 80  # signs of a key or a value in a message
DIGITS = 12  # of a float that names a setting: 0.1 + 0.2 and 0.3 are one
UNION_BRANCHES = ("constrained-", "literal[", "function-after[")  # how pydantic begins the names of a union's members


class ConfigError(ValueError):
    """The user's input is wrong; its lines say how, and do nothing to a terminal."""

    def __init__(self, *lines: str) -> None:
        super().__init__("\n".join(map(printable, lines)))


def short(text: str) -> str:
    """Text with what is beyond LONGEST signs cut off, printable."""
    text = printable(text[: 2 * LONGEST])
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}…"


def nearest(word: str, choices: Iterable[str]) -> str:
    """A closing clause that names the choice most like `word`, or nothing where none is."""
    found = difflib.get_close_matches(word, list(choices), n=1, cutoff=0.5)
    return f"; did you mean {found[0]}?" if found else ""


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


def rounded(value: object) -> object:
    """`value` with every number in it at DIGITS significant digits, as a string."""
    if isinstance(value, str | bool):
        return value
    if isinstance(value, dict):
        return {key: rounded(inner) for key, inner in value.items()}
    if isinstance(value, float | int):
        return f"{value + 0.0:.{DIGITS}g}" if abs(value) < 1e15 else str(value)  # -0.0 is 0
    return [rounded(inner) for inner in value] if isinstance(value, list | tuple) else value


def shown(value: object) -> str:
    """A value as it may stand in a message: as written in TOML, printable, and short."""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 10**40:
        return "a number of more than 40 digits"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return short(f'"{value}"')
    return short(str(value) if isinstance(value, date | time) else repr(value))


def known_keys(model: type[BaseModel], prefix: str = "") -> list[str]:
    """Every dotted key of a model and of the models in it."""
    keys = []
    for name, field in model.model_fields.items():
        if name == "axes":
            continue
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            keys += known_keys(field.annotation, f"{prefix}{name}.")
        else:
            keys.append(f"{prefix}{name}")
    return keys


def told(point: Mapping[str, Any]) -> str:
    """A point of the grid for a message: `data.pairs = 8, data.label_noise = 0.1`, the first few keys."""
    some = [f"{short(name)} = {shown(value)}" for name, value in itertools.islice(point.items(), SHOWN)]
    return ", ".join([*some, *(["…"] if len(point) > SHOWN else [])])


def _location(error: ErrorDetails) -> tuple[int | str, ...]:
    """Where an error is, without the branch of a union that pydantic adds to the key."""
    *folders, last = error["loc"] or ("",)
    users_own = error["type"] == "extra_forbidden" or (folders and folders[-1] in ("axes", "texts", "code"))
    branch = isinstance(last, str) and last.startswith(UNION_BRANCHES)
    return tuple(folders) if branch and not users_own else error["loc"]


def _name(location: tuple[int | str, ...]) -> str:
    """`("sweep", "beta", 2)` as a user writes it: sweep.beta[2]."""
    return (
        "".join(f"[{part}]" if isinstance(part, int) else f".{short(part) or EMPTY}" for part in location)
        .removeprefix(".")
        .replace("sweep.axes.", "sweep.")
    )


def _rule(error: ErrorDetails) -> str:
    """The rule that a value broke, as what it must be."""
    if error["type"] == "model_type":
        return "must be a table"
    message = error["msg"].removeprefix("Value error, ").replace("Input should be ", "must be ")
    message = re.sub("^(String|Tuple|Dictionary) should ", "must ", message).removesuffix(" after validation")
    return (message[:1].lower() + message[1:].replace("'", '"')).replace("a valid tuple", "a list")


def _unknown(name: str, value: object, model: type[BaseModel]) -> str:
    """What is said of a key that there is not: the most similar one beside it, or elsewhere, or all beside it."""
    keys = known_keys(model)
    axis = name.startswith("sweep.")
    folder, _, last = name.removeprefix("sweep.").rpartition(".")
    folder = folder or ("sweep" if axis else "")
    inner = [key.removeprefix(f"{folder}.").split(".")[0] for key in keys if folder and key.startswith(f"{folder}.")]
    beside = [f"{folder}.{key}" for key in dict.fromkeys(inner)]
    siblings = beside or [key for key in model.model_fields if key not in ("texts", "code")]
    said = f"unknown key {name} (= {shown(value)})"
    for choices, cutoff in ((siblings, 0.6), (keys, 0.8)) if folder else ((keys, 0.8), (siblings, 0.6)):
        by_last = {key.rpartition(".")[2]: key for key in reversed(choices)}  # the first of two with one name
        found = difflib.get_close_matches(last, by_last, n=1, cutoff=cutoff)
        if found:
            right = by_last[found[0]]
            return f"{said}; did you mean {'sweep.' if axis and not right.startswith('sweep.') else ''}{right}?"
    return f"{said}; known here: {', '.join(key.rpartition('.')[2] for key in siblings)}"


def _hint(error: ErrorDetails, name: str) -> str:
    """What a user who wrote this probably wanted."""
    value = error["input"]
    if isinstance(value, str) and value.startswith("[") and name.startswith("sweep."):
        return '; quote the names in a list, such as ["hinge", "squared"]'
    if isinstance(value, str) and "," in value and name.startswith("sweep."):
        return f"; write a list in brackets, such as [{value}]"
    if isinstance(value, list) and error["type"].endswith("_type") and not name.startswith("sweep."):
        return f"; to vary it, list it as sweep.{name}"
    choices = re.findall("'([^']*)'", error["ctx"]["expected"]) if error["type"] == "literal_error" else []
    return nearest(value, choices) if isinstance(value, str) and len(choices) > 1 else ""


def _line(location: tuple[int | str, ...], details: Sequence[ErrorDetails], model: type[BaseModel]) -> str:
    """What is wrong at one key, and all of it on one line."""
    name, first = _name(location), details[0]
    if first["type"] == "extra_forbidden":
        return _unknown(name, first["input"], model)
    opening = name if first["type"] == "value_error" else f"{name} = {shown(first['input'])}"
    return ": ".join(filter(None, [opening, " or ".join(_rule(detail) + _hint(detail, name) for detail in details)]))


def complain(error: ValidationError, model: type[BaseModel], *, origin: Callable[[str], str]) -> list[str]:
    """All that is wrong with the input of `model`, one line for each key, the first few.

    origin: where the value of a key came from, in a few words, given the key.
    """
    faults: dict[tuple[int | str, ...], list[ErrorDetails]] = {}
    for detail in error.errors(include_url=False):
        faults.setdefault(_location(detail), []).append(detail)
    some = itertools.islice(faults.items(), SHOWN)
    lines = [f"{_line(location, details, model)} ({origin(_name(location))})" for location, details in some]
    return [*lines, *([f"and {len(faults) - SHOWN} more"] if len(faults) > SHOWN else [])]
