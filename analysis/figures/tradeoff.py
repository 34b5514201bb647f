"""All losses in one: do they share a frontier?"""

import pandas as pd
from matplotlib.figure import Figure

from analysis.figures.style import (
    GOLD_LABEL,
    KL_LABEL,
    draw_oracle,
    frame,
    legend_below,
    loss_styles,
    losses_of,
    seeds_note,
)
from analysis.frontier import frontier
from analysis.summary import training_curves


def draw(curves: pd.DataFrame) -> Figure:
    """Left: every checkpoint of every beta, as the mean over seeds. Right: the frontier across beta at the end."""
    means, lines = training_curves(curves), frontier(curves, by="loss")
    styles = loss_styles(losses_of(curves))
    figure = Figure(figsize=(10, 5), layout="constrained")
    along, across = figure.subplots(1, 2, sharex=True, sharey=True)
    for axes in (along, across):
        frame(axes, curves, means[["kl", "gold"]])
        axes.set_xlabel(KL_LABEL)
    for order, (loss, style) in enumerate(styles.items()):
        points = means[means["loss"] == loss]
        along.plot(*(points["kl"], points["gold"]), style["marker"], color=style["color"], markersize=3, alpha=0.6)
        line = lines[lines["loss"] == loss]
        across.plot(line["kl"], line["gold"], **style, markevery=(2 * order, 14), label=loss)
        across.fill_between(line["kl"], line["low"], line["high"], color=style["color"], alpha=0.07, linewidth=0)
    for axes in (along, across):
        draw_oracle(axes, curves)
    along.set(ylabel=GOLD_LABEL, title="along training: every checkpoint of every β")
    across.set_title(f"across β, at the end of training\n{seeds_note(means)}")
    legend_below(figure, across)
    return figure
