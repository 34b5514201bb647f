"""Gold against KL along training, one panel a loss, one curve a beta."""

import math

import pandas as pd
from matplotlib.figure import Figure

from analysis.figures.kind import Kind
from analysis.figures.style import (
    GOLD_LABEL,
    KL_LABEL,
    band,
    beta_bar,
    beta_scale,
    draw_oracle,
    frame,
    legend_inside,
    losses_of,
    panels,
    seeds_note,
)
from analysis.statistics.peaks import peaks, training_curves


def draw(curves: pd.DataFrame) -> Figure:
    """Means over seeds at equal steps; a square marks where each peaks, placed by the other seeds, a dot where it ends.

    Intervals of gold are drawn for the smallest, the middle and the largest beta, since more would hide each other.
    """
    means, tops = training_curves(curves), peaks(curves)
    figure, grid = panels(losses_of(curves))
    colors = beta_scale(means["beta"])
    betas = sorted(means["beta"].dropna().unique()) or [math.nan]
    for loss, axes in grid.items():
        frame(axes, curves, means[["kl", "gold"]])
        for beta, curve in means[means["loss"] == loss].groupby("beta", dropna=False):
            color = colors.to_rgba(beta)
            axes.plot(curve["kl"], curve["gold"], color=color)
            if math.isnan(beta) or beta in (betas[0], betas[len(betas) // 2], betas[-1]):
                band(axes, curve, "kl", "gold", color)
            top = tops[(tops["loss"] == loss) & (tops["beta"].isna() if pd.isna(beta) else tops["beta"] == beta)]
            axes.plot(top["peak_kl"], top["peak_gold"], "s", color=color, markeredgecolor="black", markeredgewidth=0.5)
            axes.plot(curve["kl"].iloc[-1], curve["gold"].iloc[-1], "o", color=color, markersize=3.5)
        draw_oracle(axes, curves)
    figure.supxlabel(KL_LABEL)
    figure.supylabel(GOLD_LABEL)
    shown = ", shown for three β" if means["seeds"].max() > 1 and len(betas) > 3 else ""
    figure.suptitle(
        f"Along training, averaged at equal steps (square: cross-fitted peak, dot: end)\n{seeds_note(means)}{shown}"
    )
    legend_inside(next(iter(grid.values())))
    beta_bar(figure, colors, means["beta"], list(grid.values()))
    return figure


FIGURE = Kind(
    name="training",
    caption="Gold against KL along training, a panel a loss, a curve a β.",
    rank=10,
    shows="point",
    draw=draw,
)
