"""Gold against KL across beta, at the end of training, one panel a loss."""

import pandas as pd
from matplotlib.figure import Figure

from analysis.figures.style import (
    GOLD_LABEL,
    KL_LABEL,
    beta_scale,
    crosses,
    draw_oracle,
    frame,
    legend_inside,
    losses_of,
    panels,
    seeds_note,
)
from analysis.frontier import end_points, frontier


def draw(curves: pd.DataFrame) -> Figure:
    """A point a beta with the intervals of both coordinates, and the frontier through them."""
    points, lines = end_points(curves), frontier(curves, by="loss")
    figure, grid = panels(losses_of(curves))
    colors = beta_scale(points["beta"])
    for loss, axes in grid.items():
        frame(axes, curves, points)
        line = lines[lines["loss"] == loss]
        axes.plot(line["kl"], line["gold"], color="0.3", linewidth=1)
        axes.fill_between(line["kl"], line["low"], line["high"], color="0.3", alpha=0.15, linewidth=0)
        for _, point in points[points["loss"] == loss].groupby("beta"):
            color = colors.to_rgba(point["beta"].iloc[0])
            crosses(axes, point, "kl", "gold", fmt="o", color=color, markeredgecolor="black", markeredgewidth=0.5)
        draw_oracle(axes, curves)
    figure.supxlabel(KL_LABEL)
    figure.supylabel(GOLD_LABEL)
    figure.suptitle(f"Across β, at the end of training; {seeds_note(points)}", fontsize=9)
    legend_inside(next(iter(grid.values())))
    figure.colorbar(colors, ax=list(grid.values()), label="β (small: weak regularization)", shrink=0.8)
    return figure
