"""What does a KL penalty in reinforcement learning buy: more of the proxy's score at a KL, or more gold?"""

import pandas as pd

from analysis.figures.kind import Kind
from analysis.figures.layout import Picture, column, headed
from analysis.figures.marks import EndLabel, curve, end_labels, ends_of, level
from analysis.figures.style import DASHES, GOLD_LABEL, KL_LABEL, WITHOUT_BETA, beta_scale, few, seeds_note
from analysis.headline.titles.penalties import penalty_effect
from analysis.records.about import cards
from analysis.records.proxy_settings import at_extreme_values, varied_settings, with_labels
from analysis.statistics.peaks import means_along

HEIGHT = 1.7
MOST = 4  # penalties
PROXY_LABEL = "proxy score [sd of gold]"


def draw(curves: pd.DataFrame) -> Picture:
    """Gold and the proxy's score against KL along training, a colour for each penalty; the squares are its ends."""
    rows = with_labels(curves)
    rows, settings_text = at_extreme_values(rows, [name for name in varied_settings(rows) if name != "beta"], 0)
    penalties = few(rows.loc[rows["method"] == "rl", "beta"], MOST)
    scale = beta_scale(pd.Series([value for value in penalties if value > 0] or [1.0]))
    figure, (gold, proxy) = column(2 * HEIGHT, rows=2, sharex=True)
    panels = {"gold": gold, "proxy": proxy}
    tables, labels = [], {name: list[EndLabel]() for name in panels}
    for value in penalties:
        color = scale(value) if value > 0 else WITHOUT_BETA
        mean = means_along(rows[(rows["method"] == "rl") & (rows["beta"] == value)], ["gold", "proxy"])
        tables.append(mean)
        for y, axes in panels.items():
            name = f"RL, penalty {value:g}"
            curve(axes, name, mean["kl"], mean[y], ends_of(mean, y), color=color)
            axes.plot(
                mean["kl"].iloc[-1], mean[y].iloc[-1], "s", color=color, markeredgecolor="white", markeredgewidth=0.5
            )
            labels[y].append(EndLabel(mean["kl"].iloc[-1], mean[y].iloc[-1], name.removeprefix("RL, "), color))
    right = max(float(table["kl"].max()) for table in tables)
    for number, (method, card) in enumerate(cards(curves).items()):
        part = rows[rows["method"] == method]
        if part.empty or "penalty" in card.varies:
            continue
        mean = means_along(part, ["gold", "proxy"])
        mean = mean[mean["kl"] <= 1.03 * right]
        for y, axes in panels.items():
            curve(
                axes, card.label, mean["kl"], mean[y], color="0.45", linestyle=DASHES[(number + 1) % 8], linewidth=0.9
            )
            labels[y].append(EndLabel(mean["kl"].iloc[-1], mean[y].iloc[-1], card.label, "0.35"))
    gold.set(ylabel=GOLD_LABEL)
    proxy.set(xlabel=KL_LABEL, ylabel=PROXY_LABEL, xlim=(0, 1.03 * right))
    for y, axes in panels.items():
        level([axes], tables, (y,))
        end_labels(axes, labels[y], HEIGHT - 0.2)
    where = settings_text.removeprefix(", ")
    words = f"Along training{f' ({where})' if where else ''}, {seeds_note(pd.concat(tables))}; square: end."
    return headed(figure, penalty_effect(rows).title, words)


FIGURE = Kind(
    name="penalty",
    caption="What does a KL penalty buy: more of the proxy's score at a KL, or more gold?",
    rank=80,
    shows="proxies",
    draw=draw,
    applies=lambda curves: len(curves.loc[curves["method"] == "rl", "beta"].unique()) > 1,
)
