"""How much gradient each loss gives to the margins that were actually seen."""

import pandas as pd
from matplotlib.figure import Figure

from analysis.figures.kind import Kind
from analysis.figures.style import beta_bar, beta_scale, losses_of, panels

LANE = 0.22
HIGHEST = 4.0
WIDEST = 6.0  # |z|, as far as f is tabulated


def draw(table: pd.DataFrame, functions: pd.DataFrame) -> Figure:
    """|f'(z)| / |f'(0)| along z, and below it quantiles of z at the end of training, a bar a beta.

    table: what `gradient_weights` gives. functions: loss, z, slope.
    """
    names = losses_of(table)
    figure, axes = panels(names)
    colors = beta_scale(table["beta"])
    betas = sorted(table["beta"].unique())
    for loss, panel in axes.items():
        f = functions[functions["loss"] == loss].sort_values("z")
        scale = f["slope"].abs().to_numpy()[f["z"].abs().to_numpy().argmin()]
        panel.plot(f["z"], f["slope"].abs() / scale, color="0.2")
        for beta, bar in table[table["loss"] == loss].groupby("beta"):
            z = bar.sort_values("quantile")["z"].to_numpy(float)
            height, color = -0.35 - LANE * betas.index(beta), colors.to_rgba(beta)
            panel.plot(z[[0, -1]], [height, height], color=color, linewidth=1)
            panel.plot(z[[1, -2]], [height, height], color=color, linewidth=3, solid_capstyle="butt")
            panel.plot(z[2], height, marker="o", markersize=4, color=color, markeredgecolor="white")
        panel.axvline(0.0, color="0.6", linewidth=0.8, zorder=1)
        panel.set(xlim=(-WIDEST, WIDEST), ylim=(-0.6 - LANE * len(betas), HIGHEST), yticks=range(int(HIGHEST) + 1))
    beta_bar(figure, colors, table["beta"], list(axes.values()))
    figure.supxlabel("z = βρ")
    figure.supylabel("|f′(z)| / |f′(0)|, and below it where z lies")
    figure.suptitle("what a pair weighs, and z on a run's own pairs at the end: 5, 25, 50, 75, 95 %, mean over seeds")
    return figure


FIGURE = Kind(
    name="weights",
    caption="How much gradient each loss gives to the margins that were seen.",
    rank=140,
    shows="other",
    draw=draw,
)
