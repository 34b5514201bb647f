"""Which beta ends training with the most gold?"""

import pandas as pd

from analysis.figures.kind import Kind, has_beta
from analysis.figures.layout import Picture, column, headed
from analysis.figures.marks import EndLabel, curve, end_labels, ends_of, zero_line
from analysis.figures.offline.tradeoff import shown_losses
from analysis.figures.style import GOLD_LABEL, line_style, log_axis, loss_styles, seeds_note
from analysis.headline.best_beta import best_beta
from analysis.headline.rise_and_fall import shown_loss
from analysis.records.names import loss_label, losses_of
from analysis.statistics.tradeoff_curves import end_points

HEIGHT = 2.1


def draw(curves: pd.DataFrame, place: str = "") -> Picture:
    """Gold at the end of training against beta, a line a loss; the band is that of the loss of the headline."""
    points = end_points(curves).dropna(subset="beta")
    figure, (axes,) = column(HEIGHT)
    zero_line(axes)
    first, styles, labels = shown_loss(curves), loss_styles(losses_of(curves)), []
    for loss in sorted(shown_losses(curves), key=lambda name: name == first):
        line, main = points[points["loss"] == loss].sort_values("beta"), loss == first
        if line.empty:
            continue
        width, order, dots = (2.0, 4, 4.5) if main else (0.9, 3, 2.5)
        style = line_style(styles[loss]) | {"linewidth": width, "zorder": order, "marker": "o", "markersize": dots}
        curve(axes, loss_label(loss), line["beta"], line["gold"], ends_of(line, "gold"), band=0.15 * main, **style)
        last = line.iloc[-1]
        labels.append(EndLabel(last["beta"], last["gold"], loss_label(loss), styles[loss]["color"]))
    log_axis(axes, "x")
    axes.set(xlabel="β (small: weak regularization)", ylabel=GOLD_LABEL)
    end_labels(axes, labels, HEIGHT - 0.35)
    found = best_beta(curves)
    words = (
        f"Gold at the end of training, {seeds_note(points)}, band of {loss_label(first)}. The same β is not the same "
        "strength in every loss."
    )
    return headed(figure, found.title if found else "Gold at the end of training", words, place)


FIGURE = Kind(
    name="best_beta",
    caption="Which β ends training with the most gold?",
    rank=20,
    shows="point",
    draw=draw,
    applies=has_beta,
)
