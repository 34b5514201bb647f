"""KL against the mu-weighted squared loss, which is what offline losses regularize instead of KL."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis.figures.kind import Kind
from analysis.figures.style import KL_LABEL, beta_bar, beta_scale, legend_inside, log_axis, losses_of, panels
from analysis.records.load import trained_rows
from analysis.statistics.peaks import training_curves


def draw(curves: pd.DataFrame) -> Figure:
    """One panel a loss, one curve a beta along training, and the line to which they tend if mu is the reference."""
    means = training_curves(curves)
    means = means[(means["step"] > 0) & (means["mu_squared"] > 0) & (means["kl"] > 0)]
    figure, grid = panels(losses_of(curves))
    figure.supxlabel(r"$\mu$-weighted squared loss $\frac{1}{2}\,E_\mu\,\rho^2$ [nats²]")
    figure.supylabel(KL_LABEL)
    figure.suptitle(
        "Along training, mean over seeds\nwith pairs from the reference, KL starts as half the squared loss"
    )
    if means.empty:
        return figure
    colors = beta_scale(means["beta"])
    low, high = means["mu_squared"].min(), min(means["mu_squared"].max(), 2 * means["kl"].max())
    for loss, axes in grid.items():
        for beta, curve in means[means["loss"] == loss].groupby("beta", dropna=False):
            axes.plot(curve["mu_squared"], curve["kl"], color=colors.to_rgba(beta), marker=".")
        ends = np.array([low, max(low, high)])
        axes.plot(ends, ends / 2, color="black", linestyle="--", linewidth=1, label="KL = ½ × squared loss")
    first = next(iter(grid.values()))
    for which in ("x", "y"):
        log_axis(first, which)
    legend_inside(first, "lower right")
    beta_bar(figure, colors, means["beta"], list(grid.values()))
    return figure


FIGURE = Kind(
    name="mu_squared",
    caption="KL against half the mean squared margin over pairs from the behaviour policy.",
    rank=120,
    shows="point",
    draw=draw,
    applies=lambda curves: bool(trained_rows(curves)["mu_squared"].notna().any()),
)
