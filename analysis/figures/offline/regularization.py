"""KL and gold against beta, and against beta kappa, where losses should agree."""

import pandas as pd
from matplotlib.figure import Figure

from analysis.figures.kind import Kind, has_beta
from analysis.figures.style import (
    GOLD_LABEL,
    KL_LABEL,
    crosses,
    legend_below,
    log_axis,
    loss_styles,
    losses_of,
    seeds_note,
)
from analysis.statistics.tradeoff_curves import end_points


def draw(curves: pd.DataFrame) -> Figure:
    """Rows: KL and gold at the end of training. Columns: against beta, and against beta kappa where kappa > 0."""
    points = end_points(curves).dropna(subset="beta")
    points["beta_kappa"] = points["beta"] * points["kappa"]
    losses = losses_of(points)
    flat = [loss for loss in losses if not (points.loc[points["loss"] == loss, "kappa"] > 0).any()]
    columns = ["beta"] if set(flat) == set(losses) else ["beta", "beta_kappa"]
    figure = Figure(figsize=(max(1 + 4.3 * len(columns), 6.4), 6.8), layout="constrained")
    grid = figure.subplots(2, len(columns), sharex="col", sharey="row", squeeze=False)
    for loss, style in loss_styles(losses_of(curves)).items():
        if loss not in losses:
            continue
        table = points[points["loss"] == loss].sort_values("beta")
        for column, x in enumerate(columns):
            shown = table[table[x] > 0]
            for row, y in enumerate(("kl", "gold")):
                if len(shown):
                    crosses(grid[row, column], shown, x, y, faint=True, **style, label=loss)
    known = points.groupby("loss")["kappa"].first()
    zero = [loss for loss in flat if known[loss] == 0]
    left_out = f" (κ = 0, so left out: {', '.join(zero)})" if zero else ""
    left_out += "\n(not of those that are no f(βρ) alone)" if len(flat) > len(zero) else ""
    titles = {"beta": "against β", "beta_kappa": f"against β κ, the strength near z = 0{left_out}"}
    for column, x in enumerate(columns):
        grid[0, column].set_title(titles[x], fontsize=9)
        grid[1, column].set_xlabel("β [no unit]" if x == "beta" else "β κ [no unit]")
        log_axis(grid[1, column], "x")
    moved = points.loc[points["kl"] > 0, "kl"]
    if len(moved):
        log_axis(grid[0, 0], "y")
        grid[0, 0].set_ylim(bottom=moved.min() / 2)
    grid[0, 0].set_ylabel(KL_LABEL)
    grid[1, 0].set_ylabel(GOLD_LABEL)
    low, high = points["gold"].min(), points["gold"].max()
    grid[1, 0].set_ylim(low - 0.6 * (high - low) - 0.05, high + 0.6 * (high - low) + 0.05)
    legend_below(figure, grid[0, 0])
    figure.suptitle(f"At the end of training\n{seeds_note(points)}")
    return figure


FIGURE = Kind(
    name="regularization",
    caption="KL and gold against β, and against βκ.",
    rank=30,
    shows="point",
    draw=draw,
    applies=has_beta,
)
