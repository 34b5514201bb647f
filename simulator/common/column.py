"""What is known of a column of the tables: each is described once, where it is made."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["name", "setting", "place", "measured"]


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column of `curves.parquet`."""

    name: str
    unit: str
    about: str  # what it is, in a few words
    kind: Kind = "measured"  # only settings are axes of an experiment
    error: bool = False  # whether a column NAME_se holds its standard error, 0 where it is exact
    squared: bool = False  # whether it is quadratic in log-ratios, and so is its rounding
    always: bool = True  # whether it is there, empty if need be, in every sweep
    tidied: bool = True  # whether what is 0 but for rounding is 0

    def with_error(self) -> "tuple[Column, Column]":
        """The column, and that of its standard error."""
        return self, self.standard_error()

    def standard_error(self) -> "Column":
        """The column of its standard error."""
        about = f"standard error of {self.name}; 0 where it is exact"
        return Column(name=f"{self.name}_se", unit=self.unit, about=about, always=self.always)
