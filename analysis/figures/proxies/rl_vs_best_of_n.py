"""Reinforcement learning against best-of-n: the same gold at equal KL, or at an equal score of the proxy?"""

import pandas as pd

from analysis.figures.kind import Kind
from analysis.figures.layout import Picture, column, headed
from analysis.figures.marks import EndLabel, curve, draw_oracle, end_labels, ends_of, level
from analysis.figures.proxies.penalty import PROXY_LABEL
from analysis.figures.style import GOLD_LABEL, KL_LABEL, PALETTE, few, seeds_note
from analysis.headline.proxies import methods_apart
from analysis.records.about import cards
from analysis.records.proxy_settings import at_extreme_values, value_label, varied_settings, with_labels
from analysis.statistics.peaks import means_along

HEIGHT = 1.8
MOST = 2  # values of the first other setting


def draw(curves: pd.DataFrame) -> Picture:
    """Gold against KL, and against the proxy's score; a dash for each method, a colour for the first other setting."""
    rows = with_labels(curves)
    names = [name for name in varied_settings(rows) if name != "beta"]
    common = [name for name in names if not rows.loc[rows["method"] != "gibbs", name].isna().any()]
    key = common[0] if common else None
    rows, fixed = at_extreme_values(rows, [name for name in names if name != key], -1)
    if "beta" in rows:
        rows, _ = at_extreme_values(rows, ["beta"], 0)
    values = sorted(rows[key].dropna().unique()) if key else [None]
    chosen = [values[int(place)] for place in few(range(len(values)), MOST)]
    figure, (over_kl, over_proxy) = column(2 * HEIGHT + 0.2, rows=2)
    tables, labels = [], {"kl": list[EndLabel](), "proxy": list[EndLabel]()}
    for value, color in zip(chosen, PALETTE, strict=False):
        for method, card in cards(curves).items():
            part = rows[rows["method"] == method]
            part = part if key is None else part[part[key].isna() | (part[key] == value)]
            if part.empty:  # also of methods on pairs
                continue
            mean = means_along(part, ["gold", "proxy"])
            tables.append(mean)
            name = (
                card.label
                if key is None
                else f"{card.label}, {value_label(key, value)}".replace(" parameters", " par.")
            )
            for axes, x in ((over_kl, "kl"), (over_proxy, "proxy")):
                curve(axes, name, mean[x], mean["gold"], ends_of(mean, "gold"), color=color, linestyle=card.line)
                labels[x].append(EndLabel(mean[x].iloc[-1], mean["gold"].iloc[-1], name, color))
    over_kl.set(xlabel=KL_LABEL, ylabel=GOLD_LABEL)
    over_kl.set_xlim(0, max(float(table["kl"].max()) for table in tables))
    draw_oracle(over_kl, curves)
    level([over_kl, over_proxy], tables, ("gold",))
    over_proxy.set(xlabel=PROXY_LABEL, ylabel=GOLD_LABEL)
    for axes, x in ((over_kl, "kl"), (over_proxy, "proxy")):
        end_labels(axes, labels[x], HEIGHT - 0.4)
    found = methods_apart(with_labels(curves))
    where = fixed.removeprefix(", ")
    words = f"Paths along n or training{f' ({where})' if where else ''}, {seeds_note(pd.concat(tables))}."
    return headed(figure, found.title if found else "What optimizing spends in KL and gets in gold", words)


FIGURE = Kind(
    name="spending",
    caption="RL against best-of-n: the same gold at equal KL, or at an equal score of the proxy?",
    rank=70,
    shows="proxies",
    draw=draw,
    applies=lambda curves: len(with_labels(curves)["method"].unique()) > 1,
)
