"""How do the coefficients of the law change with the size of the proxy, or the data that it learned from?"""

from typing import Any

import pandas as pd

from analysis.figures.kind import Kind
from analysis.figures.layout import Picture, column, headed
from analysis.figures.marks import EndLabel, end_labels, ends_of, points
from analysis.figures.style import DASHES, MARKERS, PALETTE, log_axis
from analysis.headline.titles.laws import coefficient_trend
from analysis.records.about import methods_where
from analysis.records.proxy_settings import label_of, value_label, varied_settings, with_labels
from analysis.statistics.law_fits import fit_laws

ALONG = {"proxy_parameters": "parameters of the proxy", "pairs": "comparisons that the proxy learned from"}
HEIGHT = 1.4
MOST = 7  # lines


def along_of(curves: pd.DataFrame) -> str | None:
    """What coefficients are drawn against: the size of proxies or the data, whichever has more values; or nothing."""
    rows = with_labels(curves)
    rows = rows[rows["method"].isin(methods_where(rows, "fitted"))]
    counts = {name: rows[name].nunique() for name in ALONG if name in rows}
    best = max(counts, key=lambda name: counts[name], default=None)
    return best if best is not None and counts[best] > 2 else None


def draw(curves: pd.DataFrame) -> Picture:
    """alpha and beta with their intervals over seeds; a line for each method and further setting."""
    rows = with_labels(curves)
    along = along_of(curves) or "proxy_parameters"
    laws = fit_laws(rows[rows["method"].isin(methods_where(rows, "fitted"))])
    apart = ["method", *(name for name in varied_settings(rows) if name != along and name in laws)]
    figure, panels = column(2 * HEIGHT, rows=2, sharex=True)
    labels: list[list[EndLabel]] = [[], []]
    groups = list(laws.groupby(apart, dropna=False, sort=False))
    for number, (setting, table) in enumerate(groups[:MOST]):
        extra = [
            value_label(name, value) for name, value in zip(apart[1:], setting[1:], strict=True) if pd.notna(value)
        ]
        extra = [text for text in extra if text != "penalty 0"]
        name, color = ", ".join([label_of(rows, setting[0]), *extra]), PALETTE[number % 8]
        table = table.sort_values(along)
        for row, column_name in enumerate(("law_alpha", "law_beta")):
            style: dict[str, Any] = {"color": color, "linestyle": DASHES[number % 8], "marker": MARKERS[number % 8]}
            points(panels[row], name, table[along], table[column_name], ends_of(table, column_name), **style)
            labels[row].append(EndLabel(table[along].iloc[-1], table[column_name].iloc[-1], name, color))
    log_axis(panels[1], "x")
    panels[0].set_ylabel("α [sd per √nat]")
    panels[1].set(ylabel="β [sd per nat or √nat]", xlabel=ALONG[along])
    for axes, ends in zip(panels, labels, strict=True):
        end_labels(axes, ends, HEIGHT - 0.2)
    more = len(groups) - MOST
    words = "d (α − β d) for best-of-n, d (α − β log d) for RL, d = √KL; 95 % intervals over seeds." + (
        f" {more} more lines are left out." if more > 0 else ""
    )
    return headed(figure, coefficient_trend(curves, along).title, words)


FIGURE = Kind(
    name="coefficients",
    caption="How do the coefficients of the law change with the size of the proxy, or its data?",
    rank=100,
    shows="proxies",
    draw=draw,
    applies=lambda curves: along_of(curves) is not None,
)
