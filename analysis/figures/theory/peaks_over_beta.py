"""Where do gold and win rate peak over beta, and is that where kappa says?"""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from analysis.figures.kind import Kind
from analysis.figures.layout import Picture, column, headed
from analysis.figures.marks import EndLabel, curve, end_labels, points
from analysis.figures.offline.tradeoff import shown_losses
from analysis.figures.style import GOLD_LABEL, line_style, log_axis, loss_styles, seeds_of
from analysis.records.load import further_axes, trained_rows
from analysis.records.names import loss_label, losses_of
from analysis.records.number_format import number
from analysis.statistics.best_beta.fitted_peak import LEAST, FittedPeak, peaks_over_beta
from analysis.statistics.intervals import over_seeds

HEIGHT, STRIP = 1.9, 0.95
ROOM = 1.3  # beside the ladder, as a factor
PANELS = (("gold", GOLD_LABEL), ("win_rate", "win rate [probability]"))
Styles = dict[str, dict[str, Any]]
FINE = 1.6  # neighbours on a ladder that peaks are fitted on are at most so far apart


def draw(curves: pd.DataFrame, place: str = "") -> Picture:
    """Gold and win rate at the end of training against beta, and below each panel the fitted peaks with intervals."""
    rows = fitted_rows(curves)
    there = [(column_, label) for column_, label in PANELS if column_ in rows and rows[column_].notna().any()]
    heights = [HEIGHT, STRIP] * len(there)
    figure, axes = column(sum(heights), rows=len(heights), sharex=True, height_ratios=heights)
    styles = loss_styles(losses_of(curves))
    shown = [loss for loss in shown_losses(curves) if loss in set(rows["loss"])]
    found: dict[str, dict[str, FittedPeak]] = {}
    for place_, (name, label) in enumerate(there):
        above, below = axes[2 * place_ : 2 * place_ + 2]
        found[name] = {loss: peak for loss, peak in peaks_over_beta(rows, name).items() if loss in shown}
        draw_curves(above, rows, name, shown, styles)
        draw_peaks(below, found[name], styles)
        above.set_ylabel(label)
        end_labels(above, ends_of_lines(rows, name, shown, styles), HEIGHT - 0.3)
    log_axis(axes[-1], "x")
    ladder = rows["beta"]
    axes[-1].set_xlim(ladder.min() / ROOM, ladder.max() * ROOM)  # of wide intervals a part
    axes[-1].set_xlabel("β (small: weak regularization)")
    words = (
        f"End of training, mean over {seeds_of(means_of(rows, 'gold'))}. Below each panel: the fitted peak of each "
        "loss with its 95 % interval; hollow: at an end of the ladder."
    )
    return headed(figure, title_of(found["gold"]), words, place)


def fitted_rows(curves: pd.DataFrame) -> pd.DataFrame:
    """The trained rows of losses with a beta."""
    rows = trained_rows(curves)
    return rows[rows["method"].eq("gpo") & rows["beta"].notna()]


def means_of(rows: pd.DataFrame, name: str) -> pd.DataFrame:
    """The mean over seeds of a column at the end of training, of each loss and beta."""
    last = rows[rows["step"] == rows.groupby("run_id")["step"].transform("max")]
    return over_seeds(last, ["loss", "beta"], [name]).sort_values("beta")


def draw_curves(axes: Axes, rows: pd.DataFrame, name: str, shown: list[str], styles: Styles) -> None:
    """A line a loss."""
    means = means_of(rows, name)
    for loss in shown:
        line = means[means["loss"] == loss]
        curve(axes, loss_label(loss), line["beta"], line[name], **line_style(styles[loss]), linewidth=1.0)


def ends_of_lines(rows: pd.DataFrame, name: str, shown: list[str], styles: Styles) -> list[EndLabel]:
    """The names of the lines, where they end."""
    means, labels = means_of(rows, name), []
    for loss in shown:
        last = means[means["loss"] == loss].iloc[-1]
        labels.append(EndLabel(last["beta"], last[name], loss_label(loss), styles[loss]["color"]))
    return labels


def draw_peaks(axes: Axes, peaks: dict[str, FittedPeak], styles: Styles) -> None:
    """A row a loss: its fitted peak and the interval."""
    for row, (loss, peak) in enumerate(peaks.items()):
        low, high = np.exp(peak.estimate.interval())
        ends = ([low], [high]) if np.isfinite(low) else None
        color = styles[loss]["color"]
        mark = {"marker": styles[loss]["marker"], "markersize": 4, "markerfacecolor": color if peak.inside else "white"}
        points(
            axes, f"{loss_label(loss)} (peak)", [np.exp(peak.log_beta)], [float(row)], ends, along="x", color=color,
            linestyle="", **mark,
        )  # fmt: skip
    axes.set(ylim=(len(peaks) - 0.4, -0.6), yticks=[], title="Fitted peak")
    axes.grid(visible=False, axis="y")


def title_of(peaks: dict[str, FittedPeak]) -> str:
    """Between which beta the peaks of gold lie."""
    inside = {loss: peak for loss, peak in peaks.items() if peak.inside}
    if len(inside) < 2:
        return "Gold peaks inside the ladder of β with fewer than two losses"
    first, last = (choose(inside, key=lambda loss: inside[loss].log_beta) for choose in (min, max))
    low, high = (number(float(np.exp(inside[loss].log_beta)), 2) for loss in (first, last))
    return f"Gold peaks at β between {low} ({loss_label(first)}) and {high} ({loss_label(last)})"


def applies(curves: pd.DataFrame) -> bool:
    """Whether beta is a ladder fine enough to fit a peak, and nothing else varies."""
    rows = fitted_rows(curves)
    betas = np.sort(rows["beta"].unique())
    if len(betas) < LEAST or further_axes(rows):
        return False
    return bool((betas[1:] / betas[:-1]).max() <= FINE)


FIGURE = Kind(
    name="peaks_over_beta",
    caption="Where do gold and win rate peak over β, and how sure is that?",
    rank=25,
    shows="point",
    draw=draw,
    applies=applies,
)
