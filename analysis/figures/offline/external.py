"""Do policies that were trained elsewhere lie where ours do?"""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from analysis.figures.kind import Kind
from analysis.figures.layout import Picture, column, headed
from analysis.figures.marks import EndLabel, draw_oracle, end_labels, ends_of, frame, points
from analysis.figures.style import GOLD_LABEL, KL_LABEL, line_style, loss_styles, seeds_note
from analysis.records.about import trained_elsewhere
from analysis.records.load import final_rows, pairwise_rows
from analysis.records.names import loss_label, losses_of
from analysis.statistics.intervals import over_seeds

HEIGHT = 2.6  # inches
MOST = 4  # of our losses that are drawn


def draw(curves: pd.DataFrame, place: str = "") -> Picture:
    """Gold against KL at the end of training: ours across beta, and each label of those from elsewhere."""
    figure, axes = column(HEIGHT)
    (panel,) = axes
    last = final_rows(curves)
    theirs = ends(trained_elsewhere(last))
    ours = ends(final_rows(pairwise_rows(curves)))
    shown, labels = losses_of(ours)[:MOST], list(dict.fromkeys(theirs["loss"]))
    styles = loss_styles([*shown, *labels])
    both = pd.concat([ours[ours["loss"].isin(shown)], theirs])
    frame(panel, curves, both)
    draw_oracle(panel, curves)
    named = [draw_family(panel, ours[ours["loss"] == loss], styles[loss], "o", "-") for loss in shown]
    named += [draw_family(panel, theirs[theirs["loss"] == label], styles[label], "D", ":") for label in labels]
    panel.set(xlabel=KL_LABEL, ylabel=GOLD_LABEL)
    end_labels(panel, named, HEIGHT)
    more = len(losses_of(ours)) - len(shown)
    words = (
        f"Circles: our policies at the end of training, across β ({seeds_note(ours)}). Diamonds: policies that "
        f"were trained elsewhere and measured here, {in_seeds(theirs)}."
        + (f" {more} more of our losses are in the table of the sweep." if more else "")
    )
    return headed(figure, "Policies trained elsewhere, beside ours", words, place)


def ends(last: pd.DataFrame) -> pd.DataFrame:
    """Means over seeds of the ends of training, by loss or label and beta, in the order of beta."""
    found = over_seeds(last, ["loss", "beta"], ["kl", "gold"])
    return found.sort_values(["loss", "beta"], kind="stable", ignore_index=True)


def in_seeds(theirs: pd.DataFrame) -> str:
    """How many policies each diamond is, for a sentence."""
    most, least = int(theirs["seeds"].max()), int(theirs["seeds"].min())
    if most == 1:
        return "one policy each"
    return f"means of {least if least == most else f'{least} to {most}'} policies with 95 % intervals"


def draw_family(axes: Axes, rows: pd.DataFrame, style: dict[str, Any], marker: str, line: str) -> EndLabel:
    """The points of a loss or a label, joined across beta; what names them."""
    known = line_style(style)
    color = known["color"]
    points(
        axes, loss_label(rows["loss"].iloc[0]), rows["kl"], rows["gold"], ends_of(rows, "gold"),
        color=color, marker=marker, markersize=4, linestyle=line, linewidth=1.0, markeredgecolor="white",
        markeredgewidth=0.4, zorder=4 if marker == "D" else 3,
    )  # fmt: skip
    last = rows.loc[rows["kl"].idxmax()]
    return EndLabel(last["kl"], last["gold"], loss_label(rows["loss"].iloc[0]), color)


def has_external(curves: pd.DataFrame) -> bool:
    """Whether policies that were trained elsewhere were measured, and ours learned from pairs."""
    last = final_rows(curves)
    return bool(len(trained_elsewhere(last)) and (last["method"] == "gpo").any())


FIGURE = Kind(
    name="external",
    caption="Do policies that were trained elsewhere lie where ours do?",
    rank=5,
    shows="external",
    draw=draw,
    applies=has_external,
)
