"""How do the losses differ as functions of z = beta rho: near 0, and in their tails?"""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from analysis.figures.kind import Kind
from analysis.figures.layout import Picture, column, headed
from analysis.figures.look import letters
from analysis.figures.marks import LABEL_SIZE, EndLabel, curve, end_labels
from analysis.figures.style import SOFT, line_style, loss_styles
from analysis.records.names import in_words, listed, loss_label, losses_of

HEIGHT = 1.9
MOST = 7  # lines
FLOOR, TOP = 1e-3, 100.0
NEAR, TAIL = (-2.0, 3.0), (-5.0, 5.0)


def draw(losses: pd.DataFrame) -> Picture:
    """f near 0, where it starts at its value there, and |f'| in the tails. `losses` is what `load_losses` returns."""
    every = losses_of(losses)
    names, styles = every[:MOST], loss_styles(every)
    figure, (near, weight) = column(2 * HEIGHT + 0.2, rows=2)
    labels: list[list[EndLabel]] = [[], []]
    for name in names:
        table, style = losses[losses["loss"] == name].sort_values("z"), line_style(styles[name])
        here = table[table["z"].between(*NEAR)]
        kappa = float(table["kappa"].iloc[0])
        text = loss_label(name) + ("" if np.isnan(kappa) else f", κ {kappa:.2g}")
        curve(near, text, here["z"], here["f"], **style)
        labels[0].append(
            EndLabel(here["z"].iloc[-1], float(np.clip(here["f"].iloc[-1], -0.1, 4.0)), text, style["color"])
        )
        tail = table[table["z"].between(*TAIL)]
        slope = np.maximum(tail["slope"].abs(), FLOOR / 10)
        curve(weight, loss_label(name), tail["z"], slope, **style)
        labels[1].append(
            EndLabel(tail["z"].iloc[-1], max(float(slope.iloc[-1]), FLOOR), loss_label(name), style["color"])
        )
    near.set(xlim=NEAR, ylim=(-0.1, 4), ylabel="f(z)", title="Near z = 0: slope −1 or less, bend κ")
    weight.set(
        yscale="log",
        xlim=TAIL,
        ylim=(FLOOR, TOP),
        xticks=(-4, -2, 0, 2, 4),
        ylabel="|f′(z)|",
        xlabel="z = βρ",
        title="What a pair weighs in the gradient",
    )
    for name in filter(lambda name: overshoot(losses[losses["loss"] == name]), names):
        near.annotate("pulls back", (2.2, 1.9), ha="right", fontsize=letters(LABEL_SIZE), color=styles[name]["color"])
    for axes in (near, weight):
        axes.axvline(0, color="0.6", linewidth=0.7, zorder=1)
    name_sides(weight)
    for axes, ends in zip((near, weight), labels, strict=True):
        end_labels(axes, ends, HEIGHT - 0.3)
    back = [loss_label(name) for name in names if overshoot(losses[losses["loss"] == name])]
    growing = [name for name in names if grows(losses[losses["loss"] == name])]
    many = in_words(len(growing)) if growing else "none"
    verb = "weighs" if len(growing) < 2 else "weigh"
    title = f"{many} of {in_words(len(names))} losses {verb} pairs on the wrong side ever more"
    if back:
        who = listed(back) if len(back) <= 2 else in_words(len(back))
        title += f"; {who} pull{'s' * (len(back) == 1)} back a margin that overshoots"
    more = len(every) - len(names)
    words = "f(z) of a pair with margin ρ and strength β." + (
        f" {more} more {'are' if more > 1 else 'is'} in `losses.parquet`." if more > 0 else ""
    )
    return headed(figure, title, words)


def name_sides(axes: Axes) -> None:
    """Which side of the panel of weights is which, in corners where lines are rare."""
    for text, at, up, across, along in (
        ("wrong side", (TAIL[0], FLOOR), 3, "left", "bottom"),
        ("margin reached", (TAIL[1], TOP), -1, "right", "top"),
    ):
        axes.annotate(
            text, at, xytext=(3 if across == "left" else -3, up), textcoords="offset points", color=SOFT, ha=across,
            va=along, fontsize=letters(LABEL_SIZE - 0.5),
        )  # fmt: skip


def overshoot(table: pd.DataFrame) -> bool:
    """Whether f rises again where the margin is large."""
    return bool((table.loc[table["z"] > 1.5, "slope"] > 0.1).any())


def grows(table: pd.DataFrame) -> bool:
    """Whether |f'| at z = -5 is more than half as large again as at -2."""
    far, near = (
        abs(float(np.interp(z, table["z"].sort_values(), table.sort_values("z")["slope"]))) for z in (-5.0, -2.0)
    )
    return far > 1.5 * near


FIGURE = Kind(
    name="losses",
    caption="How do the losses differ as functions of z: near 0, and in their tails?",
    rank=160,
    shows="other",
    draw=draw,
)
