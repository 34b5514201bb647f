"""Figures of one column's width: a title that says what the sweep shows, panels, and words that say what is drawn."""

import math
import re
import textwrap
from collections.abc import Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.figures.look import letters, look
from analysis.figures.style import SOFT
from analysis.records.names import capitalized

TITLE, WORDS = 8.5, 6.5  # points
SIGNS = {
    **{r"\pi": "π", r"\,": " ", r"\Vert": "‖", r"_\mathrm{ref}": "_ref", r"\mu": "μ", r"\rho": "ρ", "^2": "²"},
    **{r"\sqrt{\mathrm{KL}": "√{KL", r"\frac{1}{2}": "½", "$": "", "{": "", "}": "", "\\": ""},
}
JOINED = "\u00a0±\u00a0"  # where no line is broken


class Picture(Figure):
    """A figure that keeps what is drawn in its panels, what it says, and the words on how it is drawn."""

    drawn: list[tuple[Axes, pd.DataFrame]]

    def __init__(self, height: float) -> None:
        super().__init__(figsize=(look().width, height), layout="constrained")
        self.drawn, self.title, self.words = [], "", ""


def column(height: float, rows: int = 1, **options: Any) -> tuple[Picture, list[Axes]]:
    """A figure of one column with panels below each other. height: of all panels, in inches."""
    figure = Picture(height)
    return figure, list(figure.subplots(rows, 1, squeeze=False, **options)[:, 0])


def stacked(heights: Sequence[float]) -> tuple[Picture, list[Axes]]:
    """A figure of one column with panels below each other, each as wide as its own labels leave it."""
    figure = Picture(sum(heights))
    rows = figure.add_gridspec(len(heights), 1, height_ratios=list(heights))
    return figure, [figure.add_subplot(rows[row].subgridspec(1, 1)[0]) for row in range(len(heights))]


def panels(
    titles: Sequence[str], most: int = 2, height: float = 1.35, **shared: bool
) -> tuple[Picture, dict[str, Axes]]:
    """One panel a title, at most so many in a row, with common axes unless said."""
    columns = min(most, len(titles))
    rows = math.ceil(len(titles) / columns)
    alone = 2.2 if len(titles) == 1 else height
    figure = Picture(alone * rows + 0.3)
    options: dict[str, Any] = {"sharex": True, "sharey": True} | shared
    grid = figure.subplots(rows, columns, squeeze=False, **options)
    flat = list(grid.flat)
    for i, axes in enumerate(flat[len(titles) :], start=len(titles)):
        axes.remove()
        flat[i - columns].tick_params(labelbottom=True)
    for axes, title in zip(flat, titles, strict=False):
        axes.set_title("\n".join(wrapped(title, letters(7.5), look().width / columns - 0.4)))
    return figure, dict(zip(titles, flat, strict=False))


def headed(figure: Picture, title: str, words: str = "", place: str = "") -> Picture:
    """The figure with a title above its panels and words below them, for which it grows; in a paper they are captions.

    place: at which values of further axes this is, which the title begins with.
    """
    if place:
        first = title[:1].lower() if title.split()[0][1:].islower() else title[:1]  # an acronym stays as it is
        title = f"{place}: {first}{title[1:]}"
    figure.title, figure.words = capitalized(title), words
    return with_title(figure) if look().titled else figure


def with_title(figure: Picture) -> Picture:
    """The figure with its title above its panels and its words below them, for which it grows."""
    width, height = figure.get_size_inches()
    above = wrapped(figure.title, TITLE, width, "bold")
    below = wrapped(figure.words, WORDS, width)
    top = 0.05 + len(above) * TITLE * 1.22 / 72
    low = (0.03 + len(below) * WORDS * 1.3 / 72) if below else 0.0
    common = figure.get_supxlabel()
    bottom = low + 0.17 * bool(common)
    whole = height + top + bottom
    figure.set_size_inches(width, whole)
    engine: Any = figure.get_layout_engine()
    engine.set(rect=(0, bottom / whole, 1, height / whole))
    heading: dict[str, Any] = {"fontsize": TITLE, "weight": "bold", "va": "top", "linespacing": 1.15}
    figure.text(0.015, 1 - 0.03 / whole, "\n".join(above), gid="title", **heading)
    if common:  # the layout would put it below the words
        figure.supxlabel("")
        figure.text(0.56, (low + 0.03) / whole, common, gid="x_axis", ha="center", va="bottom")
    if below:
        figure.text(
            0.015, 0.02 / whole, "\n".join(below), gid="words", fontsize=WORDS, color=SOFT, va="bottom", linespacing=1.2
        )
    return figure


def wrapped(text: str, size: float, width: float, weight: str = "normal") -> list[str]:
    """Lines of text that fit so many inches in letters of so many points; none ends within a number and its error."""
    most = int(width * 0.97 * 72 / (size * look().letter[weight]))
    parts = re.sub(r"([α-ω]) (?=\d)", "\\1\u00a0", text.replace(" ± ", JOINED)).split("\n")
    return [line for part in parts for line in textwrap.wrap(part, most)] if text else []


def text_of(figure: Figure, which: str) -> str:
    """The title or the words of a figure, on one line."""
    found = [text.get_text().replace("\n", " ").replace("\u00a0", " ") for text in figure.texts]
    return " ".join(text for text, each in zip(found, figure.texts, strict=True) if each.get_gid() == which)


def shown_data(figure: Picture) -> pd.DataFrame:
    """What is drawn, a row a point: panel, x_axis, y_axis, line, x, y, low, high; labels as plain text."""
    tables = []
    every = list(figure.axes)
    for axes, table in figure.drawn:
        below, left = axes.get_xlabel() or shared_label(figure, "x"), axes.get_ylabel() or shared_label(figure, "y")
        names = {"panel": plain(axes.get_title(loc="left")) or f"panel {every.index(axes) + 1}"}
        lines = table["line"].str.replace(r"\$", "$", regex=False)
        tables.append(table.assign(**names, line=lines, x_axis=plain(below), y_axis=plain(left)))
    columns = ["panel", "x_axis", "y_axis", "line", "x", "y", "low", "high"]
    found = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=columns)
    return found[columns]


def shared_label(figure: Figure, which: str) -> str:
    """The label of the axis that all panels have in common, or of the last panel that has one."""
    common = text_of(figure, "x_axis") if which == "x" else figure.get_supylabel()
    each = [axes.get_xlabel() if which == "x" else axes.get_ylabel() for axes in figure.axes]
    return common or next(filter(None, reversed(each)), "")


def plain(label: str) -> str:
    """A label without the signs of mathematical typesetting."""
    for written, read in SIGNS.items():
        label = label.replace(written, read)
    return " ".join(label.replace("\n", " ").split())
