"""Reinforcement learning against best-of-n: the same gold at equal KL, or at an equal score of the proxy?"""

import pandas as pd
from matplotlib.figure import Figure

from analysis.figures.curve_groups import at_extreme_values, value_label, varied_settings, with_labels
from analysis.figures.kind import Kind
from analysis.figures.style import GOLD_LABEL, KL_LABEL, band, draw_oracle, legend_below, level, seeds_note
from analysis.records.about import cards
from analysis.statistics.peaks import means_along

PROXY_LABEL = "proxy score [sd of gold under $\\pi_\\mathrm{ref}$]"
MOST = 3


def draw(curves: pd.DataFrame) -> Figure:
    """Gold against KL, and against the proxy's score; a dash for each method, a colour for the first other setting."""
    rows = with_labels(curves)
    names = [name for name in varied_settings(rows) if name != "beta"]
    common = [name for name in names if not rows.loc[rows["method"] != "gibbs", name].isna().any()]
    key = common[0] if common else None
    rows, fixed = at_extreme_values(rows, [name for name in names if name != key], -1)
    if "beta" in rows:
        rows, _ = at_extreme_values(rows, ["beta"], 0)
    values = sorted(rows[key].dropna().unique()) if key else [None]
    chosen = values if len(values) <= MOST else [values[0], values[len(values) // 2], values[-1]]
    figure = Figure(figsize=(10, 4.8), layout="constrained")
    over_kl, over_proxy = figure.subplots(1, 2, sharey=True)
    tables = []
    for value, color in zip(chosen, ("#0072B2", "#D55E00", "#009E73"), strict=False):
        for method, card in cards(curves).items():
            part = rows[rows["method"] == method]
            part = part if key is None else part[part[key].isna() | (part[key] == value)]
            if part.empty:  # also of methods on pairs
                continue
            mean = means_along(part, ["gold", "proxy"])
            tables.append(mean)
            label = card.label if key is None else f"{card.label}, {value_label(key, value)}"
            for axes, x in ((over_kl, "kl"), (over_proxy, "proxy")):
                axes.plot(mean[x], mean["gold"], color=color, linestyle=card.line, label=label)
                band(axes, mean, x, "gold", color)
    over_kl.set(xlabel=KL_LABEL, ylabel=GOLD_LABEL)
    draw_oracle(over_kl, curves)
    level([over_kl], tables, ("gold",))
    over_kl.set_xlim(0, max(float(table["kl"].max()) for table in tables))
    over_proxy.set(xlabel=PROXY_LABEL)
    figure.suptitle(f"What optimizing spends and gets, along n or training{fixed}; {seeds_note(pd.concat(tables))}")
    legend_below(figure, over_kl)
    return figure


FIGURE = Kind(
    name="spending",
    caption="RL against best-of-n: gold over KL, and over the proxy's score.",
    rank=70,
    shows="proxies",
    draw=draw,
    applies=lambda curves: len(with_labels(curves)["method"].unique()) > 1,
)
