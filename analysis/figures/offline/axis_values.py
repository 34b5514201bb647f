"""What does a further axis (label noise, pairs, size) do to gold at equal KL?"""

import numpy as np
import pandas as pd

from analysis.figures.kind import Kind
from analysis.figures.layout import Picture, column, headed
from analysis.figures.marks import EndLabel, curve, end_labels, zero_line
from analysis.figures.offline.tradeoff import equal_strip
from analysis.figures.style import GOLD_LABEL, KL_LABEL, ramp
from analysis.headline.axes import axis_apart, comparable, first_gold, values_of
from analysis.headline.statement import place_text
from analysis.records.load import further_axes
from analysis.records.names import axis_label, value_text
from analysis.statistics.comparison import POINTS, SIMILAR, TENTHS, compare
from analysis.statistics.frontier import frontier

ABOVE, BELOW = 1.8, 1.3
MOST = 7  # values


def draw(curves: pd.DataFrame, axis: str) -> Picture:
    """Above: gold over KL at each value. Below: less that of the first value, paired over seeds."""
    gold = first_gold(curves)
    others = [name for name in further_axes(curves) if name != axis and name not in gold]
    rows, values = comparable(curves, axis), some_values(curves, axis)
    pool = ["loss", *others]
    figure, (above, below) = column(ABOVE + BELOW, rows=2, sharex=True, height_ratios=[ABOVE, BELOW])
    table = frontier(rows[rows[axis].isin(values)], by=axis, pool=pool)
    zero_line(above)
    equal_strip(below)
    labels, differences, tall = [], [], [SIMILAR]
    for value, color in zip(values, ramp(len(values)), strict=True):
        line, name = table[table[axis] == value], value_text(value)
        curve(above, name, line["kl"], line["gold"], (line["low"], line["high"]), color=color)
        if len(line):
            labels.append(EndLabel(line["kl"].iloc[-1], line["gold"].iloc[-1], name, color))
        if value == values[0]:
            continue
        found = compare(rows, value, values[0], by=axis, pool=pool)
        kl = np.linspace(0.0, found.reach, POINTS)[TENTHS]
        each = np.array([(estimate.value, *estimate.interval()) for estimate in found.at_tenths])
        curve(below, f"{name} less {value_text(values[0])}", kl, each[:, 0], (each[:, 1], each[:, 2]), color=color)
        differences.append(EndLabel(kl[-1], each[-1, 0], f"{name} less {value_text(values[0])}", color))
        tall.append(float(np.abs(each[:, 0]).max()))
    above.set_ylabel(GOLD_LABEL)
    below.set(xlabel=KL_LABEL, ylabel="difference [sd]", ylim=(-1.5 * max(tall), 1.5 * max(tall)))
    end_labels(above, labels, ABOVE - 0.1)
    end_labels(below, differences, BELOW - 0.3)
    state = axis_apart(curves, axis, further_axes(curves))
    averaged = " and ".join(["losses", *map(axis_label, others)])
    seeds = int(table["seeds"].max())
    words = (
        f"{axis_label(axis).capitalize()} {', '.join(map(value_text, values))}: ends of training across β, averaged "
        f"over {averaged}, 95 % bands over {seeds:,} seed{'s' * (seeds > 1)}. Bottom: paired over seeds, at equal KL; "
        f"in the grey strip (±{SIMILAR:g}) values count as equal."
    )
    return headed(figure, state.title if state else axis_label(axis), words, place_text(gold))


def some_values(curves: pd.DataFrame, axis: str) -> list[object]:
    """At most MOST values of an axis, its first and last among them."""
    values = values_of(curves, axis)
    if len(values) <= MOST:
        return values
    return [values[round(i * (len(values) - 1) / (MOST - 1))] for i in range(MOST)]


FIGURE = Kind(
    name="by",
    caption="What does {axis} do to gold at equal KL?",
    rank=5,
    shows="axis",
    draw=draw,
)
