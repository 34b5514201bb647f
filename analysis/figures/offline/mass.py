"""Where does probability go as gold rises and falls, and what of gold does it carry?"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from analysis.figures.kind import Kind
from analysis.figures.layout import Picture, column, headed
from analysis.figures.marks import EndLabel, curve, end_labels, ends_of, zero_line
from analysis.figures.style import GOLD_LABEL, log_axis, seeds_of
from analysis.headline.rise_and_fall import shown_loss
from analysis.headline.statement import beta_of, setting_text
from analysis.headline.where_gold_went import shown_runs, where_gold_went
from analysis.statistics.mass import mass_along, parts_with_mass

HEIGHT = 3.0  # inches, of both panels
COLOURS = {
    "chosen": "#0072B2",
    "seen": "#1F9981",
    "rejected": "#7A6A00",
    "unseen": "#8C8C8C",
    "ungrammatical": "#D55E00",
}
NAMES = {
    "chosen": "chosen",
    "seen": "both",
    "rejected": "rejected",
    "unseen": "unseen",
    "ungrammatical": "ungrammatical",
}


def draw(curves: pd.DataFrame, ledger: pd.DataFrame, place: str = "") -> Picture:
    """The mass of each part along training, stacked, and what each part gives of gold, with gold itself."""
    means = mass_along(ledger)
    means = means.assign(at=means["step"].clip(lower=0.5))
    figure, (above, below) = column(HEIGHT, 2, sharex=True)
    parts = [part for part in COLOURS if part in parts_with_mass(means)]
    draw_masses(above, means, parts)
    draw_changes(below, means, parts)
    below.set_xlim(float(means["at"].min()), float(means["at"].max()))
    log_axis(below, "x")
    below.set_xlabel("step of training")
    end_labels(above, middles(means, parts), HEIGHT / 2 - 0.2)
    end_labels(below, change_ends(means, parts), HEIGHT / 2 - 0.2)
    which = setting_text(shown_loss(curves), beta_of(shown_runs(curves)))
    words = (
        f"Mean over {seeds_of(means)}, {which}. Above: the policy's probability of responses that the run's pairs have "
        "as chosen, as rejected, as both in different pairs, or not at all (unseen, ungrammatical). Below: what each "
        "part adds to gold since the reference; together they are gold (black). Dot: its peak."
    )
    statement = where_gold_went(curves, ledger)
    title = statement.title if statement else "Where probability goes along training, and the gold that it carries"
    return headed(figure, title, words, place)


def draw_masses(axes: Axes, means: pd.DataFrame, parts: Sequence[str]) -> None:
    """Stacked areas of probability along training."""
    base = np.zeros(means["step"].nunique())
    for part in parts:
        rows = means[means["part"] == part]
        top = base + rows["mass"].to_numpy()
        axes.fill_between(rows["at"], base, top, color=COLOURS[part], alpha=0.75, linewidth=0)
        curve(axes, NAMES[part], rows["at"], top, color="white", linewidth=0.5)
        base = top
    axes.set(ylabel="probability", ylim=(0.0, 1.0))


def draw_changes(axes: Axes, means: pd.DataFrame, parts: Sequence[str]) -> None:
    """What each part gives of gold along training, with its interval, and gold."""
    for part in parts:
        rows = means[means["part"] == part]
        curve(axes, NAMES[part], rows["at"], rows["gold_change"], ends_of(rows, "gold_change"), color=COLOURS[part])
    rows = means[means["part"] == means["part"].iloc[0]]
    curve(axes, "gold", rows["at"], rows["gold"], color="black", linewidth=1.4, zorder=4)
    peak = rows.loc[rows["gold"].idxmax()]
    axes.plot(peak["at"], peak["gold"], "o", color="black", markersize=3.5, zorder=5)
    zero_line(axes)
    axes.set_ylabel(GOLD_LABEL)


def middles(means: pd.DataFrame, parts: Sequence[str]) -> list[EndLabel]:
    """A name beside the middle of each area, where the path ends."""
    labels, base = [], 0.0
    last = means[means["step"] == means["step"].max()].set_index("part")
    for part in parts:
        mass, end = float(last.loc[part, "mass"]), float(last.loc[part, "at"])
        labels.append(EndLabel(end, base + mass / 2, NAMES[part], COLOURS[part]))
        base += mass
    return labels


def change_ends(means: pd.DataFrame, parts: Sequence[str]) -> list[EndLabel]:
    """A name beside the end of each line."""
    last = means[means["step"] == means["step"].max()].set_index("part")
    end, gold = float(last["at"].iloc[0]), float(last["gold"].iloc[0])
    labels = [EndLabel(end, float(last.loc[part, "gold_change"]), NAMES[part], COLOURS[part]) for part in parts]
    return [*labels, EndLabel(end, gold, "gold", "black")]


FIGURE = Kind(
    name="mass",
    caption="Where does probability go as gold rises and falls, and what of gold does it carry?",
    rank=12,
    shows="other",
    draw=draw,
)
