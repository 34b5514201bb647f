"""What a user is told when a sweep cannot be: the key, the rule, the value that came, the nearest right one."""

import difflib
import itertools
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from simulator.common.errors import EMPTY, SHOWN, nearest, short, shown

UNION_BRANCHES = ("constrained-", "literal[", "function-after[")  # how pydantic begins the names of a union's members


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


def assignments(point: Mapping[str, Any]) -> str:
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
    message = message[:1].lower() + message[1:].replace("'", '"')
    return message.replace("a valid tuple", "a list").replace("a valid boolean", "true or false")


def _unknown(name: str, value: object, model: type[BaseModel]) -> str:
    """What is said of a key that there is not: the most similar one beside it, or elsewhere, or all beside it."""
    keys = known_keys(model)
    axis = name.startswith("sweep.")
    folder, _, last = name.removeprefix("sweep.").rpartition(".")
    folder = folder or ("sweep" if axis else "")
    inner = [key.removeprefix(f"{folder}.").split(".")[0] for key in keys if folder and key.startswith(f"{folder}.")]
    beside = [f"{folder}.{key}" for key in dict.fromkeys(inner)]
    siblings = beside or [key for key in model.model_fields if key not in ("texts", "code")]
    problem = f"unknown key {name} (= {shown(value)})"
    for choices, cutoff in ((siblings, 0.6), (keys, 0.8)) if folder else ((keys, 0.8), (siblings, 0.6)):
        by_last = {key.rpartition(".")[2]: key for key in reversed(choices)}  # the first of two with one name
        found = difflib.get_close_matches(last, by_last, n=1, cutoff=cutoff)
        if found:
            right = by_last[found[0]]
            return f"{problem}; did you mean {'sweep.' if axis and not right.startswith('sweep.') else ''}{right}?"
    return f"{problem}; known here: {', '.join(key.rpartition('.')[2] for key in siblings)}"


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
    opening = f"{name} = {shown(first['input'])}"
    if first["type"] == "value_error":
        opening = "" if _rule(first).startswith(f"{name}.") else name
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
