"""Where does the loss of gold come from?"""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from analysis.figures.kind import Kind
from analysis.figures.layout import Picture, headed, panels
from analysis.figures.marks import EndLabel, corner_names, ends_of, keep, level, zero_line
from analysis.figures.style import PALETTE, log_axis, seeds_note
from analysis.instruments.regret import by_loss, lines_of, mean_regret, named, overoptimization, varying
from analysis.records.names import capitalized, loss_label

BANDS = {  # from below
    "labels": ("labels", PALETTE[2]),
    "loss": ("loss", PALETTE[3]),
    "policy_class": ("class of policies", PALETTE[4]),
    "optimizer_beta": ("choice of β", PALETTE[7]),
    "optimizer_steps": ("too few steps", PALETTE[1]),
    "optimizer_pairs": ("learning from these pairs", PALETTE[0]),
}
REGRET_LABEL = "regret [sd of gold]"
ROOM = 2.0  # of the largest sum, for names above it


def draw(table: pd.DataFrame) -> Picture:
    """A panel a loss: the parts of regret on each other along beta, and their sum with its interval."""
    means = mean_regret(table)
    by = by_loss(table)
    further = [name for name in varying(means, by) if name not in {"beta", "objective"}]
    losses = [some.sort_values("beta") for _, some in means.groupby(by, dropna=False, sort=False)]
    figure, grid = panels([capitalized(named(some.iloc[0], further)) for some in losses], height=1.3)
    for some, axes in zip(losses, grid.values(), strict=True):
        draw_loss(axes, some)
    lowest = float(means[list(BANDS)].clip(upper=0).sum(axis=1).min())
    bounds = pd.DataFrame({"total": [lowest, ROOM * float(means["total"].max())]})
    level(list(grid.values()), [bounds], ("total",))
    names = [EndLabel(0, 0, name, color) for name, color in reversed(BANDS.values())]
    corner_names(next(iter(grid.values())), names, "upper")
    figure.supxlabel("β (small: weak regularization)")
    figure.supylabel(REGRET_LABEL)
    words = (
        "Gold of the best policy of the same KL less that of the trained one, and what took it. Line: the sum, "
        f"{seeds_note(means)}. Parts below 0 stand below the line of 0."
    )
    return headed(figure, title_of(table), words)


def draw_loss(axes: Axes, rows: pd.DataFrame) -> None:
    """The bands of one loss."""
    beta = rows["beta"].to_numpy(float)
    up, down = np.zeros(len(rows)), np.zeros(len(rows))
    for part, (name, color) in BANDS.items():
        value = rows[part].to_numpy(float)
        above, below = np.maximum(value, 0), np.minimum(value, 0)
        axes.fill_between(beta, up, up + above, color=color, linewidth=0)
        axes.fill_between(beta, down, down + below, color=color, linewidth=0)
        keep(axes, name, beta, value, ends_of(rows, part))
        up, down = up + above, down + below
    zero_line(axes)
    bounds = ends_of(rows, "total") if rows["seeds"].max() > 1 else None
    keep(axes, "sum", beta, rows["total"], bounds)
    error = None if bounds is None else np.abs(np.array(bounds) - rows["total"].to_numpy())
    axes.errorbar(beta, rows["total"], yerr=error, color="black", linewidth=1.0, elinewidth=0.8, capsize=2)
    log_axis(axes, "x")


def title_of(table: pd.DataFrame) -> str:
    """What grew most, over all losses, from the beta with the most gold to the smallest."""
    grown = overoptimization(table)
    if grown.empty:
        return "Where the loss of gold comes from; no seed has ended well at every β"
    grown = grown[grown["from_beta"] != grown["to_beta"]]
    if grown.empty:
        return "Gold is highest at the smallest β: nothing is overoptimized"
    means = grown.groupby("part")["growth"].mean()
    largest = max(BANDS, key=lambda part: float(means[part]))
    losses = list(grown["objective"].unique())
    who = f"over {len(losses)} losses" if len(losses) > 1 else loss_label(losses[0])
    where = f"From the best β to {grown['to_beta'].iloc[0]:g}, {who}, regret grows by {means['total']:.2f}"
    return f"{where}; most by {BANDS[largest][0]} ({means[largest]:+.2f})".replace("-", "−")


FIGURE = Kind(
    name="regret",
    caption="Where does the loss of gold come from?",
    rank=57,
    shows="other",
    draw=draw,
    says=lines_of,
)
