"""Figures of the tables that single commands leave in a folder."""

from pathlib import Path

import pandas as pd

from analysis.figures.drawing import KINDS, save
from analysis.figures.look import PAGE, drawn_as
from analysis.records.load import ResultsError


def show_table(path: Path, name: str) -> list[str]:
    """Draw a table, CSV or Parquet, by the figure of this name, into `figures/` beside it; what to print of both.

    Raises ResultsError.
    """
    try:
        table, kind = pd.read_csv(path) if path.suffix == ".csv" else pd.read_parquet(path), KINDS[name]
        table.attrs["folder"] = str(path.parent)  # where a figure finds what else lies there
        (path.parent / "figures").mkdir(exist_ok=True)
        with drawn_as(PAGE):
            picture = save(kind.draw(table), path.parent / "figures" / name)[0]
        return [*(kind.says(table) if kind.says else ()), f"picture in {picture}"]
    except (OSError, ValueError, KeyError) as error:
        raise ResultsError(f"{path}: is no table of {name}, or its figure cannot be written ({error})") from None
