"""KL against the mu-weighted squared loss, which is what offline losses regularize instead of KL."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis.figures.style import KL_LABEL, beta_scale, losses_of, panels
from analysis.summary import training_curves


def draw(curves: pd.DataFrame) -> Figure:
    """One panel a loss, one curve a beta along training, and the line on which both agree near the reference."""
    means = training_curves(curves)
    means = means[means["step"] > 0]  # at step 0 both are 0, which a logarithm cannot show
    figure, grid = panels(losses_of(curves))
    colors = beta_scale(means["beta"])
    reach = np.array([means["mu_squared"].min(), means["mu_squared"].max()])
    for loss, axes in grid.items():
        axes.plot(
            reach, reach / 2, color="0.35", linestyle="--", linewidth=1, label="KL = half of it, as near the reference"
        )
        for beta, curve in means[means["loss"] == loss].groupby("beta"):
            axes.plot(curve["mu_squared"], curve["kl"], color=colors.to_rgba(beta), marker=".")
        axes.set(xscale="log", yscale="log")
    figure.supxlabel(r"$\mu$-weighted squared loss $\frac{1}{2}\,E_\mu\,\rho^2$ [nats²]")
    figure.supylabel(KL_LABEL)
    figure.suptitle("Along training, mean over seeds; on the dashed line both are the same divergence", fontsize=9)
    next(iter(grid.values())).legend(loc="lower right")
    figure.colorbar(colors, ax=list(grid.values()), label="β (small: weak regularization)", shrink=0.8)
    return figure
