"""Each objective beside GPO's six: gold against KL, one panel an objective."""

import pandas as pd
from matplotlib.figure import Figure

from analysis.figures.kind import Kind
from analysis.figures.style import (
    GOLD_LABEL,
    KL_LABEL,
    beta_bar,
    beta_scale,
    crosses,
    draw_oracle,
    frame,
    legend_inside,
    loss_styles,
    losses_of,
    panels,
    seeds_note,
)
from analysis.records.about import GPO_LOSSES
from analysis.records.load import final_rows
from analysis.statistics.peaks import training_curves
from analysis.statistics.tradeoff_curves import end_points


def others(curves: pd.DataFrame) -> list[str]:
    """The objectives that are not GPO's."""
    return [name for name in losses_of(curves) if name not in GPO_LOSSES]


def draw(curves: pd.DataFrame) -> Figure:
    """The end of training across beta; for an objective without beta, all checkpoints. GPO's six are pale behind it."""
    points, means = end_points(curves), training_curves(curves)
    path = means[means["beta"].isna()]
    figure, grid = panels(others(curves), most=4)
    colors = beta_scale(points["beta"])
    six = [loss for loss in losses_of(curves) if loss in GPO_LOSSES]
    for name, axes in grid.items():
        frame(axes, curves, pd.concat([points, path]))
        for loss, style in loss_styles(six).items():
            family = points[points["loss"] == loss].sort_values("beta")
            axes.plot(family["kl"], family["gold"], **style, alpha=0.35, linewidth=1, markersize=3, label=loss)
        here = points[points["loss"] == name].sort_values("beta")
        along = path[path["loss"] == name]
        line = along if len(along) else here
        axes.plot(line["kl"], line["gold"], color="black", linewidth=1.2)
        for beta, point in here.groupby("beta", dropna=False):
            color = colors.to_rgba(beta)
            crosses(axes, point, "kl", "gold", fmt="o", color=color, markeredgecolor="black", markeredgewidth=0.6)
        draw_oracle(axes, curves)
    figure.supxlabel(KL_LABEL)
    figure.supylabel(GOLD_LABEL)
    path_note = "; an objective without β along its training" if len(path) else ""
    behind = "; pale: GPO's losses" if six else ""
    figure.suptitle(f"At the end of training, joined in the order of β{path_note}{behind}\n{seeds_note(points)}")
    legend_inside(next(iter(grid.values())))
    beta_bar(figure, colors, points["beta"], list(grid.values()))
    return figure


FIGURE = Kind(
    name="neighbours",
    caption="Each objective that is not GPO's, beside the six, across β.",
    rank=40,
    shows="point",
    draw=draw,
    applies=lambda curves: bool(others(final_rows(curves))),
)
