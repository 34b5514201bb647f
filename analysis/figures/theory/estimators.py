"""Which way do estimators of policy gradients point, in the mean and in one batch?"""

import math

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from analysis.figures.kind import Kind
from analysis.figures.layout import Picture, headed, stacked
from analysis.figures.look import letters
from analysis.figures.marks import EndLabel, curve, end_labels, points
from analysis.figures.style import PALETTE

ROW, REUSE, AROUND = 0.155, 1.5, 0.55  # inches: of an estimator, of the panel of reuse, and beside the rows
TITLES = {"kl": "Penalty: cosine to ∇KL(π‖π_ref)", "objective": "Objective J: cosine to ∇J"}
SEEN = {"mean": "expectation", "one_batch": "one batch, mean cosine"}
COLOURS = {"mean": PALETTE[0], "one_batch": PALETTE[1]}


def draw(table: pd.DataFrame) -> Picture:
    """A row an estimator: the cosine of its expectation, and of one batch; below, PPO's bias along reuse.

    table: `audit.csv`.
    """
    parts = {part: table[table["part"] == part] for part in TITLES}
    reuse = table[table["part"] == "reuse"]
    heights = [ROW * len(rows) + AROUND for rows in parts.values()]
    figure, axes = stacked([*heights, REUSE])
    for (part, rows), panel in zip(parts.items(), axes, strict=False):
        draw_cosines(panel, rows)
        panel.set_title(TITLES[part])
    draw_reuse(axes[-1], reuse, REUSE - AROUND)
    first = table.iloc[0]
    nothing = ", as of k1 in the loss" if first["kl"] > 0 else ", as the gradient of KL is at the reference"
    words = (
        f"Policy {first['kl']:.2g} nats from the reference; J = E r − τ KL, τ {first['penalty']:g}. Filled: "
        f"cosine of the expectation; none where that is 0{nothing}. Open: mean cosine of one batch, "
        f"{first['responses']} responses to each of {first['prompts']} prompts. Row “as reverse KL” is compared with "
        "∇KL(π_ref‖π). Bottom: against ∇J after each number of steps; returns stay those of the policy that drew."
    )
    return headed(figure, title_of(table), words)


def draw_cosines(axes: Axes, rows: pd.DataFrame) -> None:
    """The cosines of estimators, the first one on top, with two standard errors where they are wider than a dot."""
    at = np.arange(len(rows))
    for what, column in (("one_batch", "one_batch_cosine"), ("mean", "cosine")):
        cosine, error = rows[column].to_numpy(float), 2 * rows[f"{column}_se"].fillna(0.0).to_numpy(float)
        face = COLOURS[what] if what == "mean" else "white"
        points(
            axes,
            SEEN[what],
            cosine,
            at,
            (cosine - error, cosine + error),
            along="x",
            fmt="o",
            color=COLOURS[what],
            markerfacecolor=face,
            markersize=3.6,
        )
    for end in (0.0, 1.0):
        axes.axvline(end, color="0.6", linewidth=0.7, zorder=1)
    least = min(0.0, float(rows[["cosine", "one_batch_cosine"]].min().min()))
    axes.set(xlim=(least - 0.08, 1.06), ylim=(len(rows) - 0.4, -0.6))
    axes.set_yticks(at, labels=list(rows["estimator"]), fontsize=letters(6))
    axes.grid(visible=False, axis="y")


def draw_reuse(axes: Axes, rows: pd.DataFrame, height: float) -> None:
    """The bias of each of PPO's surrogates along the steps on the same responses."""
    labels = []
    for name, color in zip(dict.fromkeys(rows["estimator"]), (PALETTE[2], PALETTE[0], PALETTE[1]), strict=True):
        line = rows[rows["estimator"] == name].sort_values("reuse")
        curve(axes, name, line["reuse"], line["bias"], color=color, marker="o", markersize=3)
        text = name.removeprefix("ratio of ").removeprefix("the ").removeprefix("each ")
        labels.append(EndLabel(line["reuse"].iloc[-1], line["bias"].iloc[-1], text, color))
    axes.set(
        title="PPO: bias of the surrogate", xlabel="training steps on the same responses", ylabel="bias [norms of ∇J]"
    )
    axes.set_xlim(0, 1.02 * max(1, rows["reuse"].max()))
    axes.set_ylim(0, 1.1 * float(rows["bias"].max()) or 1.0)
    axes.set_xticks(sorted(set(rows["reuse"])))
    end_labels(axes, labels, height)


def title_of(table: pd.DataFrame) -> str:
    """How far two estimators that are in use point away, in degrees, where there is a gradient to point away from."""
    known = table.set_index(["part", "estimator"])["cosine"].dropna()
    k3, grpo = (
        f"{math.degrees(math.acos(min(max(float(known[at]), -1.0), 1.0))):.0f}° away" if at in known else ""
        for at in (("kl", "k3 in the loss, by token"), ("objective", "GRPO as published"))
    )
    if k3 and grpo:
        return (
            f"in the mean, k3 in the loss points {k3} from the gradient of KL, and GRPO {grpo} from that of the "
            "objective"
        )
    if grpo:  # at the reference
        return f"in the mean, GRPO points {grpo} from the gradient of the objective"
    return "there is no gradient of the objective here to point away from"


FIGURE = Kind(
    name="audit",
    caption="Which way do estimators of policy gradients point, in the mean and in one batch?",
    rank=170,
    shows="other",
    draw=draw,
)
