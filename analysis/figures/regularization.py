"""KL and gold against beta, and against beta kappa, where losses should agree."""

import pandas as pd
from matplotlib.figure import Figure

from analysis.figures.style import GOLD_LABEL, KL_LABEL, crosses, legend_below, loss_styles, losses_of, seeds_note
from analysis.frontier import end_points


def draw(curves: pd.DataFrame) -> Figure:
    """Rows: KL and gold at the end of training. Columns: against beta, and against beta kappa."""
    points = end_points(curves)
    points["beta_kappa"] = points["beta"] * points["kappa"]
    figure = Figure(figsize=(9.5, 6.8), layout="constrained")
    grid = figure.subplots(2, 2, sharex="col", sharey="row")
    flat = []
    for loss, style in loss_styles(losses_of(curves)).items():
        table = points[points["loss"] == loss].sort_values("beta")
        for column, x in enumerate(("beta", "beta_kappa")):
            shown = table[table[x] > 0]
            if shown.empty:
                flat.append(loss)
            for row, y in enumerate(("kl", "gold")):
                crosses(grid[row, column], shown, x, y, **style, label=loss if len(shown) else None)
    left_out = f" (κ = 0, so left out: {', '.join(flat)})" if flat else ""
    grid[0, 0].set(xscale="log", yscale="log", ylabel=KL_LABEL, title="against β")
    grid[0, 1].set_title(f"against β κ, the local strength{left_out}")
    if (points["beta_kappa"] > 0).any():
        grid[0, 1].set_xscale("log")
    grid[1, 0].set(xlabel="β [no unit]", ylabel=GOLD_LABEL)
    grid[1, 1].set(xlabel="β κ [no unit]")
    legend_below(figure, grid[0, 0])
    figure.suptitle(f"At the end of training; {seeds_note(points)}", fontsize=9)
    return figure
