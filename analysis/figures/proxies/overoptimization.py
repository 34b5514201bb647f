"""Where does gold turn while the proxy's score goes on rising?"""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from analysis.figures.kind import Kind
from analysis.figures.layout import Picture, headed, panels
from analysis.figures.marks import EndLabel, corner_names, curve, end_labels, ends_of, level, zero_line
from analysis.figures.proxies.rounds import METHOD as ROUNDS
from analysis.figures.style import GOLD_LABEL, few, ramp, seeds_note
from analysis.headline.proxies import against_proxies
from analysis.records.proxy_settings import Family, families, with_labels
from analysis.statistics.peaks import means_along
from analysis.statistics.proxy_errors.phase_diagram import beside_the_diagram

D_LABEL = r"$\sqrt{\mathrm{KL}(\pi\,\Vert\,\pi_\mathrm{ref})}$ [√nats]"
MOST = 6  # panels
LINES = 3  # values in a panel


def draw(curves: pd.DataFrame) -> Picture:
    """A panel for each method and further setting, with the first, middle and last value of the setting that varies."""
    curves = shown_in(curves)
    every = list(families(curves))
    shown = every[:MOST]
    figure, grid = panels([family.title for family in shown], most=1 if len(shown) <= 3 else 2, height=1.7)
    tables = []
    for family in shown:
        tables += draw_family(grid[family.title], family)
    level(list(grid.values()), tables, ("gold", "proxy"))
    for family in shown:
        label_family(grid[family.title], family, wide=len(shown) <= 3, first=family is shown[0])
    figure.supxlabel(D_LABEL)
    figure.supylabel(GOLD_LABEL.replace("gold", "score"))
    more = len(every) - len(shown)
    words = (
        f"Solid: gold, {seeds_note(pd.concat(tables))}. Dashed: the proxy's score, recalibrated. Squares: highest gold."
        + (f" {more} more panels are in the table." if more else "")
    )
    return headed(figure, against_proxies(curves)[0].title, words)


def shown_in(curves: pd.DataFrame) -> pd.DataFrame:
    """What is drawn: no cells of the phase diagram, and no rounds, whose paths come back to the reference."""
    rows = beside_the_diagram(curves)
    return rows[rows["method"] != ROUNDS]


def chosen(family: Family) -> list[object]:
    """The values of a family that are drawn: the first, the middle and the last."""
    values = list(family.labels)
    places = few(range(len(values)), LINES)
    there = [values[int(place)] for place in places]
    return [value for value in there if (family.rows[family.varied] == value).any()] or [None]


def rows_of(family: Family, value: object) -> pd.DataFrame:
    """The rows of a value, or of those that have none."""
    return family.rows[family.rows[family.varied].isna() if value is None else family.rows[family.varied] == value]


def draw_family(axes: Axes, family: Family) -> list[pd.DataFrame]:
    """The curves of one panel; the means that were drawn."""
    tables, values = [], chosen(family)
    zero_line(axes)
    for value, color in zip(values, ramp(len(values)), strict=True):
        mean = means_along(rows_of(family, value), ["gold", "proxy"])
        d, name = np.sqrt(mean["kl"].clip(lower=0.0)), name_of(family, value)
        curve(axes, f"gold, {name}", d, mean["gold"], ends_of(mean, "gold"), color=color)
        curve(axes, f"proxy, {name}", d, mean["proxy"], color=color, linestyle="--", linewidth=0.9)
        top = int(mean["gold"].to_numpy().argmax())
        axes.plot(
            d.iloc[top],
            mean["gold"].iloc[top],
            "s",
            color=color,
            markersize=4,
            markeredgecolor="white",
            markeredgewidth=0.5,
        )
        tables.append(mean)
    return tables


def label_family(axes: Axes, family: Family, *, wide: bool, first: bool) -> None:
    """Names at the ends of gold, where there is room beside the panel; else in a corner of the first panel."""
    values, labels = chosen(family), []
    for value, color in zip(values, ramp(len(values)), strict=True):
        mean = means_along(rows_of(family, value), ["gold"])
        labels.append(
            EndLabel(
                float(np.sqrt(max(mean["kl"].iloc[-1], 0.0))), mean["gold"].iloc[-1], name_of(family, value), color
            )
        )
    if wide:
        end_labels(axes, labels, 1.4)
    elif first:
        corner_names(axes, labels)


def name_of(family: Family, value: object) -> str:
    """What a value is called."""
    return "all" if value is None else family.labels[value].replace(" parameters", " par.")


FIGURE = Kind(
    name="overoptimization",
    caption="Where does gold turn while the proxy's score goes on rising?",
    rank=60,
    shows="proxies",
    draw=draw,
    applies=lambda curves: not with_labels(shown_in(curves)).empty,
)
