"""Does the squared loss that offline losses regularize keep KL small?"""

import numpy as np
import pandas as pd

from analysis.figures.kind import Kind
from analysis.figures.layout import Picture, column, headed
from analysis.figures.look import letters
from analysis.figures.marks import LABEL_SIZE, EndLabel, curve, end_labels, ends_of
from analysis.figures.offline.tradeoff import shown_losses
from analysis.figures.style import SOFT, line_style, log_axis, loss_styles, seeds_of
from analysis.headline.rise_and_fall import shown_loss, weakest
from analysis.headline.titles.squared_loss import squared_loss
from analysis.records.load import trained_rows
from analysis.records.names import loss_label, losses_of
from analysis.statistics.peaks import training_curves

SQUARED = r"squared loss $\frac{1}{2}\,E_\mu\,\rho^2$ [nats²]"
HEIGHT, RATIO = 2.0, 1.0
SQUARE = 2.05  # inches that the panel is wide, about


def draw(curves: pd.DataFrame, place: str = "") -> Picture:
    """KL against the squared loss along training at the smallest beta, and below their ratio."""
    means = training_curves(weakest(curves))
    means = means[(means["step"] > 0) & (means["mu_squared"] > 0) & (means["kl"] > 0)]
    if means.empty:
        figure, (axes,) = column(HEIGHT)
        axes.set(xlabel=SQUARED, ylabel="KL [nats]")
        return headed(figure, "No policy left the reference along training", place=place)
    figure, (above, below) = column(HEIGHT + RATIO, rows=2, sharex=True, height_ratios=[HEIGHT, RATIO])
    styles, first, labels, ratios = loss_styles(losses_of(curves)), shown_loss(curves), [], []
    for loss in sorted(shown_losses(curves), key=lambda name: name == first):
        path, main = means[means["loss"] == loss], loss == first
        if path.empty:
            continue
        style = line_style(styles[loss]) | {"linewidth": 1.8 if main else 0.9}
        curve(above, loss_label(loss), path["mu_squared"], path["kl"], ends_of(path, "kl"), band=0.15 * main, **style)
        curve(below, loss_label(loss), path["mu_squared"], path["kl"] / (path["mu_squared"] / 2), **style)
        labels.append(EndLabel(path["mu_squared"].iloc[-1], path["kl"].iloc[-1], loss_label(loss), style["color"]))
        ratios.append(path["kl"] / (path["mu_squared"] / 2))
    ends = np.array([means["mu_squared"].min(), means["mu_squared"].max()])
    curve(above, "KL = half", ends, ends / 2, color="0.45", linestyle="--", linewidth=0.9)
    below.axhline(1.0, color="0.45", linestyle="--", linewidth=0.9)
    for which in ("x", "y"):
        log_axis(above, which)
    middle = float(ends[0] ** 0.4 * ends[1] ** 0.6)
    above.annotate(
        "KL = half of it", (middle, middle / 2), xytext=(-3, 3), textcoords="offset points", ha="right", color=SOFT,
        fontsize=letters(LABEL_SIZE),
    )  # fmt: skip
    above.set_ylabel("KL [nats]")
    low = float(means["kl"].min()) / 1.5
    decades = float(np.ptp(np.log10(above.get_xlim())))
    above.set_ylim(low, low * 10 ** (decades * HEIGHT / SQUARE))  # a slope of 1 rises by 45 degrees
    top = float(pd.concat(ratios).quantile(0.98))
    below.set(
        xlabel=SQUARED,
        ylabel="KL / half of it",
        ylim=(0, 1.2 * max(top, 1)),
    )
    end_labels(above, labels, HEIGHT)
    words = (
        f"Along training at the smallest β, mean over {seeds_of(means)}. While a policy is near the reference, and "
        "pairs come from it, KL is half of the squared loss."
    )
    return headed(figure, squared_loss(curves).title, words, place)


def applies(curves: pd.DataFrame) -> bool:
    """Whether the squared loss was measured, and moved."""
    rows = trained_rows(curves[["method", "status", "mu_squared"]])
    return bool((rows["mu_squared"].fillna(0.0) > 0).any())


FIGURE = Kind(
    name="mu_squared",
    caption="Does the squared loss that offline losses regularize keep KL small?",
    rank=120,
    shows="point",
    draw=draw,
    applies=applies,
)
