"""Can beta and the end of training be chosen without gold?"""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from analysis.figures.kind import Kind
from analysis.figures.layout import Picture, headed, panels
from analysis.figures.marks import keep
from analysis.figures.style import PALETTE, SOFT
from analysis.headline.statement import with_half
from analysis.instruments.stopping.judging import BASELINE, SUGGESTED, summary
from analysis.records.names import capitalized

NAMES = {SUGGESTED: "the rule best elsewhere", BASELINE: "fixed β", "fixed beta kappa": "fixed βκ"}


def draw(judged: pd.DataFrame) -> Picture:
    """What each rule loses in worlds that it was not tuned on, the best at the top."""
    means = summary(judged).iloc[::-1].reset_index(drop=True)
    figure, grid = panels([""], height=0.26 * len(means) + 0.5)
    (axes,) = grid.values()
    for place, (_, row) in enumerate(means.iterrows()):
        draw_rule(axes, place, row)
    ends = (means["regret_low"].to_numpy(), means["regret_high"].to_numpy())
    keep(axes, "rules", np.arange(len(means)), means["regret"].to_numpy(), ends)
    axes.axvline(float(means.set_index("rule").loc[BASELINE, "regret"]), color=SOFT, linewidth=0.8, linestyle=":")
    axes.set_yticks(range(len(means)), [name_of(rule) for rule in means["rule"]])
    axes.set_ylim(-0.6, len(means) - 0.4)
    axes.set_xlim(left=0)
    axes.set_xlabel("gold lost [sd of gold]")
    choices, folds = len(judged) // len(means), int(means["folds"].iloc[0])
    words = (
        f"Means with 95 % intervals over {folds} folds of worlds, {choices:,} choices in all; each rule was tuned on "
        "the other folds. Full: surely better than a fixed β (paired, Holm). Dotted: the fixed β."
    )
    return headed(figure, title_of(means), words)


def draw_rule(axes: Axes, place: int, row: pd.Series) -> None:
    """A point with its interval."""
    value, low, high = row["regret"], row["regret_low"], row["regret_high"]
    color = PALETTE[1] if row["rule"] == SUGGESTED else PALETTE[0]
    face = color if row["surely_better"] else "white"
    ends = [[value - low], [high - value]]
    axes.errorbar(value, place, xerr=ends, color=color, marker="o", markersize=4, markerfacecolor=face, capsize=2)


def name_of(rule: str) -> str:
    """A rule as axes have it."""
    return capitalized(NAMES.get(rule, rule))


def title_of(means: pd.DataFrame) -> str:
    """What the best of the other worlds gains over a fixed beta."""
    row = means.set_index("rule").loc[SUGGESTED]
    gain = with_half(row["gain"], (row["gain_high"] - row["gain_low"]) / 2)
    fixed = means.set_index("rule").loc[BASELINE, "regret"]
    return f"The rule that was best in other worlds gains {gain} over a fixed β, which loses {fixed:.2f}"


FIGURE = Kind(name="rules", caption="Can β be chosen without gold?", rank=58, shows="other", draw=draw)
