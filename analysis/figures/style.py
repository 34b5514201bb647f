"""How figures look: at the width of one column, readable in grey and to colour-blind readers, a unit on every axis.

Losses differ in colour and dash at once. Colours have a contrast of 3:1 or more on white, and differ in lightness or in
what colour-blind readers see of them; beta runs along part of magma, darkest where regularization is weak. The same
colour is the same loss everywhere, on the page as well.
"""

import itertools
import math
from collections.abc import Callable, Iterable
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, LogNorm
from matplotlib.ticker import LogLocator, NullFormatter, NullLocator, StrMethodFormatter

from analysis.records.about import GPO_LOSSES

RC = {
    "figure.dpi": 240,  # as pictures are written, so that they are laid out as they are drawn
    "font.size": 7.5,
    "axes.titlesize": 7.5,
    "axes.titlelocation": "left",
    "axes.labelsize": 7.5,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "figure.labelsize": 7.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "0.92",
    "grid.linewidth": 0.5,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "lines.linewidth": 1.2,
    "lines.markersize": 3.5,
    "legend.frameon": False,
    "legend.fontsize": 7,
    "svg.hashsalt": "simulator",
    "svg.fonttype": "none",
}
PALETTE = ("#0072B2", "#D55E00", "#1F9981", "#6A3DE8", "#801900", "#000000", "#A0359A", "#7A6A00")
DASHES = ("-", (0, (5, 1.2)), (0, (5, 1, 1, 1)), (0, (1.2, 1)), (0, (7, 1, 1, 1, 1, 1)), (0, (3, 1)), "-", (0, (2, 1)))
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
KNOWN = GPO_LOSSES
PLAIN = (1e-4, 1e5)  # where numbers are as short as powers of ten
WITHOUT_BETA = "#0072B2"  # the colour of losses that have none, which is off the scale of beta
SOFT = "0.35"  # words that are no finding
PALE = "0.78"  # lines behind the others
KL_LABEL = r"KL($\pi\,\Vert\,\pi_\mathrm{ref}$) [nats per response]"
GOLD_LABEL = r"gold [sd under $\pi_\mathrm{ref}$]"
ORACLE: dict[str, Any] = {"color": "0.45", "linestyle": (0, (4, 2)), "linewidth": 0.9, "zorder": 1.5}


def loss_styles(losses: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Colour, dash and marker of each loss: always the same for the losses of KNOWN, the next free for others.

    Colours come round once all are taken, with other dashes and markers.
    """
    names = list(losses)
    count = len(PALETTE)
    slots = {name: KNOWN.index(name) for name in names if name in KNOWN}
    taken = {slot % count for slot in slots.values()}
    second = sorted(
        range(count, 2 * count), key=lambda slot: slot % count in taken
    )  # colours that no one has yet first
    free = itertools.chain(range(len(KNOWN), count), second, itertools.count(2 * count))
    slots |= dict(zip([name for name in names if name not in KNOWN], free, strict=False))
    return {
        name: {
            "color": PALETTE[slots[name] % count],
            "linestyle": DASHES[(slots[name] + 3 * (slots[name] // count)) % count],
            "marker": MARKERS[(slots[name] + 5 * (slots[name] // count)) % count],
        }
        for name in names
    }


def line_style(style: dict[str, Any]) -> dict[str, Any]:
    """The style of a loss without its marker, which says that there is a point."""
    return {name: value for name, value in style.items() if name != "marker"}


def beta_scale(betas: pd.Series) -> Callable[[float], Any]:
    """Colours for beta, dark where regularization is weak; another for losses that have none."""
    low, high = (float(betas.min()), float(betas.max())) if betas.notna().any() else (0.5, 2.0)
    norm = LogNorm(low, high) if high > low else LogNorm(low / 2, high * 2)
    dark = ListedColormap(mpl.colormaps["magma"](np.linspace(0.1, 0.66, 256)))  # the palest are lost on white
    scale: Any = ScalarMappable(norm, dark.with_extremes(bad=WITHOUT_BETA))
    return lambda beta: scale.to_rgba(beta)


def ramp(count: int) -> list[Any]:
    """So many colours, from dark to light, for what is ordered and is not beta."""
    return list(mpl.colormaps["viridis"](np.linspace(0.0, 0.66, count)))


def few(values: Iterable[float], most: int = 3) -> list[float]:
    """At most so many of the values that are there, evenly spaced by rank, the ends among them."""
    known = sorted({value for value in values if not pd.isna(value)})
    if len(known) <= most:
        return known
    return [known[round(i * (len(known) - 1) / (most - 1))] for i in range(most)]


def log_axis(axes: Axes, which: str) -> None:
    """Make an axis logarithmic once all is drawn: labels at powers of ten, or at 1, 3 and 10, or 1, 2, 5 and 10.

    There are as many as show some, and no more. Marks without a label stand at 2 and 5: eight between two powers would
    take longer to draw than all the curves.
    """
    axes.set(**{f"{which}scale": "log"})
    axis = axes.xaxis if which == "x" else axes.yaxis
    low, high = axes.get_xlim() if which == "x" else axes.get_ylim()
    few_powers = high < 100 * low
    shown = ((1.0, 2.0, 5.0) if high < 15 * low else (1.0, 3.0)) if few_powers else (1.0,)
    axis.set_major_locator(LogLocator(subs=shown))
    axis.set_minor_locator(NullLocator() if few_powers else LogLocator(subs=(2.0, 5.0)))
    if PLAIN[0] <= low and high <= PLAIN[1]:
        axis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axis.set_minor_formatter(NullFormatter())


def root_axis(axes: Axes) -> None:
    """Make the horizontal axis one of sqrt(KL), along which gold starts as a line; marks at plain numbers of KL."""
    right = float(axes.get_xlim()[1])
    axes.set_xscale("function", functions=(lambda x: np.sqrt(np.maximum(x, 0)), np.square))
    steps = (0.1, 0.5, 1, 2, 4, 6, 10, 15, 20, 40, 60, 100, 200, 400)
    shown = [0.0, *(step for step in steps if step <= right)]
    while len(shown) > 6:
        shown = [0.0, *shown[2::2]]
    axes.set_xticks(shown, labels=[f"{value:g}" for value in shown])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlim(0.0, right)


def seeds_note(table: pd.DataFrame) -> str:
    """What the bands and bars of a figure are."""
    most = int(table["seeds"].max())
    if most < 2:
        return "one seed, so there are no intervals"
    wide = "; few seeds, wide intervals" if most < 3 else ""
    return f"mean with 95 % interval over {seeds_of(table)}{wide}"


def seeds_of(table: pd.DataFrame) -> str:
    """How many seeds enter the rows of a table: 4 seeds, or 3 to 4 seeds."""
    fewest, most = int(table["seeds"].min()), int(table["seeds"].max())
    return f"{f'{most:,}' if fewest == most else f'{fewest:,} to {most:,}'} seed{'s' * (most > 1)}"


def finite(value: object) -> bool:
    """Whether this is a number that can be drawn."""
    return isinstance(value, int | float | np.number) and math.isfinite(float(value))
