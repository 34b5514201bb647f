"""How much gradient does each loss give to the margins that were seen?"""

import pandas as pd

from analysis.figures.kind import Kind
from analysis.figures.layout import Picture, headed, panels
from analysis.figures.marks import curve, points
from analysis.figures.style import beta_scale, few
from analysis.headline.titles.weights import weights_seen
from analysis.records.names import loss_label, losses_of

LANE = 0.55
HIGHEST = 3.0
WIDEST = 6.0  # |z|, as far as f is tabulated
MOST = 8  # panels


def draw(table: pd.DataFrame, functions: pd.DataFrame) -> Picture:
    """|f'(z)| / |f'(0)| along z, and below it where z of 5 to 95 % of the pairs lies, at three beta.

    table: what `gradient_weights` gives. functions: loss, z, slope.
    """
    names = losses_of(table)[:MOST]
    figure, grid = panels([loss_label(name) for name in names])
    betas, colors = few(table["beta"]), beta_scale(table["beta"])
    for loss in names:
        axes = grid[loss_label(loss)]
        f = functions[functions["loss"] == loss].sort_values("z")
        scale = f["slope"].abs().to_numpy()[f["z"].abs().to_numpy().argmin()]
        curve(axes, "weight", f["z"], f["slope"].abs() / scale, color="0.2")
        for lane, beta in enumerate(betas):
            z = table[(table["loss"] == loss) & (table["beta"] == beta)].sort_values("quantile")["z"].to_numpy(float)
            if not len(z):
                continue
            height, color = -LANE * (lane + 0.8), colors(beta)
            points(
                axes,
                f"z at β {beta:g}",
                [z[2]],
                [height],
                ([z[0]], [z[-1]]),
                along="x",
                fmt="o",
                color=color,
                markersize=3.5,
            )
            axes.plot(z[[1, -2]], [height, height], color=color, linewidth=2.5, solid_capstyle="butt")
        axes.axvline(0.0, color="0.6", linewidth=0.7, zorder=1)
        axes.axhline(0.0, color="0.6", linewidth=0.7, zorder=1)
        axes.set(xlim=(-WIDEST, WIDEST), ylim=(-LANE * (len(betas) + 0.4), HIGHEST))
        weights = range(int(HIGHEST) + 1)
        lanes = [-LANE * (lane + 0.8) for lane in range(len(betas))]
        axes.set_yticks([*weights, *lanes], labels=[*map(str, weights), *(f"β {beta:g}" for beta in betas)])
        for tick, beta in zip(axes.yaxis.get_major_ticks()[len(weights) :], betas, strict=True):
            tick.label1.set_color(colors(beta))
    figure.supxlabel("z = βρ")
    figure.supylabel("weight of a pair, 1 at z = 0")
    words = (
        "Curve: |f′(z)| / |f′(0)|. Below it, z on the pairs of training at its end, mean over seeds; dot: median, "
        "thick: half of the pairs, thin: nine of ten."
    )
    return headed(figure, weights_seen(table).title, words)


FIGURE = Kind(
    name="weights",
    caption="How much gradient does each loss give to the margins that were seen?",
    rank=140,
    shows="other",
    draw=draw,
)
