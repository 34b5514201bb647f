"""Which objectives have more gold than GPO's losses at equal KL, and which have less?"""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from analysis.figures.kind import Kind
from analysis.figures.layout import Picture, headed, stacked
from analysis.figures.look import letters
from analysis.figures.marks import EndLabel, curve, draw_oracle, end_labels, frame, keep
from analysis.figures.style import GOLD_LABEL, KL_LABEL, SOFT, line_style, loss_styles
from analysis.headline.losses import common_name, of_common_curve
from analysis.headline.statement import near
from analysis.records.about import GPO_LOSSES
from analysis.records.load import final_rows
from analysis.records.names import loss_label, losses_of
from analysis.statistics.common_curve import CommonCurve, Departure, common_curve
from analysis.statistics.comparison import SIMILAR
from analysis.statistics.frontier import frontier

ROW, BELOW = 0.16, 1.9  # inches
STORY = 4  # objectives whose curves are drawn


def others(curves: pd.DataFrame) -> list[str]:
    """The objectives that are not GPO's."""
    return [name for name in losses_of(curves) if name not in GPO_LOSSES]


def draw(curves: pd.DataFrame, place: str = "") -> Picture:
    """Above: gold of each objective less the common curve, ranked. Below: the curves of those that differ most."""
    found = common_curve(curves)
    assert found is not None  # as `applies` says
    ranked = sorted(found.departures, key=lambda each: each.mean)
    rows = ROW * len(ranked) + 0.3
    figure, (dots, below) = stacked([rows, BELOW])
    draw_ranks(dots, ranked, gpo=set(found.members) <= set(GPO_LOSSES))
    draw_story(below, curves, found, ranked)
    words = (
        f"Top: mean over KL, from the reference as far as both go (up to {near(found.reach)} nats; shorter reach is "
        f"written), paired over {found.seeds:,} seeds, 95 % intervals; black: GPO's. In the grey strip (±{SIMILAR:g}) "
        "objectives count as equal. Bottom: ends of training across β, or the path of one without β."
    )
    return headed(figure, of_common_curve(found).title, words, place)


def draw_ranks(axes: Axes, ranked: list[Departure], *, gpo: bool) -> None:
    """A dot with its interval for each objective, the most gold on top. gpo: whether they are compared with GPO's."""
    axes.axvspan(-SIMILAR, SIMILAR, color="0.93", zorder=0)
    axes.axvline(0.0, color="0.6", linewidth=0.7, zorder=1)
    far = max(float(each.kl[-1]) for each in ranked)
    for height, each in enumerate(ranked):
        color = "black" if each.name in GPO_LOSSES else "#0072B2"
        low, high = each.comparison.low, each.comparison.high
        axes.plot([low, high], [height, height], color=color, linewidth=1.2)
        axes.plot(each.mean, height, "o", color=color, markersize=3.5)
        keep(axes, loss_label(each.name), np.array([each.mean]), np.array([height]), ([low], [high]))
        if each.kl[-1] < 0.95 * far:
            axes.annotate(
                f"to {near(float(each.kl[-1]))} nats", (max(high, each.mean), height), xytext=(4, 0), va="center",
                textcoords="offset points", fontsize=letters(6), color=SOFT,
            )  # fmt: skip
    axes.set_yticks(range(len(ranked)), labels=[loss_label(each.name) for each in ranked])
    whose = "GPO's" if gpo else "the others'"
    axes.set(ylim=(-0.7, len(ranked) - 0.3), xlabel=f"gold less {whose} at equal KL [sd]")
    axes.grid(visible=False, axis="y")


def draw_story(axes: Axes, curves: pd.DataFrame, found: CommonCurve, ranked: list[Departure]) -> None:
    """The curves of those that surely differ most, and the common curve."""
    apart = [each for each in ranked if each.different and not each.equal and each.name not in GPO_LOSSES]
    chosen = sorted(apart or ranked, key=lambda each: -abs(each.mean))[:STORY]
    table = frontier(curves[curves["loss"].isin([each.name for each in chosen]) | curves["method"].eq("oracle")])
    shown = table.rename(columns={"low": "gold_low"})
    frame(axes, curves, pd.concat([shown, pd.DataFrame({"kl": found.kl, "gold": found.gold})]))
    curve(axes, "mean", found.kl, found.gold, color="black", linewidth=1.8)
    labels = [
        EndLabel(
            found.kl[-1], found.gold[-1], "GPO's losses" if "GPO" in common_name(found) else "mean of all", "black"
        )
    ]
    styles = loss_styles(losses_of(curves))
    for each in chosen:
        line, style = table[table["loss"] == each.name], line_style(styles[each.name])
        curve(axes, loss_label(each.name), line["kl"], line["gold"], (line["low"], line["high"]), band=0.1, **style)
        labels.append(EndLabel(line["kl"].iloc[-1], line["gold"].iloc[-1], loss_label(each.name), style["color"]))
    draw_oracle(axes, curves)
    axes.set(xlabel=KL_LABEL, ylabel=GOLD_LABEL)
    end_labels(axes, labels, BELOW - 0.4)


def applies(curves: pd.DataFrame) -> bool:
    """Whether there are objectives that are not GPO's, and something that they can be compared with."""
    return bool(others(final_rows(curves))) and common_curve(curves) is not None


FIGURE = Kind(
    name="neighbours",
    caption="Which objectives have more gold than GPO's losses at equal KL, and which have less?",
    rank=40,
    shows="point",
    draw=draw,
    applies=applies,
)
