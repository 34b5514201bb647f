"""All losses in one: do they share a frontier?"""

import pandas as pd
from matplotlib.figure import Figure

from analysis.figures.kind import Kind
from analysis.figures.style import (
    GOLD_LABEL,
    KL_LABEL,
    crosses,
    draw_oracle,
    frame,
    legend_below,
    loss_styles,
    losses_of,
    seeds_note,
)
from analysis.statistics.peaks import training_curves
from analysis.statistics.tradeoff_curves import end_points


def draw(curves: pd.DataFrame) -> Figure:
    """Left: every checkpoint of every beta, as the mean over seeds. Right: the end of training, joined along beta."""
    means, points = training_curves(curves), end_points(curves)
    figure = Figure(figsize=(10, 5), layout="constrained")
    along, across = figure.subplots(1, 2, sharex=True, sharey=True)
    shown = pd.concat([means[["kl", "gold"]], points[["kl", "gold"]]])
    for axes in (along, across):
        frame(axes, curves, shown)
        axes.set_xlabel(KL_LABEL)
    for loss, style in loss_styles(losses_of(curves)).items():
        every = means[means["loss"] == loss]
        along.plot(every["kl"], every["gold"], style["marker"], color=style["color"], markersize=3, alpha=0.6)
        crosses(
            across, points[points["loss"] == loss].sort_values("beta"), "kl", "gold", faint=True, **style, label=loss
        )
    for axes in (along, across):
        draw_oracle(axes, curves)
    several = bool(points["beta"].notna().any())
    every = "every checkpoint of every β" if several else "every checkpoint"
    along.set(ylabel=GOLD_LABEL, title=f"along training: {every}, mean over seeds")
    across.set_title("at the end of training" + ", joined in the order of β" * several)
    figure.suptitle(seeds_note(points))
    legend_below(figure, across)
    return figure


FIGURE = Kind(
    name="tradeoff",
    caption="Gold against KL: all checkpoints, and the end of training across β, below the oracle.",
    rank=0,
    shows="point",
    draw=draw,
)
