"""Which losses make responses longer, and what is left of their gold at equal length?"""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from analysis.figures.kind import Kind
from analysis.figures.layout import Picture, headed
from analysis.figures.marks import EndLabel, curve, end_labels, points, zero_line
from analysis.figures.style import GOLD_LABEL, KL_LABEL, SOFT, line_style, loss_styles
from analysis.headline.lengths import AtKL, as_gold, beyond_reference, equal_length, lengths_apart, lengths_at_kl
from analysis.headline.statement import near
from analysis.records.names import in_words, loss_label, losses_of
from analysis.statistics.frontier import frontier
from analysis.statistics.intervals import mean_of

ABOVE, ROW = 1.9, 0.18  # inches
MOST = 9  # losses whose paths are drawn; of more, those that differ most in length from the baseline
BOTH, GOLD, EQUAL = "black", "#0072B2", "#D55E00"


def draw(curves: pd.DataFrame, place: str = "") -> Picture:
    """Above: length over KL. Below: at one KL, length, gold, and gold at the reference's lengths, ranked by gold."""
    found = lengths_at_kl(curves)
    assert found is not None  # as `applies` says
    below = ROW * len(found.each) + 0.6
    figure = Picture(ABOVE + below)
    rows = figure.add_gridspec(2, 1, height_ratios=[ABOVE, below])
    cells = rows[1].subgridspec(1, 2, width_ratios=[1, 1.4])
    left, right = figure.add_subplot(cells[0]), figure.add_subplot(cells[1])
    draw_lengths(figure.add_subplot(rows[0].subgridspec(1, 1)[0]), curves, found)
    draw_points(left, found, {"tokens": ("length", BOTH, "o", 0.0)})
    draw_points(
        right,
        found,
        {"gold": ("gold", GOLD, "o", 0.15), "gold at equal length": ("gold_equal_length", EQUAL, "s", -0.15)},
    )
    left.set(xlabel="length beyond [tokens]")
    left.set_yticks(range(len(found.each)), labels=[loss_label(loss) for loss in found.each])
    right.set(xlabel=GOLD_LABEL)
    right.tick_params(labelleft=False)
    few = f"{in_words(found.still).capitalize()} that hardly {'leave' if found.still > 1 else 'leaves'} the reference"
    words = (
        "Top: tokens of a response less those of the reference, ends of training across β, or the path of a loss "
        f"without β; means over {len(found.draws):,} seeds. Bottom: at {near(found.kl)} nats (dashed above) the same, "
        "gold (circles) and gold at the reference's lengths (squares), with 95 % intervals."
        + (f" {few} {'are' if found.still > 1 else 'is'} at the top alone." if found.still else "")
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
        line, style = table[table["loss"] == loss], line_style(styles[loss])
        ends = (line["low"], line["high"])
        curve(axes, loss_label(loss), line["kl"], line["gold"], ends, band=0.0, **style, linewidth=1.0)
        if len(line):
            labels.append(EndLabel(line["kl"].iloc[-1], line["gold"].iloc[-1], loss_label(loss), style["color"]))
    low, high = float(table["gold"].min()), float(table["gold"].max())
    room = 0.12 * (high - low) or 0.1
    axes.set(xlabel=KL_LABEL, ylabel=r"length beyond $\pi_\mathrm{ref}$ [tokens]", ylim=(low - room, high + room))
    axes.set_xlim(0.0, 1.02 * float(table["kl"].max()))
    end_labels(axes, labels, ABOVE - 0.45)


def shown_losses(losses: list[str], found: AtKL) -> list[str]:
    """The losses whose paths are drawn, in their order."""
    far = {name: abs(each.value) for name, each in found.longer().items()} | {found.baseline: np.inf}
    kept = sorted(losses, key=lambda name: -far.get(name, -1.0))[:MOST]
    return [name for name in losses if name in kept]


def draw_points(axes: Axes, found: AtKL, kinds: dict[str, tuple[str, str, str, float]]) -> None:
    """Columns of each loss with their intervals, the most gold on top; a colour, a marker and a shift for each."""
    axes.axvline(0.0, color="0.6", linewidth=0.7, zorder=1)
    for height, (loss, values) in enumerate(found.each.items()):
        for name, (column, color, marker, up) in kinds.items():
            each = mean_of(values[column])
            ends = [np.array([end]) for end in each.interval()]
            style = {"color": color, "marker": marker, "linestyle": "none", "markersize": 3.0}
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
