"""Names that follow from content: digests of settings, in which 0.1 + 0.2 and 0.3 are one."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

DIGITS = 12  # of a float that names a setting: 0.1 + 0.2 and 0.3 are one


def rounded(value: object) -> object:
    """`value` with every number in it at DIGITS significant digits, as a string."""
    if isinstance(value, str | bool):
        return value
    if isinstance(value, dict):
        return {key: rounded(inner) for key, inner in value.items()}
    if isinstance(value, float | int):
        return f"{value + 0.0:.{DIGITS}g}" if abs(value) < 1e15 else str(value)  # -0.0 is 0
    return [rounded(inner) for inner in value] if isinstance(value, list | tuple) else value


def digest(value: object) -> str:
    """Ten hexadecimal digits that name a value made of tables, lists, strings and numbers."""
    return hashlib.sha256(json.dumps(rounded(value), sort_keys=True).encode()).hexdigest()[:10]


def leave_out(tables: Mapping[str, Any], keys: Mapping[str, Any]) -> dict[str, Any]:
    """`tables` without some keys of each, as `keys` lists them by table; None stands for the whole table.

    A key with a dot is one of an inner table.
    """
    kept = {}
    for table, values in tables.items():
        dropped = keys.get(table, ())
        if dropped is None:
            continue
        inner: dict[str, list[str]] = {}
        for key in dropped:
            outer, _, rest = key.partition(".")
            inner.setdefault(outer, []).extend([rest] if rest else [])
        left = {key: value for key, value in values.items() if key not in dropped}
        some = {key: rest for key, rest in inner.items() if rest and key in left}
        kept[table] = left | leave_out({key: left[key] for key in some}, some)
    return kept
