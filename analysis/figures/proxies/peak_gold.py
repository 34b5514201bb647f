"""The most gold that optimizing against a proxy gives, by the size of the proxy and the data that it learned from."""

from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from analysis.figures.curve_groups import colours, label_of, value_label, varied_settings, with_labels
from analysis.figures.kind import Kind
from analysis.figures.proxies.coefficients import ALONG, along_of
from analysis.figures.style import DASHES, GOLD_LABEL, MARKERS, arms, legend_beside, log_axis, panels, seeds_note
from analysis.statistics.peaks import peak_along


def draw(curves: pd.DataFrame) -> Figure:
    """A panel for each method: the peak of gold, cross-fitted over seeds, and its interval, against data or size.

    A line for each combination of the other settings.
    """
    rows = with_labels(curves)
    along = along_of(curves) or "proxy_parameters"
    apart = [name for name in varied_settings(rows) if name != along]
    methods = {method: label_of(rows, method) for method in rows["method"].unique()}
    figure, grid = panels(list(methods.values()))
    tables = []
    for method, title in methods.items():
        axes, part = grid[title], rows[rows["method"] == method]
        lines = list(part.groupby(apart, dropna=False)) if apart else [((), part)]
        for number, ((setting, table), color) in enumerate(zip(lines, colours(len(lines)), strict=True)):
            labels = [value_label(name, value) for name, value in zip(apart, setting, strict=True) if pd.notna(value)]
            peaks = pd.DataFrame([{along: x, **peak_along(path)} for x, path in table.groupby(along)])
            tables.append(peaks)
            style: dict[str, Any] = {"marker": MARKERS[number % 8], "linestyle": DASHES[number % 8], "color": color}
            x, gold = peaks[along].to_numpy(float), peaks["gold"].to_numpy(float)
            axes.errorbar(x, gold, yerr=arms(peaks, "gold"), label=", ".join(labels) or None, elinewidth=0.7, **style)
        log_axis(axes, "x")
    figure.supxlabel(ALONG[along])
    figure.supylabel(f"most {GOLD_LABEL}")
    figure.suptitle(f"The peak of gold along n or training, cross-fitted\n{seeds_note(pd.concat(tables))}")
    if apart:
        legend_beside(figure, max(grid.values(), key=lambda axes: len(axes.get_legend_handles_labels()[1])))
    return figure


FIGURE = Kind(
    name="maxima",
    caption="The peak of gold by size and data of the proxy.",
    rank=90,
    shows="proxies",
    draw=draw,
    applies=lambda curves: along_of(curves) is not None,
)
