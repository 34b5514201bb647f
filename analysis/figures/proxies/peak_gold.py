"""How much gold can be had from a proxy of this size, or of this much data?"""

from typing import Any

import pandas as pd

from analysis.figures.kind import Kind
from analysis.figures.layout import Picture, headed, panels
from analysis.figures.marks import EndLabel, end_labels, ends_of, points
from analysis.figures.proxies.coefficients import ALONG, along_of
from analysis.figures.style import DASHES, GOLD_LABEL, MARKERS, few, log_axis, ramp, seeds_note
from analysis.headline.statement import brief
from analysis.records.names import value_text
from analysis.records.proxy_settings import label_of, value_label, varied_settings, with_labels
from analysis.statistics.peaks import peak_along

HEIGHT = 1.5
MOST = 4  # lines in a panel


def draw(curves: pd.DataFrame) -> Picture:
    """A panel for each method: the peak of gold, cross-fitted over seeds, and its interval, against data or size."""
    rows = with_labels(curves)
    along = along_of(curves) or "proxy_parameters"
    apart = [name for name in varied_settings(rows) if name != along]
    methods = {method: label_of(rows, method) for method in rows["method"].unique()}
    figure, grid = panels(list(methods.values()), most=1, height=HEIGHT)
    tables, labels, title = [], dict[str, list[EndLabel]](), ""
    for method, name in methods.items():
        part = rows[rows["method"] == method]
        lines = list(part.groupby(apart, dropna=False)) if apart else [((), part)]
        lines = [lines[int(place)] for place in few(range(len(lines)), MOST)]
        labels[name] = []
        for number, ((setting, table), color) in enumerate(zip(lines, ramp(len(lines)), strict=True)):
            texts = [value_label(key, value) for key, value in zip(apart, setting, strict=True) if pd.notna(value)]
            peaks = pd.DataFrame([{along: x, **peak_along(path)} for x, path in table.groupby(along)])
            tables.append(peaks)
            style: dict[str, Any] = {"marker": MARKERS[number], "linestyle": DASHES[number], "color": color}
            text = ", ".join(texts)
            points(grid[name], text or name, peaks[along], peaks["gold"], ends_of(peaks, "gold"), **style)
            labels[name].append(EndLabel(peaks[along].iloc[-1], peaks["gold"].iloc[-1], text, color))
            if not title:
                first, last = (sized(peaks.iloc[i], along) for i in (0, -1))
                title = f"The peak of gold goes from {first} to {last} ({', '.join([name, *texts])})"
        log_axis(grid[name], "x")
    for name, axes in grid.items():
        end_labels(axes, labels[name], HEIGHT - 0.4)
    figure.supxlabel(ALONG[along])
    figure.supylabel(f"highest {GOLD_LABEL}")
    words = f"Peaks along n or training, found on the other seeds; {seeds_note(pd.concat(tables))}."
    return headed(figure, title, words)


def sized(row: pd.Series, along: str) -> str:
    """A peak and where it stands."""
    unit = "parameters" if along == "proxy_parameters" else "comparisons"
    return f"{brief(row['gold'], (row['gold_high'] - row['gold_low']) / 2)} ({value_text(row[along])} {unit})"


FIGURE = Kind(
    name="maxima",
    caption="How much gold can be had from a proxy of this size, or of this much data?",
    rank=90,
    shows="proxies",
    draw=draw,
    applies=lambda curves: along_of(curves) is not None,
)
