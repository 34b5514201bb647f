"""Gold against KL along training, one panel a loss, one curve a beta."""

import pandas as pd
from matplotlib.figure import Figure

from analysis.figures.style import (
    GOLD_LABEL,
    KL_LABEL,
    band,
    beta_scale,
    draw_oracle,
    frame,
    legend_inside,
    losses_of,
    panels,
    seeds_note,
)
from analysis.summary import training_curves


def draw(curves: pd.DataFrame) -> Figure:
    """Mean curves over seeds; a square marks where each peaks, a dot where it ends."""
    means = training_curves(curves)
    figure, grid = panels(losses_of(curves))
    colors = beta_scale(means["beta"])
    for loss, axes in grid.items():
        frame(axes, curves, means.drop(columns="kl_high"))
        for beta, curve in means[means["loss"] == loss].groupby("beta"):
            color = colors.to_rgba(beta)
            axes.plot(curve["kl"], curve["gold"], color=color)
            band(axes, curve, "kl", "gold", color)
            peak = curve.loc[curve["gold"].idxmax()]
            axes.plot(peak["kl"], peak["gold"], "s", color=color, markeredgecolor="black", markeredgewidth=0.5)
            axes.plot(curve["kl"].iloc[-1], curve["gold"].iloc[-1], "o", color=color, markersize=3.5)
        draw_oracle(axes, curves)
    figure.supxlabel(KL_LABEL)
    figure.supylabel(GOLD_LABEL)
    figure.suptitle(f"Along training (square: peak, dot: end); {seeds_note(means)}", fontsize=9)
    legend_inside(next(iter(grid.values())))
    figure.colorbar(colors, ax=list(grid.values()), label="β (small: weak regularization)", shrink=0.8)
    return figure
