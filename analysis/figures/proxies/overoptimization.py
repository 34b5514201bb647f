"""What the proxy says and what gold says of policies optimized against it, over sqrt(KL), with the fitted law."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.figures.curve_groups import Family, families
from analysis.figures.kind import Kind
from analysis.figures.style import GOLD_LABEL, band, legend_beside, level, panels, seeds_note
from analysis.statistics.law_fits import form_of
from analysis.statistics.laws import fit_scaling_law
from analysis.statistics.peaks import means_along

D_LABEL = r"$d = \sqrt{\mathrm{KL}(\pi\,\Vert\,\pi_\mathrm{ref})}$ [√nats]"


def draw(curves: pd.DataFrame) -> Figure:
    """A panel for each method and further setting; means over seeds at equal n or step.

    Dashed: the proxy. Solid: gold, with its interval for the first, middle and last curve. Dotted: the law.
    """
    every = list(families(curves))
    alike = sum(family.method == every[0].method for family in every)
    figure, grid = panels([family.title for family in every], alike if 1 < alike <= 4 else 3)
    if len(every) < 3:
        width, height = figure.get_size_inches()
        figure.set_size_inches(1.3 * width, 1.3 * height)
    tables = []
    for family in every:
        tables += draw_family(grid[family.title], family)
    level(list(grid.values()), tables, ("gold", "proxy"))
    figure.supxlabel(D_LABEL)
    figure.supylabel(GOLD_LABEL.replace("gold reward", "score"))
    figure.suptitle(
        "Solid: gold. Dashed: the proxy, recalibrated. Dotted: the law fitted to gold,\n"
        f"d (α − β d) for best-of-n, d (α − β log d) for the others\n{seeds_note(pd.concat(tables))}"
    )
    legend_beside(figure, max(grid.values(), key=lambda axes: len(axes.get_legend_handles_labels()[1])))
    return figure


def draw_family(axes: Axes, family: Family) -> list[pd.DataFrame]:
    """The curves of one panel; the means that were drawn."""
    tables = []
    values = list(family.styles)
    few = {None, values[0], values[len(values) // 2], values[-1]}
    axes.axhline(0.0, color="0.6", linewidth=0.8, zorder=1)
    for value, (color, label) in (family.styles | {None: ("black", "")}).items():
        rows = family.rows[family.rows[family.varied].isna() if value is None else family.rows[family.varied] == value]
        if rows.empty:
            continue
        mean = means_along(rows, ["gold", "proxy"])
        d = np.sqrt(mean["kl"].clip(lower=0.0))
        axes.plot(d, mean["gold"], color=color, label=label or None)
        axes.plot(d, mean["proxy"], color=color, linestyle="--", linewidth=1)
        if value in few:
            band(axes, mean.assign(d=d), "d", "gold", color)
        moved = rows[rows["kl"] > 0]
        try:
            law = fit_scaling_law(np.sqrt(moved["kl"]), moved["gold"], form_of(rows))
        except ValueError:
            continue
        finally:
            tables.append(mean)
        along = np.linspace(0.0, float(d.max()), 100)
        axes.plot(along, law.predict(along), color=color, linestyle=":", linewidth=1.2)
    return tables


FIGURE = Kind(
    name="overoptimization",
    caption="Gold (solid) and proxy score (dashed) against the square root of KL, with the fitted law.",
    rank=60,
    shows="proxies",
    draw=draw,
)
