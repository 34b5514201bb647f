"""Gold against KL across beta, at the end of training, one panel a loss."""

import pandas as pd
from matplotlib.figure import Figure

from analysis.figures.kind import Kind, has_beta
from analysis.figures.style import (
    GOLD_LABEL,
    KL_LABEL,
    beta_bar,
    beta_scale,
    crosses,
    draw_oracle,
    frame,
    legend_inside,
    losses_of,
    panels,
    seeds_note,
)
from analysis.statistics.tradeoff_curves import end_points


def draw(curves: pd.DataFrame) -> Figure:
    """A point a beta with the intervals of both coordinates, joined in the order of beta."""
    points = end_points(curves)
    figure, grid = panels(losses_of(curves))
    colors = beta_scale(points["beta"])
    for loss, axes in grid.items():
        frame(axes, curves, points)
        here = points[points["loss"] == loss].sort_values("beta")
        axes.plot(here["kl"], here["gold"], color="0.4", linewidth=1)
        for beta, point in here.groupby("beta", dropna=False):
            color = colors.to_rgba(beta)
            crosses(axes, point, "kl", "gold", fmt="o", color=color, markeredgecolor="black", markeredgewidth=0.5)
        draw_oracle(axes, curves)
    figure.supxlabel(KL_LABEL)
    figure.supylabel(GOLD_LABEL)
    figure.suptitle(f"Across β, at the end of training, joined in the order of β\n{seeds_note(points)}")
    legend_inside(next(iter(grid.values())))
    beta_bar(figure, colors, points["beta"], list(grid.values()))
    return figure


FIGURE = Kind(
    name="across_beta",
    caption="The end of training across β, a panel a loss.",
    rank=20,
    shows="point",
    draw=draw,
    applies=has_beta,
)
