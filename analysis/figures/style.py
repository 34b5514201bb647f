"""How figures look: readable in grey and to colour-blind readers, a unit on every axis.

Losses differ in colour, dash and marker at once, the colours being those of Okabe & Ito 2008; beta runs along
cividis, which grows lighter evenly.
"""

import itertools
import math
from collections.abc import Iterable, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, NullLocator, StrMethodFormatter

from analysis.records.about import GPO_LOSSES
from analysis.records.load import oracle_rows

RC = {
    "figure.dpi": 150,  # as pictures are written, so that they are laid out as they are drawn
    "font.size": 9,
    "axes.titlesize": 10,
    "figure.titlesize": 10,
    "figure.labelsize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "0.9",
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.5,
    "lines.markersize": 4.5,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "svg.hashsalt": "simulator",
    "svg.fonttype": "none",
}
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#000000", "#56B4E9", "#8C6D31")
DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (8, 2)), (0, (1, 1)), (0, (3, 1, 1, 1)))
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
KNOWN = GPO_LOSSES
PLAIN = (1e-4, 1e5)  # where numbers are as short as powers of ten
WITHOUT_BETA = "#D55E00"  # the colour of losses that have none, which is off the scale of beta
KL_LABEL = r"KL($\pi\,\Vert\,\pi_\mathrm{ref}$) [nats per response]"
GOLD_LABEL = r"gold reward [sd under $\pi_\mathrm{ref}$]"
ORACLE: dict[str, Any] = {"color": "0.35", "linestyle": (0, (4, 2)), "linewidth": 1.2, "zorder": 1.5}


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


def beta_scale(betas: pd.Series) -> ScalarMappable:
    """Colours for beta, dark where regularization is weak; another for losses that have none."""
    low, high = (float(betas.min()), float(betas.max())) if betas.notna().any() else (0.5, 2.0)
    norm = LogNorm(low, high) if high > low else LogNorm(low / 2, high * 2)
    dark = ListedColormap(mpl.colormaps["cividis"](np.linspace(0.0, 0.92, 256)))  # the palest are lost on white
    return ScalarMappable(norm, dark.with_extremes(bad=WITHOUT_BETA))


def beta_bar(figure: Figure, colors: ScalarMappable, betas: pd.Series, axes: Sequence[Axes]) -> None:
    """The colours of beta beside the panels, with a mark at each beta there is; nothing where there is none."""
    values = sorted(betas.dropna().unique())
    if not values:
        return
    bar = figure.colorbar(colors, ax=list(axes), label="β (small: weak regularization)", shrink=0.8)
    bar.set_ticks(values, labels=[f"{value:g}" for value in values])
    bar.ax.yaxis.set_minor_locator(NullLocator())
    bar.ax.hlines(values, 0, 1, color="white", linewidth=1)


def log_axis(axes: Axes, which: str) -> None:
    """Make an axis logarithmic once all is drawn: labels at powers of ten, or at 1, 2 and 5 where few would show.

    Marks without a label stand at 2 and 5: eight between two powers would take longer to draw than all the curves.
    """
    axes.set(**{f"{which}scale": "log"})
    axis = axes.xaxis if which == "x" else axes.yaxis
    low, high = axes.get_xlim() if which == "x" else axes.get_ylim()
    few = high < 100 * low
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if few else (1.0,)))
    axis.set_minor_locator(NullLocator() if few else LogLocator(subs=(2.0, 5.0)))
    if PLAIN[0] <= low and high <= PLAIN[1]:
        axis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axis.set_minor_formatter(NullFormatter())


def band(axes: Axes, table: pd.DataFrame, x: str, y: str, color: object) -> None:
    """The interval of `y` along `x`, as a pale band; nothing where there is no interval."""
    low, high = (table[f"{y}{end}"].to_numpy(float) for end in ("_low", "_high"))
    if np.isfinite(low).any():
        axes.fill_between(table[x].to_numpy(float), low, high, color=color, alpha=0.15, linewidth=0)


def crosses(axes: Axes, table: pd.DataFrame, x: str, y: str, *, faint: bool = False, **style: Any) -> None:
    """Points with the intervals of both coordinates, where there are any, joined in the order of the table."""
    errors: dict[str, Any] = {}
    for name, key in ((x, "xerr"), (y, "yerr")):
        if f"{name}_low" in table and table[f"{name}_low"].notna().any():
            errors[key] = arms(table, name)
    drawn = axes.errorbar(table[x].to_numpy(float), table[y].to_numpy(float), **errors, elinewidth=0.7, **style)
    for bars in drawn.lines[2]:
        bars.set_alpha(0.4 if faint else 1.0)


def arms(table: pd.DataFrame, name: str) -> np.ndarray:
    """How far the interval of a column reaches below and above it, [2, n]; 0 where there is none."""
    sides = [table[name] - table[f"{name}_low"], table[f"{name}_high"] - table[name]]
    return np.stack([side.fillna(0.0).clip(lower=0.0).to_numpy(float) for side in sides])


def draw_oracle(axes: Axes, curves: pd.DataFrame) -> None:
    """The oracle frontier, level after its end, where more KL buys no more gold; nothing for several worlds."""
    best = oracle_rows(curves)
    if best.empty or best["beta"].duplicated().any():
        return
    right = max(axes.get_xlim()[1], float(best["kl"].max()))
    axes.plot([*best["kl"], right], [*best["gold"], best["gold"].max()], label="oracle (Gibbs)", **ORACLE)


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
    axes.set(xlim=(-0.02 * right, 1.05 * right), ylim=(bottom - room, top + room))
    axes.axhline(0.0, color="0.6", linewidth=0.8, zorder=1)


def level(axes: Sequence[Axes], tables: Sequence[pd.DataFrame], names: Sequence[str]) -> None:
    """Limit the vertical axes to the means of `names` and a third more; intervals that are wider are cut."""
    values = pd.concat([table[list(names)] for table in tables]).to_numpy(float)
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    room = (high - low) / 3 or 1.0
    for each in axes:
        each.set_ylim(low - room, high + room)


def losses_of(table: pd.DataFrame) -> list[str]:
    """The losses of a table: those of KNOWN first, then the others as they come, variants of one beside each other."""
    found = list(table["loss"].dropna().unique())
    others = [name for name in found if name not in KNOWN]
    plain = list(dict.fromkeys(name.split(", ")[0] for name in others))
    return [name for name in KNOWN if name in found] + sorted(others, key=lambda name: plain.index(name.split(", ")[0]))


def panels(titles: Sequence[str], most: int = 3) -> tuple[Figure, dict[str, Axes]]:
    """One panel a title, at most so many in a row, with common axes."""
    columns = min(most, len(titles))
    rows = math.ceil(len(titles) / columns)
    figure = Figure(figsize=(max(3.1 * columns + 0.8, 6.0), 2.7 * rows + 0.8), layout="constrained")
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    flat = list(grid.flat)
    for i, axes in enumerate(flat[len(titles) :], start=len(titles)):
        axes.remove()
        flat[i - columns].tick_params(labelbottom=True)
    for axes, title in zip(flat, titles, strict=False):
        axes.set_title(title)
    return figure, dict(zip(titles, flat, strict=False))


def legend_inside(axes: Axes, where: str = "lower left") -> None:
    """A legend in a corner of a panel, if there is anything to name."""
    if axes.get_legend_handles_labels()[1]:
        axes.legend(loc=where)


def legend_below(figure: Figure, axes: Axes) -> None:
    """One legend for the whole figure, under it."""
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=min(4, len(labels)))


def legend_beside(figure: Figure, axes: Axes) -> None:
    """One legend for the whole figure, right of it."""
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right center")


def seeds_note(table: pd.DataFrame) -> str:
    """What the bands and bars of a figure are."""
    most = int(table["seeds"].max())
    if most < 2:
        return "one seed: no intervals"
    few = "; few seeds, wide intervals" if most < 3 else ""
    return f"mean and 95 % interval (Student's t) over {seeds_of(table)}{few}"


def seeds_of(table: pd.DataFrame) -> str:
    """How many seeds enter the rows of a table: 4 seeds, or 3 to 4 seeds."""
    fewest, most = int(table["seeds"].min()), int(table["seeds"].max())
    return f"{most if fewest == most else f'{fewest} to {most}'} seed{'s' * (most > 1)}"
