"""The losses as functions of z = beta rho: near 0, and in their tails."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis.figures.kind import Kind
from analysis.figures.style import legend_below, loss_styles, losses_of

FLOOR = 3e-3


def label(name: str, kappa: float) -> str:
    """A loss with its kappa, where it has one."""
    return name if np.isnan(kappa) else f"{name}, κ = {kappa:.3g}"


def draw(losses: pd.DataFrame) -> Figure:
    """f near 0; f and |f'| over a wider range on a logarithmic scale. `losses` is what `load_losses` returns."""
    styles = loss_styles(losses_of(losses))
    figure = Figure(figsize=(10.5, 4.1), layout="constrained")
    near, tail, weight = figure.subplots(1, 3)
    for order, (name, style) in enumerate(styles.items()):
        table = losses[losses["loss"] == name]
        every = {"markevery": (10 * order, 80), **style}
        near.plot(table["z"], table["f"], label=label(name, table["kappa"].iloc[0]), **every)
        for axes, column in ((tail, table["f"]), (weight, table["slope"].abs())):
            axes.plot(table["z"], np.maximum(column, FLOOR / 10), **every)
    near.set(xlim=(-2, 3), ylim=(-0.1, 4), ylabel="f(z)", title="around z = 0")
    tail.set(yscale="log", ylim=(FLOOR, 100), ylabel="f(z)", title="tails")
    weight.set(yscale="log", ylim=(FLOOR, 100), ylabel="|f′(z)|", title="weight of a pair in the gradient")
    for axes in (near, tail, weight):
        axes.set_xlabel("z = β ρ [no unit]")
        axes.axvline(0, color="0.6", linewidth=0.8, zorder=1)
    legend_below(figure, near)
    return figure


FIGURE = Kind(
    name="losses",
    caption="The functions f of the sweep, their tails, and the weight that each gives a pair.",
    rank=160,
    shows="other",
    draw=draw,
)
