"""How well proxy reward models know gold, by their size and by the data that they learned from."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis.figures.coefficients import ALONG
from analysis.figures.families import colours, shown
from analysis.figures.style import DASHES, MARKERS, legend_beside, log_axis, seeds_note
from analysis.intervals import over_seeds

PANELS = {
    "held_out_loss": "loss on held-out labels [nats, with the logistic f]",
    "gold_accuracy": "fresh pairs ordered as gold does [share]",
    "correlation": "correlation with gold under $\\pi_\\mathrm{ref}$ [1]",
    "shifted_correlation": "correlation with gold under its best of 16 [1]",
}


def along_of(proxies: pd.DataFrame) -> str:
    """What is drawn on the horizontal axis: data, where three values of it or more were tried, or else size."""
    return "pairs" if len(proxies["pairs"].unique()) > 2 else "parameters"


def draw(proxies: pd.DataFrame) -> Figure:
    """Means over seeds and members with intervals; a line for each size, or number of pairs, and label noise."""
    along = along_of(proxies)
    apart = ["parameters" if along == "pairs" else "pairs", "label_noise"]
    means = over_seeds(proxies, [*apart, along], list(PANELS)).sort_values(along)
    figure = Figure(figsize=(10, 7), layout="constrained")
    grid = figure.subplots(2, 2, sharex=True)
    names = {"parameters": "proxy_parameters", "pairs": "pairs", "label_noise": "label_noise"}
    lines = list(means.groupby(apart))
    for number, ((setting, table), color) in enumerate(zip(lines, colours(len(lines)), strict=True)):
        told = [shown(names[name], value) for name, value in zip(apart, setting, strict=True)]
        told = [text for text, name in zip(told, apart, strict=True) if len(proxies[name].unique()) > 1]
        style: dict[str, Any] = {"color": color, "marker": MARKERS[number % 8], "linestyle": DASHES[number % 8]}
        for axes, name in zip(grid.flat, PANELS, strict=True):
            half = ((table[f"{name}_high"] - table[f"{name}_low"]) / 2).fillna(0.0).to_numpy(float)
            x, y = table[along].to_numpy(float), table[name].to_numpy(float)
            axes.errorbar(x, y, yerr=half, elinewidth=0.7, label=", ".join(told) or None, **style)
    for axes, label in zip(grid.flat, PANELS.values(), strict=True):
        axes.set_ylabel(label)
    log_axis(grid[1, 0], "x")
    grid[0, 0].set_ylim(0.0, min(grid[0, 0].get_ylim()[1], 1.2 * float(means["held_out_loss"].max())))
    figure.supxlabel(ALONG[names[along]])
    figure.suptitle(f"What proxies know of gold; {seeds_note(means)}".replace("seeds", "seeds and members"))
    if len(lines) > 1:
        legend_beside(figure, grid[0, 0])
    grid[0, 0].axhline(np.log(2), color="0.6", linewidth=0.8, zorder=1)
    grid[0, 1].axhline(0.5, color="0.6", linewidth=0.8, zorder=1)
    return figure
