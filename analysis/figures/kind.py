"""What a figure of result directories is. To add one, write a module in a folder here, with a FIGURE in it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from analysis.figures.layout import Picture
from analysis.records.load import final_rows

Shows = Literal["point", "axis", "pairs", "proxies", "external", "worked", "other"]


def always(curves: pd.DataFrame) -> bool:
    """For figures that every sweep has something to show in."""
    return True


def has_beta(curves: pd.DataFrame) -> bool:
    """Whether some loss has a beta."""
    return bool(final_rows(curves)["beta"].notna().any())


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A figure: drawn where it applies, from the curves.

    shows: training on pairs at each "point" of the further axes, the values of each further "axis", or all "pairs" at
    once; what is optimized against "proxies"; policies from elsewhere ("external") beside those on pairs; what is
    "worked" out without any sweep; or "other", drawn from other tables by the registry.
    """

    name: str  # of the file
    caption: str  # on the page
    rank: int  # where on the page, the least first
    shows: Shows
    draw: Callable[..., Picture]
    applies: Callable[[pd.DataFrame], bool] = always
    says: Callable[[pd.DataFrame], list[str]] | None = None  # what a command that drew it prints of its table
