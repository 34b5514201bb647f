"""A KL penalty in reinforcement learning: more of the proxy's score at a KL, and more gold?"""

import pandas as pd
from matplotlib.figure import Figure

from analysis.figures.curve_groups import at_extreme_values, value_label, varied_settings, with_labels
from analysis.figures.kind import Kind
from analysis.figures.proxies.rl_vs_best_of_n import PROXY_LABEL
from analysis.figures.style import GOLD_LABEL, KL_LABEL, ORACLE, band, beta_scale, legend_below, level, seeds_note
from analysis.records.about import cards
from analysis.statistics.peaks import means_along


def draw(curves: pd.DataFrame) -> Figure:
    """The proxy's score and gold against KL along training, a colour for each penalty; the dots are its ends."""
    rows = with_labels(curves)
    rows, settings_text = at_extreme_values(rows, [name for name in varied_settings(rows) if name != "beta"], 0)
    penalties = sorted(rows.loc[rows["method"] == "rl", "beta"].unique())
    positive = pd.Series([value for value in penalties if value > 0] or [1.0])
    scale = beta_scale(positive)
    figure = Figure(figsize=(10, 4.8), layout="constrained")
    grid = figure.subplots(1, 2)
    tables = []
    for value in penalties:
        color = scale.to_rgba(value) if value > 0 else "#D55E00"
        part = rows[(rows["method"] == "rl") & (rows["beta"] == value)]
        mean = means_along(part, ["gold", "proxy"])
        tables.append(mean)
        for axes, y in zip(grid, ("proxy", "gold"), strict=True):
            axes.plot(mean["kl"], mean[y], color=color, label=f"RL, {value_label('beta', value)}")
            axes.plot(mean["kl"].iloc[-1], mean[y].iloc[-1], "o", color=color, markeredgecolor="black")
            band(axes, mean, "kl", y, color)
    right = max(float(table["kl"].max()) for table in tables)
    for method, card in cards(curves).items():
        part = rows[rows["method"] == method]
        if part.empty or "penalty" in card.varies:
            continue
        dash = "-." if card.line == "-" else card.line  # solid lines are those of penalties
        mean = means_along(part, ["gold", "proxy"])
        for axes, y in zip(grid, ("proxy", "gold"), strict=True):
            axes.plot(mean["kl"], mean[y], label=card.label, **ORACLE | {"linestyle": dash})
    for axes, label in zip(grid, (PROXY_LABEL, GOLD_LABEL), strict=True):
        axes.set(xlabel=KL_LABEL, ylabel=label, xlim=(0, 1.03 * right))
    for axes, name in zip(grid, ("proxy", "gold"), strict=True):
        level([axes], tables, (name,))
    figure.suptitle(f"Along training at each penalty (dot: its end){settings_text}; {seeds_note(pd.concat(tables))}")
    legend_below(figure, grid[0])
    return figure


FIGURE = Kind(
    name="penalty",
    caption="Proxy score and gold over KL at each penalty.",
    rank=80,
    shows="proxies",
    draw=draw,
    applies=lambda curves: len(curves.loc[curves["method"] == "rl", "beta"].unique()) > 1,
)
