"""How well do proxy reward models know gold, by their size and by the data that they learned from?"""

from typing import Any

import numpy as np
import pandas as pd

from analysis.figures.kind import Kind
from analysis.figures.layout import Picture, column, headed
from analysis.figures.look import letters
from analysis.figures.marks import EndLabel, end_labels, ends_of, points
from analysis.figures.proxies.coefficients import ALONG
from analysis.figures.style import DASHES, MARKERS, SOFT, few, log_axis, ramp, seeds_note
from analysis.headline.statement import brief
from analysis.records.load import ORIGIN_COLUMNS
from analysis.records.names import value_text
from analysis.records.proxy_settings import determined, value_label
from analysis.statistics.intervals import over_seeds

PANELS = {
    "correlation": "correlation with\n" r"gold under $\pi_\mathrm{ref}$",
    "shifted_correlation": "correlation with\ngold, best of 16",
    "gold_accuracy": "pairs ordered as\ngold does [share]",
}
MEASURES = ("gold_loss", *PANELS)
SAID = {
    *("proxy", "member", "seed", "best_step", "train_loss", "train_accuracy", "held_out_loss", "held_out_accuracy"),
    *("scale", "wall_seconds", *MEASURES, *ORIGIN_COLUMNS),
}
NAMES = {"parameters": "proxy_parameters", "loss": "loss f ="}
HEIGHT = 1.2
MOST = 4  # lines


def along_of(proxies: pd.DataFrame) -> str:
    """What is drawn on the horizontal axis: data, where three values of it or more were tried, or else size."""
    return "pairs" if len(proxies["pairs"].unique()) > 2 else "parameters"


def settings_that_vary(proxies: pd.DataFrame) -> list[str]:
    """The settings of proxies that vary, their size foremost; what only says it, or is there twice, is left out.

    A setting is there twice where it is an axis of the sweep, as `loss` and as `proxy_loss`.
    """
    names = [name for name in proxies if name not in SAID and len(proxies[name].unique()) > 1]
    names = [name for name in names if name.removeprefix("proxy_") == name or name.removeprefix("proxy_") not in names]
    return [name for name in names if name in ("parameters", "pairs") or not determined(proxies, name, "parameters")]


def draw(proxies: pd.DataFrame) -> Picture:
    """Means over seeds with intervals, members of an ensemble averaged; a line for each combination of settings."""
    along = along_of(proxies)
    apart = [name for name in settings_that_vary(proxies) if name != along]
    each = proxies.groupby([*apart, along, "seed"], dropna=False)[list(PANELS)].mean().reset_index()
    means = over_seeds(each, [*apart, along], list(PANELS)).sort_values(along)
    figure, panels = column(HEIGHT * len(PANELS), rows=len(PANELS), sharex=True)
    lines = list(means.groupby(apart, dropna=False)) if apart else [((), means)]
    lines = [lines[int(place)] for place in few(range(len(lines)), MOST)]
    labels: list[list[EndLabel]] = [[] for _ in PANELS]
    for number, ((setting, table), color) in enumerate(zip(lines, ramp(len(lines)), strict=True)):
        texts = [
            f"{NAMES.get(name, name)} {value_text(value)}"
            if isinstance(value, str)
            else value_label(NAMES.get(name, name), value)
            for name, value in zip(apart, setting, strict=True)
            if pd.notna(value)
        ]
        style: dict[str, Any] = {"color": color, "marker": MARKERS[number], "linestyle": DASHES[number]}
        for row, (axes, name) in enumerate(zip(panels, PANELS, strict=True)):
            points(axes, ", ".join(texts) or "proxies", table[along], table[name], ends_of(table, name), **style)
            labels[row].append(EndLabel(table[along].iloc[-1], table[name].iloc[-1], ", ".join(texts), color))
    for axes, label in zip(panels, PANELS.values(), strict=True):
        axes.set_ylabel(label, fontsize=letters(6.5))
    if len(means[along].unique()) > 1:
        log_axis(panels[-1], "x")
    panels[-1].set_xlabel(ALONG[NAMES.get(along, along)])
    panels[-1].axhline(0.5, color=SOFT, linewidth=0.7, linestyle=":")
    for axes, ends in zip(panels, labels, strict=True):
        end_labels(axes, ends if len(lines) > 1 else [], HEIGHT - 0.2)
    return headed(figure, title_of(lines[0][1], along), f"{seeds_note(means).capitalize()}. Dotted: chance.")


def title_of(table: pd.DataFrame, along: str) -> str:
    """What correlation comes to, at the first and the last value."""
    unit = "parameters" if along == "parameters" else "comparisons"
    ends = [
        f"{brief(row['correlation'], (row['correlation_high'] - row['correlation_low']) / 2)} "
        f"({value_text(row[along])} {unit})"
        for row in (table.iloc[0], table.iloc[-1])
    ]
    shown = list(np.unique(table[along]))
    return f"Proxies correlate with gold by {ends[0] if len(shown) == 1 else ' to '.join(ends)}"


FIGURE = Kind(
    name="proxies",
    caption="How well do proxy reward models know gold?",
    rank=110,
    shows="other",
    draw=draw,
)
