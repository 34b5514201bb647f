"""Which losses make responses longer, and what is left of their gold at equal length?"""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from scipy.optimize import linear_sum_assignment

from analysis.figures.kind import Kind
from analysis.figures.layout import Picture, headed
from analysis.figures.look import letters
from analysis.figures.marks import LABEL_SIZE, LINE, LONGEST, EndLabel, curve, points, zero_line
from analysis.figures.style import GOLD_LABEL, KL_LABEL, SOFT, line_style, loss_styles
from analysis.headline.lengths import equal_length, lengths_apart, not_compared
from analysis.headline.statement import near
from analysis.records.names import loss_label, losses_of
from analysis.statistics.frontier import frontier
from analysis.statistics.intervals import mean_of
from analysis.statistics.lengths.at_equal_kl import AtKL, as_gold, beyond_reference, lengths_at_kl

ABOVE, ROW = 2.1, 0.18  # inches
WIDTH = 2.1  # of the upper panel, about, in inches
MOST = 9  # losses whose paths are drawn; of more, those that differ most in length from the baseline
STILL = "0.5"  # losses that are not compared
TOKENS = {"tokens": ("length", ("o", "black"), 0.0)}
GOLDS = {
    "gold": ("gold", ("o", "black"), 0.15),
    "gold at equal length": ("gold_equal_length", ("s", "white"), -0.15),
}


def draw(curves: pd.DataFrame, place: str = "") -> Picture:
    """Above: length over KL. Below: at one KL, length, gold, and gold at the reference's lengths, ranked by gold."""
    found = lengths_at_kl(curves)
    assert found is not None  # as `applies` says
    below = ROW * len(found.each) + 0.8
    figure = Picture(ABOVE + below)
    rows = figure.add_gridspec(2, 1, height_ratios=[ABOVE, below])
    cells = rows[1].subgridspec(1, 2, width_ratios=[1, 1.4])
    left, right = figure.add_subplot(cells[0]), figure.add_subplot(cells[1])
    draw_lengths(figure.add_subplot(rows[0].subgridspec(1, 1)[0]), curves, found)
    draw_points(left, found, TOKENS)
    draw_points(right, found, GOLDS)
    left.set(xlabel="length beyond\n$\\pi_\\mathrm{ref}$ [tokens]")
    left.set_yticks(range(len(found.each)), labels=[loss_label(loss) for loss in found.each])
    right.set(xlabel=GOLD_LABEL)
    right.tick_params(labelleft=False)
    name_markers(right)
    words = (
        "Top: tokens of a response less those of the reference, ends of training across β, or the path of a loss "
        f"without β; means over {len(found.draws):,} seeds. Bottom: at {near(found.kl)} nats (dashed above) the same, "
        "gold, and gold at the reference's lengths, with 95 % intervals."
        + (f" Grey: {not_compared(found)}." if found.still else "")
    )
    title = f"{lengths_apart(found).title}; {lower(equal_length(found).title)}"
    return headed(figure, title, words, place)


def lower(title: str) -> str:
    """A title within another."""
    return title[:1].lower() + title[1:]


def draw_lengths(axes: Axes, curves: pd.DataFrame, found: AtKL) -> None:
    """The length of each loss beyond the reference's over KL."""
    rows = beyond_reference(curves)
    table, styles, labels = frontier(as_gold(rows, "length")), loss_styles(losses_of(rows)), []
    zero_line(axes)
    axes.axvline(found.kl, color=SOFT, linewidth=0.7, linestyle="--", zorder=1)
    for loss in shown_losses(losses_of(rows), found):
        line, style = as_far_as_compared(table[table["loss"] == loss], loss, found), line_style(styles[loss])
        style |= {"color": STILL} if loss in found.still else {}
        ends = (line["low"], line["high"])
        curve(axes, loss_label(loss), line["kl"], line["gold"], ends, band=0.0, **style, linewidth=1.0)
        if len(line):
            labels.append(EndLabel(line["kl"].iloc[-1], line["gold"].iloc[-1], loss_label(loss), style["color"]))
    low, high = float(table["gold"].min()), float(table["gold"].max())
    room = 0.12 * (high - low) or 0.1
    axes.set(xlabel=KL_LABEL, ylabel=r"length beyond $\pi_\mathrm{ref}$ [tokens]", ylim=(low - room, high + room))
    axes.set_xlim(0.0, 1.02 * float(table["kl"].max()))
    name_ends(axes, labels)


def as_far_as_compared(line: pd.DataFrame, loss: str, found: AtKL) -> pd.DataFrame:
    """The curve of a loss, to the KL of the comparison where its last point of the grid lies short of that."""
    if loss not in found.each or not line["kl"].max() < found.kl:
        return line
    end = mean_of(found.each[loss]["length"])
    low, high = end.interval()
    row = pd.DataFrame({"kl": [found.kl], "gold": [end.value], "low": [low], "high": [high]})
    return pd.concat([line, row], ignore_index=True)


def name_ends(axes: Axes, labels: list[EndLabel]) -> None:
    """Names right of a panel, joined to the ends of their lines so that no two joins cross.

    The joins are those of the least total length: of two that cross, the other two would be shorter.
    """
    height, beside = ABOVE - 0.5, 1.05
    count = max(len(labels), int(height * 72 / (LINE * letters(LABEL_SIZE))))
    places = (np.arange(count) + 0.5) / count
    ends = axes.transAxes.inverted().transform(axes.transData.transform([(each.x, each.y) for each in labels]))
    across, up = WIDTH * (beside - ends[:, :1]), height * (places[None, :] - ends[:, 1:])
    for row, place in zip(*linear_sum_assignment(np.hypot(across, up)), strict=True):
        x, y, text, color = labels[row]
        text = text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
        axes.plot([x], [y], "o", color=color, markersize=2.5, zorder=4)
        join = {"arrowstyle": "-", "linewidth": 0.5, "color": color, "alpha": 0.6, "relpos": (0.0, 0.5)}
        axes.annotate(
            text, (x, y), xytext=(beside, places[place]), textcoords="axes fraction", color=color, va="center_baseline",
            fontsize=letters(LABEL_SIZE), annotation_clip=False, arrowprops=join | {"shrinkA": 1, "shrinkB": 0},
        )  # fmt: skip


def name_markers(axes: Axes) -> None:
    """What circles and squares are, above their panel."""
    signs = [
        Line2D(
            [],
            [],
            color="black",
            linestyle="none",
            markersize=3.0,
            label=name.removeprefix("gold "),
            marker=marker,
            markerfacecolor=face,
        )
        for name, (_, (marker, face), _) in GOLDS.items()
    ]
    axes.legend(
        handles=signs, loc="lower left", bbox_to_anchor=(-0.05, 0.98), ncols=2, handletextpad=0.1, columnspacing=0.9,
        borderpad=0.2,
    )  # fmt: skip


def shown_losses(losses: list[str], found: AtKL) -> list[str]:
    """The losses whose paths are drawn, in their order."""
    far = {name: abs(each.value) for name, each in found.longer().items()} | {found.baseline: np.inf}
    kept = sorted(losses, key=lambda name: -far.get(name, -1.0))[:MOST]
    return [name for name in losses if name in kept]


def draw_points(axes: Axes, found: AtKL, kinds: dict[str, tuple[str, tuple[str, str], float]]) -> None:
    """Columns of each loss with their intervals, the most gold on top; a marker, its face and a shift for each."""
    axes.axvline(0.0, color="0.6", linewidth=0.7, zorder=1)
    for height, (loss, values) in enumerate(found.each.items()):
        for name, (column, (marker, face), up) in kinds.items():
            each = mean_of(values[column])
            ends = [np.array([end]) for end in each.interval()]
            style = {"color": "black", "linestyle": "none", "markersize": 3.0, "marker": marker, "mfc": face}
            points(
                axes, f"{loss_label(loss)}, {name}", [each.value], [height + up], (ends[0], ends[1]), along="x", **style
            )
    axes.set(ylim=(-0.7, len(found.each) - 0.3))
    axes.grid(visible=False, axis="y")


FIGURE = Kind(
    name="length",
    caption="Which losses make responses longer, and what is left of their gold at equal length?",
    rank=14,
    shows="point",
    draw=draw,
    applies=lambda curves: lengths_at_kl(curves) is not None,
)
