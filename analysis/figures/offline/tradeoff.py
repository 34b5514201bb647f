"""How gold moves as a policy leaves the reference, and whether losses differ there."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from analysis.figures.kind import Kind
from analysis.figures.layout import Picture, column, headed, wrapped
from analysis.figures.look import letters, look
from analysis.figures.marks import EndLabel, curve, draw_oracle, end_labels, ends_of, frame
from analysis.figures.style import GOLD_LABEL, KL_LABEL, SOFT, line_style, loss_styles, seeds_note
from analysis.headline.losses import of_common_curve
from analysis.headline.rise_and_fall import rise_and_fall, shown_loss, weakest
from analysis.records.load import final_rows
from analysis.records.names import loss_label, losses_of
from analysis.statistics.common_curve import CommonCurve, common_curve
from analysis.statistics.comparison import SIMILAR
from analysis.statistics.peaks import training_curves

PATH, BESIDE = 2.0, 1.5  # inches of the two panels
AXIS = 0.65  # inches left of a panel
MOST = 6  # losses that are drawn and named; of more, those that differ most


def draw(curves: pd.DataFrame, place: str = "") -> Picture:
    """Above: gold along training at the weakest beta of each loss. Below: each loss less the common curve."""
    found = common_curve(curves)
    if found:
        figure, axes = column(PATH + BESIDE, rows=2, sharex=True, height_ratios=[PATH, BESIDE])
    else:
        figure, axes = column(PATH)
    shown = shown_losses(curves, found)
    styles = loss_styles(losses_of(curves))
    means = draw_paths(axes[0], curves, shown, styles)
    first = shown_loss(curves)
    words = (
        f"Top: training at the weakest β; the band of {loss_label(first)} is the "
        f"{seeds_note(means[means['loss'] == first])}; circle: highest point, square: end."
    )
    if found is not None:
        draw_departures(axes[1], found, shown, styles)
        words += (
            f" Bottom: ends of training across β, less the mean of the other losses at equal KL, paired over "
            f"{found.seeds:,} seeds, with 95 % bands. In the grey strip (±{SIMILAR:g}) losses count as equal."
        )
    axes[-1].set_xlabel(KL_LABEL)
    return headed(figure, rise_and_fall(curves).title, words, place)


def shown_losses(curves: pd.DataFrame, found: CommonCurve | None = None) -> list[str]:
    """The losses that are drawn: the one of the headline, and those that differ most from the common curve."""
    first, every = shown_loss(curves), losses_of(final_rows(curves))
    if len(every) <= MOST:
        return every
    far = {each.name: abs(each.mean) for each in found.departures} if found else {}
    others = [name for name in every if name != first]  # in their order, which a set would not keep
    chosen = {first, *sorted(others, key=lambda name: -far.get(name, 0.0))[: MOST - 1]}
    return [name for name in every if name in chosen]


def draw_paths(axes: Axes, curves: pd.DataFrame, shown: list[str], styles: dict[str, Any]) -> pd.DataFrame:
    """The mean path of each loss at its weakest beta; the means that were drawn."""
    means = training_curves(weakest(curves))
    means = means[means["loss"].isin(shown)]
    frame(axes, curves, means[["kl", "gold"]])
    first, labels = shown_loss(curves), []
    for loss in sorted(shown, key=lambda name: name == first):
        path, style, main = means[means["loss"] == loss], line_style(styles[loss]), loss == first
        width, order = (2.0, 4) if main else (0.9, 3)
        ends = ends_of(path, "gold")
        curve(
            axes, loss_label(loss), path["kl"], path["gold"], ends,
            band=0.15 * main, **style, linewidth=width, zorder=order,
        )  # fmt: skip
        top, end = path.loc[path["gold"].idxmax()], path.iloc[-1]
        mark = {"color": style["color"], "markersize": 5.0 if main else 3.2, "markeredgecolor": "white", "zorder": 5}
        for point, marker in ((top, "o"), (end, "s")):
            axes.plot(point["kl"], point["gold"], marker, markeredgewidth=0.5, **mark)
        beta = "" if pd.isna(end["beta"]) or not main else f", β {end['beta']:g}"
        labels.append(EndLabel(end["kl"], end["gold"], loss_label(loss) + beta, style["color"]))
    draw_oracle(axes, curves)
    axes.set_ylabel(GOLD_LABEL)
    end_labels(axes, labels, PATH)
    return means


def draw_departures(axes: Axes, found: CommonCurve, shown: list[str], styles: dict[str, Any]) -> None:
    """Gold of each loss less the common curve at equal KL, with the strip in which losses count as equal."""
    equal_strip(axes)
    labels, values = [], [SIMILAR]
    for each in found.departures:
        if each.name not in shown:
            continue
        style = line_style(styles[each.name])
        ends = (each.low, each.high)
        curve(axes, loss_label(each.name), each.kl, each.difference, ends, band=0.1, **style, linewidth=1.0, zorder=3)
        labels.append(EndLabel(each.kl[-1], each.difference[-1], loss_label(each.name), style["color"]))
        values.append(float(np.abs(each.difference).max()))
    far = 1.6 * max(values)
    title = wrapped(of_common_curve(found).title, letters(7.5), look().width - AXIS)
    axes.set(ylim=(-far, far), ylabel="less the others [sd]", title="\n".join(title))
    end_labels(axes, labels, BESIDE)


def equal_strip(axes: Axes) -> None:
    """The strip in which differences of gold count as none."""
    axes.axhspan(-SIMILAR, SIMILAR, color="0.93", zorder=0)
    axes.axhline(0.0, color="0.6", linewidth=0.7, zorder=1)
    corner: dict[str, Any] = {"xycoords": "axes fraction", "textcoords": "offset points", "xytext": (3, 2.5)}
    axes.annotate(f"grey: equal within {SIMILAR:g}", (0, 0), fontsize=letters(6.5), color=SOFT, **corner)


FIGURE = Kind(
    name="tradeoff",
    caption="How does gold move as a policy leaves the reference, and do losses differ?",
    rank=0,
    shows="point",
    draw=draw,
)
