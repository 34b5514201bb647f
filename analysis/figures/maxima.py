"""The most gold that optimizing against a proxy gives, by the size of the proxy and the data that it learned from."""

from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from analysis.figures.coefficients import ALONG, along_of
from analysis.figures.families import METHOD_NAMES, Family, families
from analysis.figures.style import DASHES, GOLD_LABEL, MARKERS, legend_beside, log_axis, panels, seeds_note
from analysis.summary import peak_along


def draw(curves: pd.DataFrame) -> Figure:
    """A panel for each method: the peak of mean gold, and the interval of gold there, against data or size."""
    along = along_of(curves) or "proxy_parameters"
    other = "pairs" if along == "proxy_parameters" else "proxy_parameters"
    every = [family for family in families(curves, other) if len(family.rows[along].unique()) > 1]
    if not every:
        every = list(families(curves, along))
    merged: dict[str, list[Family]] = {}
    for family in every:
        merged.setdefault(METHOD_NAMES[family.method], []).append(family)
    figure, grid = panels(list(merged))
    tables = []
    for title, some in merged.items():
        table = pd.concat([family.rows for family in some])
        styles = some[0].styles if some[0].along == other else {}
        groups = [(value, table[table[other] == value]) for value in styles] if styles else [(None, table)]
        for number, (value, rows) in enumerate(groups):
            peaks = pd.DataFrame(
                [{along: x, **peak_along(part)} for x, part in rows.groupby(along) if len(part)]
            ).sort_values(along)
            tables.append(peaks)
            half = ((peaks["gold_high"] - peaks["gold_low"]) / 2).fillna(0.0).to_numpy(float)
            color, label = styles[value] if value is not None else ("black", None)
            x, gold = peaks[along].to_numpy(float), peaks["gold"].to_numpy(float)
            style: dict[str, Any] = {"marker": MARKERS[number % 8], "linestyle": DASHES[number % 8]}
            grid[title].errorbar(x, gold, yerr=half, color=color, label=label, elinewidth=0.7, **style)
        log_axis(grid[title], "x")
    figure.supxlabel(ALONG[along])
    figure.supylabel(f"most {GOLD_LABEL}")
    figure.suptitle(f"The peak of gold along n or training; {seeds_note(pd.concat(tables))}")
    if any(family.along == other and len(family.styles) > 1 for family in every):
        legend_beside(figure, next(iter(grid.values())))
    return figure
