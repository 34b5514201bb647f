"""How well proxy reward models know gold, by their size and by the data that they learned from."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis.figures.curve_groups import colours, value_label
from analysis.figures.kind import Kind
from analysis.figures.proxies.coefficients import ALONG
from analysis.figures.style import DASHES, MARKERS, arms, legend_beside, log_axis, seeds_note
from analysis.records.load import ORIGIN_COLUMNS
from analysis.statistics.intervals import over_seeds
from analysis.statistics.law_fits import determined

PANELS = {
    "gold_loss": "cross-entropy on fresh pairs, soft labels [nats]",
    "gold_accuracy": "fresh pairs ordered as gold does [share]",
    "correlation": "correlation with gold under $\\pi_\\mathrm{ref}$ [1]",
    "shifted_correlation": "correlation with gold under its best of 16 [1]",
}
SAID = {
    *("proxy", "member", "seed", "best_step", "train_loss", "train_accuracy", "held_out_loss", "held_out_accuracy"),
    *("scale", "wall_seconds", *PANELS, *ORIGIN_COLUMNS),
}
NAMES = {"parameters": "proxy_parameters", "loss": "loss f ="}


def along_of(proxies: pd.DataFrame) -> str:
    """What is drawn on the horizontal axis: data, where three values of it or more were tried, or else size."""
    return "pairs" if len(proxies["pairs"].unique()) > 2 else "parameters"


def settings_that_vary(proxies: pd.DataFrame) -> list[str]:
    """The settings of proxies that vary, their size foremost; what only says their size is left out."""
    names = [name for name in proxies if name not in SAID and len(proxies[name].unique()) > 1]
    return [name for name in names if name in ("parameters", "pairs") or not determined(proxies, name, "parameters")]


def draw(proxies: pd.DataFrame) -> Figure:
    """Means over seeds with intervals, members of an ensemble averaged; a line for each combination of settings."""
    along = along_of(proxies)
    apart = [name for name in settings_that_vary(proxies) if name != along]
    each = proxies.groupby([*apart, along, "seed"], dropna=False)[list(PANELS)].mean().reset_index()
    means = over_seeds(each, [*apart, along], list(PANELS)).sort_values(along)
    figure = Figure(figsize=(10, 7), layout="constrained")
    grid = figure.subplots(2, 2, sharex=True)
    lines = list(means.groupby(apart, dropna=False)) if apart else [((), means)]
    for number, ((setting, table), color) in enumerate(zip(lines, colours(len(lines)), strict=True)):
        labels = [
            f"{NAMES.get(name, name)} {value}" if isinstance(value, str) else value_label(NAMES.get(name, name), value)
            for name, value in zip(apart, setting, strict=True)
            if pd.notna(value)
        ]
        style: dict[str, Any] = {"color": color, "marker": MARKERS[number % 8], "linestyle": DASHES[number % 8]}
        for axes, name in zip(grid.flat, PANELS, strict=True):
            x, y = table[along].to_numpy(float), table[name].to_numpy(float)
            axes.errorbar(x, y, yerr=arms(table, name), elinewidth=0.7, label=", ".join(labels) or None, **style)
    for axes, label in zip(grid.flat, PANELS.values(), strict=True):
        axes.set_ylabel(label)
    log_axis(grid[1, 0], "x")
    figure.supxlabel(ALONG[NAMES.get(along, along)])
    figure.suptitle(f"What proxies know of gold; {seeds_note(means)}")
    if len(lines) > 1:
        legend_beside(figure, grid[0, 0])
    for axes, chance in ((grid[0, 0], np.log(2)), (grid[0, 1], 0.5)):
        axes.axhline(chance, color="0.6", linewidth=0.8, zorder=1)
    return figure


FIGURE = Kind(
    name="proxies",
    caption="What proxies know of gold.",
    rank=110,
    shows="other",
    draw=draw,
)
