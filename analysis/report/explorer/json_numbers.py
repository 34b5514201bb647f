"""Numbers as the page holds them: short, and never NaN, which JSON does not have."""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from analysis.records.number_format import ROUNDING

DIGITS = 4


def rounded(value: float, digits: int = DIGITS) -> float | int | None:
    """A number of so many significant digits; None for what is no number."""
    if value is None or not math.isfinite(value):
        return None
    if abs(value) < ROUNDING and digits >= DIGITS:
        return 0
    short = float(f"{value:.{digits}g}")
    return int(short) if short.is_integer() and abs(short) < 1e15 else short


def rounded_list(values: Iterable[float]) -> list[float | int | None]:
    """Numbers, each rounded."""
    return [rounded(value) for value in np.asarray(values, dtype=float).tolist()]


def evenly_spaced(count: int, most: int) -> list[int]:
    """At most so many of `count` places, first and last among them, evenly spaced."""
    if count <= most:
        return list(range(count))
    return sorted({round(i * (count - 1) / (most - 1)) for i in range(most)})


def json_value(value: Any) -> str:
    """A setting as people read it."""
    if isinstance(value, float):
        return f"{value:g}"
    return str(value).replace("_", " ") if isinstance(value, str) else str(value)
