"""Numbers as people read them."""

import math

ROUNDING = 1e-9  # what is closer to 0 is rounding, in any unit here


def number(value: float, digits: int = 3) -> str:
    """A number of so many significant digits; what is 0 but for rounding is 0, and what is no number a dash."""
    if value is None or math.isnan(value):
        return "-"
    return f"{0.0 if abs(value) < ROUNDING else value:.{digits}g}"


def with_error(value: float, half: float) -> str:
    """A number and half of its interval, such as 1.17 ± 0.15; the number alone where there is none."""
    if not (math.isfinite(value) and math.isfinite(half)):
        return number(value)
    decimals = max(0, 1 - math.floor(math.log10(half))) if half > ROUNDING else 3
    return f"{value + 0.0:.{decimals}f} ± {half:.{decimals}f}".replace(f"-{0:.{decimals}f}", f"{0:.{decimals}f}")
