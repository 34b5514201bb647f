"""Do trained margins follow the population link of their loss?"""

import numpy as np
import pandas as pd

from analysis.figures.kind import Kind
from analysis.figures.layout import Picture, headed, panels
from analysis.figures.marks import EndLabel, curve, end_labels, zero_line
from analysis.figures.style import beta_scale, few, seeds_of
from analysis.headline.titles.links import margins_and_link
from analysis.records.names import loss_label, losses_of

BESIDE = 1.45  # how far the axis goes, for one that ends where the curves do


def temperature_of(runs: pd.DataFrame) -> float | None:
    """The temperature of the labels of training on pairs; None where they are not Bradley-Terry's, or not known."""
    needed = {"method", "data.labels", "data.temperature", "data.label_noise", "data.labeller"}
    if not needed <= set(runs):
        return None
    runs = runs[runs["method"] == "gpo"]
    plain = runs["data.labels"].eq("bradley_terry") & runs["data.label_noise"].eq(0) & runs["data.labeller"].eq("gold")
    for key in ("data.disagreement", "data.length_bias"):  # other labels than gold's, where they are known of
        plain &= runs[key].fillna(0).eq(0) if key in runs else True
    values = runs["data.temperature"].unique()
    return float(values[0]) if plain.all() and len(values) == 1 else None


def z_is_beta_rho(runs: pd.DataFrame) -> bool:
    """Whether losses are of margins, and not of links of another divergence than KL; older records know no other."""
    key = "train.divergence"
    return key not in runs or bool(runs.loc[runs["method"] == "gpo", key].eq("kl").all())


def draw(table: pd.DataFrame) -> Picture:
    """z toward the response with more gold, less the link, against the gap of gold; a panel a loss, three beta.

    table: what `margins_by_gap` gives.
    """
    names = losses_of(table)
    figure, grid = panels([loss_label(name) for name in names])
    betas, colors = few(table["beta"]), beta_scale(table["beta"])
    tops, labels = [], {title: list[EndLabel]() for title in grid}
    for name in names:
        axes, rows = grid[loss_label(name)], table[table["loss"] == name]
        zero_line(axes)
        for beta in betas:
            line = rows[rows["beta"] == beta].sort_values("gap")
            if line.empty:
                continue
            ends = (line["z_low"] - line["link"], line["z_high"] - line["link"])
            away = line["z"] - line["link"]
            curve(axes, f"β {beta:g}", line["gap"], away, ends, color=colors(beta))
            tops.append(float(away.abs().quantile(0.9)))
            labels[loss_label(name)].append(EndLabel(line["gap"].iloc[-1], away.iloc[-1], f"β {beta:g}", colors(beta)))
    far = 1.3 * max(np.quantile(tops, 0.9), 0.1)
    next(iter(grid.values())).set_ylim(-far, far)
    right = float(table["gap"].max())
    next(iter(grid.values())).set_xlim(0.0, BESIDE * right)
    for title, axes in grid.items():
        inside = [label._replace(y=float(np.clip(label.y, -0.92 * far, 0.92 * far))) for label in labels[title]]
        end_labels(axes, inside, 1.0, at=1.07 / BESIDE)
    figure.supxlabel(r"gap of gold [sd under $\pi_\mathrm{ref}$ / temperature of labels]")
    figure.supylabel("z less the link of its loss")
    words = (
        f"Margins on the pairs of training at its end, toward the response with more gold, mean over {seeds_of(table)} "
        "with 95 % bands. On 0, they are what minimizes the loss for infinitely many pairs."
    )
    return headed(figure, margins_and_link(table).title, words)


FIGURE = Kind(
    name="links",
    caption="Do trained margins follow the population link of their loss?",
    rank=130,
    shows="other",
    draw=draw,
)
