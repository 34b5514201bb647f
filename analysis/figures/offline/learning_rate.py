"""Losses without beta: how far they get is a matter of steps and the learning rate."""

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis.figures.kind import Kind
from analysis.figures.style import GOLD_LABEL, KL_LABEL, band, legend_below, log_axis, losses_of, seeds_note
from analysis.records.load import final_rows, further_axes, trained_rows
from analysis.statistics.peaks import training_curves


def without_beta(curves: pd.DataFrame) -> pd.DataFrame:
    """The rows of losses that have no beta, with the settings that vary among them."""
    rows = curves[curves["method"].eq("gpo") & curves["beta"].isna()]
    return rows.drop(columns=[name for name in further_axes(curves) if rows[name].isna().all()])


def draw(curves: pd.DataFrame) -> Figure:
    """KL and gold against the step, a column a loss and a line a learning rate, or whatever else varies."""
    rows = without_beta(curves)
    means = training_curves(rows)
    means = means[means["step"] > 0]
    axes_names = further_axes(rows)
    losses = losses_of(trained_rows(rows))
    figure = Figure(figsize=(max(4.2 * len(losses), 6.4), 6.2), layout="constrained")
    grid = figure.subplots(2, len(losses), sharex=True, sharey="row", squeeze=False)
    settings = means[axes_names].drop_duplicates().sort_values(axes_names) if axes_names else pd.DataFrame([{}])
    colors = mpl.colormaps["viridis"](np.linspace(0.0, 0.88, len(settings)))
    for column, loss in enumerate(losses):
        for color, at in zip(colors, settings.to_dict("records"), strict=True):
            here = means["loss"] == loss
            for name, value in at.items():
                here &= means[name] == value
            label = (
                ", ".join(f"{name.removeprefix('train_').replace('_', ' ')} {value:g}" for name, value in at.items())
                or None
            )
            for row, y in enumerate(("kl", "gold")):
                grid[row, column].plot(means.loc[here, "step"], means.loc[here, y], color=color, label=label)
                band(grid[row, column], means[here], "step", y, color)
        grid[0, column].set_title(loss)
        grid[1, column].set_xlabel("training steps")
    log_axis(grid[0, 0], "x")
    grid[0, 0].set_ylim(bottom=0.0)
    grid[0, 0].set_ylabel(KL_LABEL)
    grid[1, 0].set_ylabel(GOLD_LABEL)
    for axes in grid[1]:
        axes.axhline(0.0, color="0.6", linewidth=0.8, zorder=1)
    figure.suptitle(f"Losses without β, along training\n{seeds_note(means)}")
    if axes_names:
        legend_below(figure, grid[0, 0])
    return figure


FIGURE = Kind(
    name="pace",
    caption="KL and gold of objectives without β, against the step and the learning rate.",
    rank=50,
    shows="pairs",
    draw=draw,
    applies=lambda curves: not final_rows(without_beta(curves)).empty,
)
