"""Do trained margins follow the population link of their loss?"""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis.figures.kind import Kind
from analysis.figures.style import beta_bar, beta_scale, level, losses_of, panels, seeds_of
from analysis.statistics.population_links import LINKS


def temperature_of(runs: pd.DataFrame) -> float | None:
    """The temperature of the labels of training on pairs; None where they are not Bradley-Terry's, or not known."""
    needed = {"method", "data.labels", "data.temperature", "data.label_noise", "data.labeller"}
    if not needed <= set(runs):
        return None
    runs = runs[runs["method"] == "gpo"]
    plain = runs["data.labels"].eq("bradley_terry") & runs["data.label_noise"].eq(0) & runs["data.labeller"].eq("gold")
    values = runs["data.temperature"].unique()
    return float(values[0]) if plain.all() and len(values) == 1 else None


def draw(table: pd.DataFrame) -> Figure:
    """z toward the response with more gold against the gap of gold, a panel a loss, a curve a beta, the link dashed.

    table: what `margins_by_gap` gives.
    """
    names = losses_of(table)
    figure, axes = panels(names)
    colors = beta_scale(table["beta"])
    gaps = np.linspace(0.0, float(table["gap"].max()), 200)
    for loss, panel in axes.items():
        rows = table[table["loss"] == loss]
        for beta, curve in rows.groupby("beta"):
            panel.plot(curve["gap"], curve["z"], marker="o", markersize=3, color=colors.to_rgba(beta))
        panel.plot(gaps, LINKS[loss](gaps), color="0.35", linestyle=(0, (4, 2)), label="population link", zorder=5)
        panel.axhline(0.0, color="0.6", linewidth=0.8, zorder=1)
    panel = axes[names[0]]
    panel.legend(loc="upper left")
    level(list(axes.values()), [table.assign(z=table["z"].clip(*table["z"].quantile([0.02, 0.9])))], ["z", "link"])
    beta_bar(figure, colors, table["beta"], list(axes.values()))
    figure.supxlabel(r"gap of gold [sd under $\pi_\mathrm{ref}$ / temperature of labels]")
    figure.supylabel("z = βρ toward the response with more gold")
    figure.suptitle(f"margins on a run's own pairs at the end of training, mean over {seeds_of(table)}")
    return figure


FIGURE = Kind(
    name="links",
    caption="Trained z toward the response with more gold against the gap of gold; dashed, the population link.",
    rank=130,
    shows="other",
    draw=draw,
)
