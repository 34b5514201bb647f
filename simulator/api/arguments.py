"""What users give to the public functions, checked: settings, lists, seeds, tokens.

Shapes: N sequences, T tokens.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from pydantic import ValidationError
from torch import Tensor

from simulator.common.errors import ConfigError, nearest, shown
from simulator.networks.architecture import FILL
from simulator.settings.config_errors import complain
from simulator.settings.tables import Settings
from simulator.settings.toml import place

LARGEST_SEED = 2**63 - 1
LARGEST = 1e300


def plain(value: Any) -> Any:
    """What numpy, pandas or torch hold as numbers and lists of Python's; lists and tuples with what is in them."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, list | tuple | range):
        return [plain(each) for each in value]
    return value


def changed(settings: Settings, changes: Mapping[str, Any], function: str) -> Settings:
    """The settings with these values at dotted keys; None leaves a key as it is.

    function: what they were given to, in messages. Raises ConfigError.
    """
    tables = settings.model_dump()
    for name, value in changes.items():
        if value is not None:
            place(tables, name, plain(value))
    try:
        return type(settings).model_validate(tables).found_in(settings.source)
    except ValidationError as error:
        raise ConfigError(*complain(error, type(settings), origin=lambda key: f"in {function}()")) from None


def once(named: Mapping[str, Any], settings: Mapping[str, Any] | None, function: str) -> dict[str, Any]:
    """What was given by name, by dotted keys, and what stands in `settings`. Raises ConfigError for a key of both."""
    others, table = dict(settings or {}), next(iter(named)).partition(".")[0]
    for key in others:
        if not isinstance(key, str) or "." not in key:
            raise ConfigError(f"{function}: settings: {shown(key)} has no table in front; write such as {table}.{key}")
    for key, value in named.items():
        if value is not None and key in others:
            raise ConfigError(f"{function}: {key} comes twice, as {key.rpartition('.')[2]}= and in settings")
    return {**named, **others}


def values_of(value: Any, name: str) -> list[Any]:
    """One value or several, as a list. Raises ConfigError where there is none."""
    values = plain(value)
    if isinstance(values, Sequence) and not isinstance(values, str):
        if not values:
            raise ConfigError(f"{name} = []: must be a value, or a list with at least one")
        return list(values)
    return [values]


def numbers_of(value: Any, name: str, rule: str, right: Callable[[float], bool]) -> list[float]:
    """One number or several, as a list. Raises ConfigError where one is not `right`, which `rule` says in words."""
    found = values_of(value, name)
    for each in found:
        is_number = isinstance(each, int | float) and not isinstance(each, bool) and abs(each) < LARGEST
        if not is_number or not right(each):
            raise ConfigError(f"{name} = {shown(each)}: must be {rule}")
    return [float(each) for each in found]


def seeds_of(value: Any) -> list[int]:
    """One seed or several. Raises ConfigError."""
    found = values_of(value, "seed")
    for each in found:
        if isinstance(each, bool) or not isinstance(each, int) or not 0 <= each <= LARGEST_SEED:
            raise ConfigError(f"seed = {shown(each)}: must be a whole number from 0 to {LARGEST_SEED:,}")
    return found


def seed_of(value: Any) -> int:
    """One seed. Raises ConfigError."""
    found = seeds_of(value)
    if len(found) > 1:
        raise ConfigError(f"seed: must be one number here, not {len(found)}")
    return found[0]


def count_of(value: Any, name: str, least: int = 1) -> int:
    """A whole number of at least `least`. Raises ConfigError."""
    number = plain(value)
    if isinstance(number, bool) or not isinstance(number, int) or number < least:
        raise ConfigError(f"{name} = {shown(number)}: must be a whole number of at least {least}")
    return number


def choice_of(value: Any, name: str, choices: Sequence[str], known_as: Mapping[str, str] | None = None) -> str:
    """One of `choices`. Raises ConfigError that names the nearest, or what a name of others stands for here."""
    if isinstance(value, str) and value in choices:
        return value
    stands_for = (known_as or {}).get(value) if isinstance(value, str) else None
    hint = f"; it is {stands_for} here" if stands_for else nearest_of(value, choices) if isinstance(value, str) else ""
    raise ConfigError(f"{name} = {shown(value)}: must be one of {', '.join(choices)}{hint}")


def nearest_of(value: str, choices: Sequence[str]) -> str:
    """A clause that names the choice most like a value, whatever its capitals."""
    return nearest(value, choices) or nearest(value.lower(), choices)


def as_tokens(value: Any, name: str) -> Tensor:
    """Token ids as an int64 tensor, from a tensor, an array or lists. Raises ConfigError."""
    try:
        tokens = value if isinstance(value, Tensor) else torch.from_numpy(whole_numbers(value))
    except (TypeError, ValueError, RuntimeError):
        raise ConfigError(f"{name}: must be token ids, a tensor or an array of whole numbers") from None
    if tokens.is_floating_point() or tokens.is_complex() or tokens.dtype == torch.bool:
        raise ConfigError(f"{name}: must be token ids, whole numbers, not {tokens.dtype}")
    return tokens.to(torch.int64)


def rows_among(prompts: Tensor, known: Tensor, name: str) -> Tensor:
    """Which of the `known` prompts [P, L] these [N, L] are, [N]. Raises ConfigError where one is none."""
    places = {tuple(prompt): row for row, prompt in enumerate(known.tolist())}
    rows = [places.get(tuple(prompt), -1) for prompt in prompts.tolist()]
    if -1 in rows:
        place = rows.index(-1)
        raise ConfigError(f"{name}[{place}]: {prompts[place].tolist()} is no prompt of this world; see world.prompts")
    return torch.tensor(rows, dtype=torch.int64, device=known.device)


def whole_numbers(value: Any) -> np.ndarray:
    """An array, of int64 where it has whole numbers."""
    array = np.asarray(value)
    return np.ascontiguousarray(array.astype(np.int64) if array.dtype.kind in "iu" else array)


def tokens_of(value: Any, name: str, shape: Sequence[int | str], vocabulary: int, *, end: int | None = None) -> Tensor:
    """Token ids as an int64 tensor.

    shape: of each axis its size, or a letter where any will do. end: the token that ends a response, behind which every
    place is -1. Raises ConfigError.
    """
    tokens = as_tokens(value, name)
    expected = f"[{', '.join(map(str, shape))}]"
    fits = tokens.dim() == len(shape) and all(
        isinstance(size, str) or size == there for size, there in zip(shape, tokens.shape, strict=False)
    )
    if not fits:
        raise ConfigError(f"{name}: must have the shape {expected}, not {list(tokens.shape)}")
    least = 0 if end is None else FILL
    wrong = tokens[(tokens < least) | (tokens >= vocabulary)]
    if len(wrong):
        raise ConfigError(f"{name}: token ids must be from {least} to {vocabulary - 1}, not {int(wrong[0])}")
    if end is not None:
        ended = (tokens == end).cumsum(dim=-1) - (tokens == end).long() > 0
        bad = ((tokens == FILL) != ended).any(dim=-1)
        if bad.any():
            raise ConfigError(
                f"{name}: {tokens[bad][0].tolist()} must be {FILL} in every place behind its first {end}, which ends a "
                "response, and nowhere else"
            )
    return tokens
