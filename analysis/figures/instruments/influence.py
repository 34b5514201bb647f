"""Which labels cost gold, and can they be found without it?"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, StrMethodFormatter

from analysis.figures.kind import Kind
from analysis.figures.layout import Picture, headed
from analysis.figures.marks import ends_of, points
from analysis.figures.style import PALETTE, SOFT
from analysis.instruments.influence import NAMES, RANDOM, SURE, TRUTH, score_means
from analysis.records.names import capitalized
from analysis.statistics.intervals import mean_of

STYLES = {"linear": (PALETTE[0], "o"), "transformer": (PALETTE[1], "s"), "tabular": (PALETTE[2], "^")}
APART = 0.17  # of one class of policies from the next, in rows
ROW = 0.165  # inches
LABELS = {  # of the panels, by their columns
    "correlation": "correlation\n[−1 to 1]",
    "gold_gained": "gold gained\n[sd of gold]",
    "saved": "regret saved\n[sd of gold]",
}
TURNED = {"": "", "_low": "_high", "_high": "_low"}  # ends of an interval whose sign is turned


def draw(judged: pd.DataFrame) -> Picture:
    """A row a score: its rank correlation with values, and gold and regret by dropping the worst 5 % by it."""
    means = score_means(judged)
    means = means.assign(**{f"saved{end}": -means[f"regret_added{other}"] for end, other in TURNED.items()})
    scores, policies = list(dict.fromkeys(means["score"])), list(dict.fromkeys(means["policy"]))
    figure = Picture(ROW * len(scores) + 0.85)
    panels = dict(zip(LABELS, figure.subplots(1, len(LABELS), sharey=True), strict=True))
    for number, policy in enumerate(policies):
        rows = means[means["policy"] == policy].set_index("score").loc[scores].reset_index()
        height = np.arange(len(scores)) + APART * (2 * number - len(policies) + 1)
        color, marker = STYLES[policy]
        style: dict[str, Any] = {"fmt": marker, "color": color, "markersize": 2.6}
        for name, axes in panels.items():
            shown = np.array([name != "correlation" or score != TRUTH for score in scores])
            some = rows[shown]
            points(axes, str(policy), some[name], height[shown], ends_of(some, name), along="x", **style)
        ceiling = mean_of(judged[judged["policy"] == policy].groupby("data_set")["ceiling"].first()).value
        panels["correlation"].axvline(ceiling, color=color, linewidth=0.9, linestyle=(0, (4, 2)))
    dress(panels, means.drop_duplicates("score"))
    panels["correlation"].set_title(" ")  # room for the names of policies, which are wider than a panel
    panels["correlation"].legend(
        loc="lower left", bbox_to_anchor=(0, 1), ncols=len(policies), handletextpad=0.2, borderaxespad=0.0
    ).set_in_layout(False)
    words = (
        "Left: Spearman correlation of scores with the exact value of pairs, gold with a pair less gold without it; "
        "dashed: the most that a score can reach. Then: what training without the worst 5 % brings, with orders of "
        "batches that valued nothing: gold, and how much nearer it is to the best policy of its own KL. Scores above "
        f"the line need gold. Means with 95 % intervals over {means['seeds'].max()} data sets."
    )
    return headed(figure, title_of(means), words)


def dress(panels: Mapping[str, Axes], scores: pd.DataFrame) -> None:
    """Names, labels and lines."""
    names = [capitalized(NAMES.get(name, name)) for name in scores["score"]]
    first = next(iter(panels.values()))
    first.set_yticks(range(len(names)), labels=names)
    first.invert_yaxis()
    for name, axes in panels.items():
        axes.axvline(0.0, color="0.6", linewidth=0.7, zorder=1)
        axes.axhline(int(scores["needs_gold"].sum()) - 0.5, color=SOFT, linewidth=0.6)
        axes.grid(visible=False, axis="y")
        axes.tick_params(axis="y", length=0)
        axes.xaxis.set_major_locator(MaxNLocator(2))
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axes.set_xlabel(LABELS[name])


def title_of(means: pd.DataFrame) -> str:
    """How many of the scores without gold gain some by dropping, and how many save regret, in each class."""
    free = means[~means["needs_gold"] & (means["score"] != RANDOM)]
    gains = free[(free["gold_gained_p"] < SURE) & (free["gold_gained"] > 0)]
    saves = free[(free["regret_added_p"] < SURE) & (free["regret_added"] < 0)]
    told = [
        f"{(gains['policy'] == policy).sum()} gain gold and {(saves['policy'] == policy).sum()} lower regret ({policy})"
        for policy in dict.fromkeys(means["policy"])
    ]
    return f"Of {free['score'].nunique()} scores without gold, {', '.join(told)}"


FIGURE = Kind(
    name="influence",
    caption="Which labels cost gold, and can they be found without it?",
    rank=58,
    shows="other",
    draw=draw,
)
