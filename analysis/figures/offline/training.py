"""What does each beta do along training: how far does it go, and does gold fall again?"""

import math

import pandas as pd

from analysis.figures.kind import Kind
from analysis.figures.layout import Picture, headed, panels
from analysis.figures.marks import EndLabel, corner_names, curve, draw_oracle, ends_of, frame
from analysis.figures.style import GOLD_LABEL, KL_LABEL, beta_scale, few, root_axis, seeds_of
from analysis.headline.rise_and_fall import rise_and_fall
from analysis.records.load import final_rows, without_diverged
from analysis.records.names import in_words, loss_label, losses_of
from analysis.statistics.peaks import training_curves

MOST = 12  # panels
SEEDS = 8  # that have a line of their own
MANY = 64  # seeds, of which a figure says how few have a line


def draw(curves: pd.DataFrame, place: str = "") -> Picture:
    """A panel a loss, with the mean paths of three beta and each seed of the smallest."""
    means, rows = training_curves(curves), without_diverged(curves)
    losses = losses_of(final_rows(curves))[:MOST]
    figure, grid = panels([loss_label(loss) for loss in losses])
    betas, colors = few(means["beta"].dropna().unique()) or [math.nan], beta_scale(means["beta"])
    named: list[list[float]] = []  # the colours of these beta are named once, in the first panel that has them
    for loss in losses:
        axes, of_loss = grid[loss_label(loss)], means[means["loss"] == loss]
        frame(axes, curves, means[["kl", "gold"]])
        mine = [beta for beta in betas if at(of_loss, beta).any()] or few(of_loss["beta"]) or [math.nan]
        for number, beta in enumerate(mine):
            path, color = of_loss[at(of_loss, beta)], colors(beta)
            if number == 0:
                own = rows[(rows["loss"] == loss) & at(rows, beta)]
                for _, seed in list(own.groupby("seed"))[:SEEDS]:
                    axes.plot(seed["kl"], seed["gold"], color=color, linewidth=0.35, alpha=0.45)
            name = "" if math.isnan(beta) else f"β {beta:g}"
            curve(
                axes, name or "no β", path["kl"], path["gold"], ends_of(path, "gold"), band=0.0, color=color, zorder=3
            )
            end = path.iloc[-1]
            axes.plot(
                end["kl"], end["gold"], "s", color=color, markersize=3, markeredgecolor="white", markeredgewidth=0.4
            )
        if mine not in named:
            labels = [EndLabel(0.0, 0.0, "" if math.isnan(beta) else f"β {beta:g}", colors(beta)) for beta in mine]
            low, high = axes.get_ylim()
            corner_names(axes, labels, "lower" if -low > 0.8 * high else "upper")  # where no path goes
            named.append(mine)
        draw_oracle(axes, curves, "best possible" if loss == losses[0] else "")
        root_axis(axes)
    figure.supxlabel(KL_LABEL + ", on a scale of its root")
    figure.supylabel(GOLD_LABEL)
    more = len(losses_of(final_rows(curves))) - len(losses)
    thin = single_seeds(means) + (" of the smallest β" if means["beta"].notna().any() else "")
    words = f"Mean paths along training over {seeds_of(means)}; square: end; thin: {thin}." + (
        f" {more} more losses are in the tables." if more else ""
    )
    return headed(figure, title_of(curves), words, place)


def single_seeds(means: pd.DataFrame) -> str:
    """Which seeds have a line of their own, where there are so many that a reader would miss the others."""
    count = int(means["seeds"].max())
    return f"the first {SEEDS} of {count:,} seeds" if count > MANY else "single seeds"


def title_of(curves: pd.DataFrame) -> str:
    """For how many losses gold surely falls."""
    numbers = rise_and_fall(curves).numbers
    falls, count = int(numbers["losses_that_fall"] or 0), int(numbers["losses"] or 0)
    where = "" if numbers["beta"] is None else " at the smallest β"
    if count == 1:
        return f"After its peak, gold {'surely falls' if falls else 'does not surely fall'}{where}"
    if not falls:
        return f"After its peak, gold does not surely fall{where}, with any of {in_words(count)} losses"
    return f"After its peak, gold surely falls{where} with {in_words(falls)} of {in_words(count)} losses"


def at(table: pd.DataFrame, beta: float) -> pd.Series:
    """Which rows have this beta, or none."""
    return table["beta"].isna() if math.isnan(beta) else table["beta"] == beta


FIGURE = Kind(
    name="training",
    caption="What does each β do along training: how far does it go, and does gold fall again?",
    rank=10,
    shows="point",
    draw=draw,
)
