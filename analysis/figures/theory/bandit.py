"""Is offline regularization KL? The worked bandit of analysis/theory/bandit.py."""

import numpy as np
import pandas as pd

from analysis.figures.kind import Kind
from analysis.figures.layout import Picture, column, headed
from analysis.figures.look import letters
from analysis.figures.marks import LABEL_SIZE, curve
from analysis.figures.style import SOFT, log_axis
from analysis.records.names import loss_label
from analysis.records.number_format import number
from analysis.theory.bandit import BETA, COMMON, RARE, descents, ends

HEIGHT = 2.7
COLOURS = {RARE: "#0072B2", COMMON: "#D55E00"}
MIDDLE = 0.03  # nats^2, where the lines are named
FIRST = 1e-4  # nats^2 of the squared loss, where the axis begins
SAME = 1e-3  # ends whose logarithms differ by less are one


def draw(paths: pd.DataFrame) -> Picture:
    """KL against the squared loss along gradient descent, a line a bandit, and where each loss ends on it."""
    figure, (axes,) = column(HEIGHT)
    last = ends(paths)
    for best, color in COLOURS.items():
        here, there = paths[paths["best"] == best], last[last["best"] == best]
        farthest = here[here["loss"] == there.loc[there["squared"].idxmax(), "loss"]]
        line = farthest[farthest["squared"] > 0]
        curve(axes, f"best response in {100 * best:g} % of draws", line["squared"], line["kl"], color=color)
        middle = line.iloc[(line["squared"] - MIDDLE).abs().argmin()]
        axes.annotate(
            f"best response\nin {100 * best:g} % of draws", (middle["squared"], middle["kl"]), va="center",
            xytext=(-8, 8) if best == RARE else (8, -12), textcoords="offset points",
            ha="right" if best == RARE else "left", fontsize=letters(LABEL_SIZE), color=color,
        )  # fmt: skip
        for names, squared, kl in groups(there):
            axes.plot(squared, kl, "o", color=color, markersize=4, markeredgecolor="white", zorder=5)
            axes.annotate(
                ", ".join(names) if best == RARE else "", (squared, kl), xytext=(-5, 1), textcoords="offset points",
                ha="right", fontsize=letters(6), color=color,
            )  # fmt: skip
    top = float(last["squared"].max())
    around = np.array([FIRST, top])
    curve(axes, "KL = half", around, around / 2, color="0.45", linestyle="--", linewidth=0.9)
    for which in ("x", "y"):
        log_axis(axes, which)
    axes.set(
        xlim=(FIRST, 2.5 * top), ylim=(FIRST / 3, 30.0), ylabel="KL [nats]",
        xlabel=r"squared loss $\frac{1}{2}\,E_\mu\,\rho^2$ [nats²]",
    )  # fmt: skip
    place = (8 * FIRST, 4 * FIRST)
    axes.annotate(
        "KL = half of it", place, xytext=(5, -4), textcoords="offset points", va="top", color=SOFT,
        fontsize=letters(LABEL_SIZE),
    )  # fmt: skip
    rare, common = (last.loc[last["best"] == best, "ratio"] for best in (RARE, COMMON))
    title = (
        f"KL ends at {number(rare.min(), 2)} to {number(rare.max(), 2)} times half of the squared loss where the best "
        f"response is rare, and at {number(common.min(), 2)} to {number(common.max(), 2)} where it is common"
    )
    words = (
        f"Bandit: gradient descent on each loss (β {BETA:g}) from the reference, which pairs are drawn from; dots: "
        "where it ends, on both lines in the same order. All six losses go along the same line. Computed, no data."
    )
    return headed(figure, title, words)


def groups(last: pd.DataFrame) -> list[tuple[list[str], float, float]]:
    """The losses that end at one place, with the place."""
    found: list[tuple[list[str], float, float]] = []
    for loss, squared, kl in last[["loss", "squared", "kl"]].itertuples(index=False):
        same = next((names for names, at, _ in found if abs(np.log(at / squared)) < SAME), None)
        if same is None:
            found.append(([loss_label(loss)], squared, kl))
        else:
            same.append(loss_label(loss))
    return found


FIGURE = Kind(
    name="bandit",
    caption="Is offline regularization KL? In a bandit, the pairs' law says in which direction they differ.",
    rank=151,
    shows="worked",
    draw=lambda: draw(descents()),
)
