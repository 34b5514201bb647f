"""How much gold is there at the best penalty, for each error of the proxy and each divergence from the reference?"""

from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from analysis.figures.kind import Kind
from analysis.figures.layout import Picture, headed
from analysis.figures.look import letters
from analysis.figures.marks import EndLabel, corner_names, curve, draw_oracle, ends_of, keep, zero_line
from analysis.figures.style import DASHES, GOLD_LABEL, KL_LABEL, PALETTE, seeds_note
from analysis.headline.statement import rounded
from analysis.headline.titles.divergences import which_wins
from analysis.records.names import capitalized, divergence_label, error_label
from analysis.statistics.peaks import means_along
from analysis.statistics.proxy_errors.phase_diagram import (
    DIVERGENCE,
    KL,
    LAW,
    PhaseDiagram,
    has_divergences,
    phase_diagram,
)
from analysis.statistics.tradeoffs import oracle_at

ROW, HEAD, PATHS = 0.3, 0.5, 1.45  # inches: of a row of cells, of what stands above them, of the panels below
DARK = 0.55  # of the scale of colours, from where letters are white
TWO_LINES = {"forward_kl": "forward\nKL", "jensen_shannon": "Jensen–\nShannon", "chi2_kl": "χ² +\nKL"}
BETTER = "▲"


def draw(curves: pd.DataFrame) -> Picture:
    """Cells with the peak of gold under each law and divergence; below, the paths of two laws."""
    diagram = phase_diagram(curves)
    if diagram is None:
        return headed(Picture(0.5), "KL and the other divergences have no seed in common")
    cells = ROW * len(diagram.laws) + HEAD
    figure = Picture(cells + PATHS)
    grid = figure.add_gridspec(2, 1, height_ratios=(cells, PATHS))
    best = draw_cells(figure.add_subplot(grid[0]), diagram, curves)
    draw_paths(figure, grid[1], diagram, curves)
    note = seeds_note(pd.DataFrame({"seeds": [diagram.seeds]}))
    oracle = " Last column: the most gold that any policy has at the KL of the row's best." * best
    words = (
        f"Cells: peak of gold along the penalty τ, {note}; 0 where no τ gains anything, less where the best τ of other "
        f"seeds loses. Bold, {BETTER}: the best of its row, and surely better than KL; the ± of the title are so wide "
        f"that all comparisons with KL hold at once.{oracle} Below: gold from the reference (a straight line to the "
        "largest τ) to the smallest τ; left the error where another divergence gains most on KL, right the one where "
        "that divergence gains least. Dots: peak of the mean, which may lie above the cross-fitted cells."
    )
    return headed(figure, which_wins(diagram).title, words)


def draw_cells(axes: Axes, diagram: PhaseDiagram, curves: pd.DataFrame) -> bool:
    """The cells, and the oracle beside them; whether there is one."""
    peaks = np.array([[diagram.cells[law, name].peak.value for name in diagram.divergences] for law in diagram.laws])
    scale = mpl.colors.Normalize(min(0.0, float(peaks.min())), float(peaks.max()) or 1.0)
    wide = len(diagram.divergences)
    axes.imshow(peaks, cmap="Blues", norm=scale, aspect="auto", extent=(-0.5, wide - 0.5, len(peaks) - 0.5, -0.5))
    for row, law in enumerate(diagram.laws):
        best = diagram.best(law)
        ends = np.array([diagram.cells[law, name].peak.interval() for name in diagram.divergences])
        for column, name in enumerate(diagram.divergences):
            mark = BETTER if name == best and diagram.better(law) else ""
            weight = "bold" if mark else "normal"
            color = "white" if scale(peaks[row, column]) > DARK else "black"
            text = f"{mark}{rounded(peaks[row, column], 2)}"
            write(axes, column, row - 0.17, text, size=letters(7), weight=weight, color=color)
            half = float(ends[column, 1] - ends[column, 0]) / 2
            if np.isfinite(half):
                write(axes, column, row + 0.24, f"±{half:.2f}", size=letters(6), color=color)
        keep(axes, row_name(law), np.array(diagram.divergences), peaks[row], (ends[:, 0], ends[:, 1]))
    kl = np.array([diagram.cells[law, diagram.best(law)].kl for law in diagram.laws])
    most = oracle_at(curves, kl)
    known = bool(np.isfinite(most).all())
    if known:
        for row, value in enumerate(most):
            write(axes, wide + 0.1, row, rounded(float(value), 2), size=letters(7), color="0.35")
    axes.set_xticks(
        [*range(wide), *([wide + 0.1] if known else [])],
        [
            *(TWO_LINES.get(name, divergence_label(name)) for name in diagram.divergences),
            *(["oracle"] if known else []),
        ],
    )
    axes.set_yticks(range(len(diagram.laws)), [row_name(law) for law in diagram.laws])
    axes.set(xlim=(-0.5, wide + 0.6 if known else wide - 0.5), xlabel=f"peak {GOLD_LABEL} under each divergence")
    axes.xaxis.set_label_position("top")
    axes.tick_params("x", labelsize=letters(6.5))
    axes.tick_params(length=0, top=False, bottom=False, labeltop=True, labelbottom=False)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    return known


def write(axes: Axes, x: float, y: float, text: str, size: float, **how: Any) -> None:
    """Words in the middle of a cell."""
    axes.text(x, y, text, fontsize=size, ha="center", va="center", **how)


def row_name(law: str) -> str:
    """What a row is called."""
    return capitalized(error_label(law)).replace("-", " ") if law else "this proxy"


def draw_paths(figure: Picture, place: Any, diagram: PhaseDiagram, curves: pd.DataFrame) -> None:
    """Gold along KL under KL and the divergence that gains most on it, for two laws."""
    other = max(diagram.divergences[1:], key=lambda name: max(gain(diagram, law, name) for law in diagram.laws))
    by_gain = sorted(diagram.laws, key=lambda law: -gain(diagram, law, other))
    shown = [by_gain[0], *by_gain[-1:]][: len(by_gain)]
    grid = place.subgridspec(1, len(shown))
    colours = {KL: PALETTE[0], other: PALETTE[1]}
    for number, law in enumerate(shown):
        axes = figure.add_subplot(grid[number])
        for line, (name, color) in enumerate(colours.items()):
            draw_path(axes, diagram, law, name, color=color, linestyle=DASHES[line])
        zero_line(axes)
        axes.set_title(f"{row_name(law)}{' error' if law else ''}")
        axes.set(xlabel=KL_LABEL.replace(" per response", ""), xlim=(0, None))
        top = axes.get_ylim()[1]
        draw_oracle(axes, curves, name="oracle" if number == 0 else "")
        axes.set_ylim(axes.get_ylim()[0], max(top, axes.get_ylim()[1]) * 1.08)
        if number == 0:
            axes.set_ylabel(GOLD_LABEL)
            corner_names(axes, [EndLabel(0, 0, divergence_label(name), color) for name, color in colours.items()])


def draw_path(axes: Axes, diagram: PhaseDiagram, law: str, name: str, **style: Any) -> None:
    """The mean path of one cell, with its interval and its peak."""
    rows = diagram.rows
    mean = means_along(rows[(rows[LAW] == law) & (rows[DIVERGENCE] == name)], ["gold"])
    start = pd.DataFrame([dict.fromkeys(("kl", "gold", "gold_low", "gold_high"), 0.0)])
    mean = pd.concat([start, mean[list(start)]], ignore_index=True)
    ends = ends_of(mean, "gold") if diagram.seeds > 1 else None
    curve(axes, divergence_label(name), mean["kl"], mean["gold"], ends, **style)
    top = mean.loc[mean["gold"].idxmax()]
    axes.plot(top["kl"], top["gold"], "o", color=style["color"], markersize=3.5, zorder=5)


def gain(diagram: PhaseDiagram, law: str, name: str) -> float:
    """How much more gold a divergence has at its peak than KL."""
    return diagram.cells[law, name].over_kl.value


FIGURE = Kind(
    name="goodhart",
    caption="How much gold is there at the best penalty, for each error of the proxy and each divergence?",
    rank=65,
    shows="proxies",
    draw=draw,
    applies=has_divergences,
)
