"""What is drawn in a panel: curves with bands, points with intervals, the oracle, and names beside lines.

What `curve` and `points` draw is kept as a table, too, which is written beside the picture.
"""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.transforms import blended_transform_factory

from analysis.figures.layout import Picture
from analysis.figures.look import letters
from analysis.figures.style import ORACLE, SOFT
from analysis.records.load import oracle_rows

Array = np.ndarray
Values: TypeAlias = np.ndarray | pd.Series | Sequence[float]

LINE = 8.2 / 7.0  # from one name to the next, in their size
LABEL_SIZE = 7.0
LONGEST = 30  # letters of a name beside a panel


class EndLabel(NamedTuple):
    """A name for a line that ends at (x, y)."""

    x: float
    y: float
    text: str
    color: Any


def curve(
    axes: Axes,
    name: str,
    x: Values,
    y: Values,
    ends: tuple[Values, Values] | None = None,
    *,
    band: float = 0.15,
    **style: Any,
) -> None:
    """A named line with the band between `ends`, where these are known. band: how dark it is, from 0 to 1."""
    x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    axes.plot(x, y, label=name, **style)
    if ends is not None:
        low, high = (np.asarray(end, dtype=float) for end in ends)
        if np.isfinite(low).any() and band > 0:
            axes.fill_between(x, low, high, color=style.get("color"), alpha=band, linewidth=0)
    keep(axes, name, x, y, ends)


def points(
    axes: Axes,
    name: str,
    x: Values,
    y: Values,
    ends: tuple[Values, Values] | None = None,
    *,
    along: str = "y",
    **style: Any,
) -> None:
    """Named points with the intervals between `ends`, where these are known, of x or y."""
    x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    errors = None
    if ends is not None:
        at = x if along == "x" else y
        errors = np.nan_to_num(np.clip([at - np.asarray(ends[0], float), np.asarray(ends[1], float) - at], 0.0, None))
    bars: dict[str, Any] = {f"{along}err": errors, "elinewidth": 0.8}
    axes.errorbar(x, y, **bars, label=name, **style)
    keep(axes, name, x, y, ends)


def keep(axes: Axes, name: str, x: Array, y: Array, ends: tuple[Values, Values] | None) -> None:
    """Keep what is drawn, with the labels of its axes as the units of x and y."""
    figure = axes.get_figure(root=True)
    if isinstance(figure, Picture):
        low, high = ends if ends is not None else (np.nan, np.nan)
        table = pd.DataFrame({"line": name, "x": x, "y": y, "low": low, "high": high})
        figure.drawn.append((axes, table))


def ends_of(table: pd.DataFrame, name: str) -> tuple[Array, Array]:
    """The ends of the interval of a column, [n] each."""
    return table[f"{name}_low"].to_numpy(float), table[f"{name}_high"].to_numpy(float)


def draw_oracle(axes: Axes, curves: pd.DataFrame, name: str = "best possible") -> None:
    """The oracle frontier as far as the axes go, named; level after its end, where more KL buys no more gold.

    Nothing for several worlds.
    """
    best = oracle_rows(curves)
    if best.empty or best["beta"].duplicated().any():
        return
    right = max(axes.get_xlim()[1], float(best["kl"].max()))
    kl, gold = np.array([*best["kl"], right]), np.array([*best["gold"], best["gold"].max()])
    curve(axes, "oracle", kl, gold, **ORACLE)
    if name:
        end = axes.get_xlim()[1]
        axes.annotate(
            name, (end, np.interp(end, kl, gold)), xytext=(-2, 2.5), textcoords="offset points", ha="right",
            va="bottom", fontsize=letters(LABEL_SIZE), color=SOFT,
        )  # fmt: skip


def frame(axes: Axes, curves: pd.DataFrame, rows: pd.DataFrame) -> None:
    """Limits that show the reference (0, 0), the oracle and all of `rows`.

    Where the rows have intervals, these are shown too, as far as a third more of each axis.
    """
    rows = rows.reindex(columns=["kl", "kl_high", "gold", "gold_low"])
    reach = float(rows["kl"].max())
    right = max(reach, min(float(rows["kl_high"].fillna(0.0).max()), 4 / 3 * reach))
    right = right if right > 0 else 1.0
    top = max([float(rows["gold"].max()), *oracle_rows(curves)["gold"]])
    bottom = min(0.0, float(rows["gold"].min()))
    bottom = min(bottom, max(float(rows["gold_low"].fillna(0.0).min()), bottom - (top - bottom) / 3))
    room = 0.06 * (top - bottom) or 1.0
    above = room if oracle_rows(curves).empty else 2.5 * room  # where the name of the oracle stands
    axes.set(xlim=(-0.02 * right, 1.05 * right), ylim=(bottom - room, top + above))
    zero_line(axes)


def zero_line(axes: Axes) -> None:
    """The reference, which has gold 0."""
    axes.axhline(0.0, color="0.6", linewidth=0.7, zorder=1)


def level(axes: Sequence[Axes], tables: Sequence[pd.DataFrame], names: Sequence[str]) -> None:
    """Limit the vertical axes to the means of `names` and a little more; intervals that are wider are cut."""
    values = pd.concat([table[list(names)] for table in tables]).to_numpy(float)
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    room = 0.12 * (high - low) or 1.0
    for each in axes:
        each.set_ylim(low - room, high + room)


def end_labels(axes: Axes, labels: Sequence[EndLabel], height: float, at: float = 1.025) -> None:
    """Names right of a panel, each beside the end of its line, moved apart where they would touch.

    height: of the panel, in inches. at: where they begin, as a part of its width. Limits and scales must be final.
    """
    labels = [label for label in labels if label.text]
    if not labels:
        return
    low, high = axes.transScale.transform([(1.0, y) for y in axes.get_ylim()])[:, 1]
    ends = axes.transScale.transform([(1.0, label.y) for label in labels])[:, 1]
    wanted = np.clip((ends - low) / (high - low), 0.0, 1.0) * height * 72
    step = LINE * letters(LABEL_SIZE)
    places = inside(apart(wanted, step), step, height * 72) / (height * 72)
    beside = blended_transform_factory(axes.transAxes, axes.transAxes)
    for label, place, end in zip(labels, places, wanted / (height * 72), strict=True):
        axes.annotate(
            label.text if len(label.text) <= LONGEST else f"{label.text[: LONGEST - 1]}…",
            (label.x, label.y),
            xytext=(at, place),
            textcoords=beside,
            fontsize=letters(LABEL_SIZE),
            color=label.color,
            ha="left",
            va="center_baseline",
            annotation_clip=False,
            arrowprops={
                "arrowstyle": "-",
                "linewidth": 0.4,
                "color": label.color,
                "alpha": 0.6,
                "relpos": (0.0, 0.5),
                "shrinkA": 0,
                "shrinkB": 2,
            }
            if abs(place - end) > 0.01 or label.x < 0.97 * axes.get_xlim()[1]
            else None,
        )


def corner_names(axes: Axes, labels: Sequence[EndLabel], corner: Literal["lower", "upper"] = "lower") -> None:
    """Names in a left corner of a panel, where there is no room beside it; for the first of several panels."""
    place: dict[str, Any] = {"xycoords": "axes fraction", "textcoords": "offset points", "fontsize": letters(6)}
    step = letters(6) + 1
    for row, label in enumerate(labels):
        at, up, side = (0.0, 3 + step * row, "baseline") if corner == "lower" else (1.0, -1 - step * row, "top")
        axes.annotate(label.text, (0.03, at), xytext=(0, up), va=side, color=label.color, **place)


def apart(wanted: np.ndarray, least: float) -> np.ndarray:
    """The numbers moved as little as need be until they lie `least` apart, in their order."""
    order = np.argsort(wanted, kind="stable")
    groups: list[list[float]] = []  # each the sum of wanted - offset, and how many
    for value in wanted[order]:
        groups.append([float(value), 1.0])
        while len(groups) > 1 and center(groups[-2]) + least * (groups[-2][1] + groups[-1][1]) / 2 > center(groups[-1]):
            last = groups.pop()
            groups[-1] = [groups[-1][0] + last[0], groups[-1][1] + last[1]]
    found = np.empty(len(wanted))
    place = 0
    for group in groups:
        count = int(group[1])
        found[order[place : place + count]] = center(group) + least * (np.arange(count) - (count - 1) / 2)
        place += count
    return found


def inside(places: np.ndarray, least: float, most: float) -> np.ndarray:
    """Places that lie `least` apart, moved to between 0 and `most` if there is room, still as far apart."""
    order, steps = np.argsort(places, kind="stable"), least * np.arange(len(places))
    found = np.empty(len(places))
    found[order] = np.maximum(np.minimum(places[order], most - steps[::-1]), steps)
    return found


def center(group: list[float]) -> float:
    """The middle of a group of names."""
    return group[0] / group[1]
