"""The coefficients of the law of overoptimization against the size of the proxy, or the data that it learned from."""

import pandas as pd
from matplotlib.figure import Figure

from analysis.figures.curve_groups import label_of, value_label, varied_settings, with_labels
from analysis.figures.kind import Kind
from analysis.figures.style import DASHES, MARKERS, PALETTE, arms, legend_below, log_axis
from analysis.records.about import methods_where
from analysis.statistics.law_fits import fit_laws

ALONG = {"proxy_parameters": "parameters of the proxy [1]", "pairs": "comparisons that the proxy learned from [1]"}


def along_of(curves: pd.DataFrame) -> str | None:
    """What coefficients are drawn against: the size of proxies or the data, whichever has more values; or nothing."""
    rows = with_labels(curves)
    rows = rows[rows["method"].isin(methods_where(rows, "fitted"))]
    counts = {name: rows[name].nunique() for name in ALONG if name in rows}
    best = max(counts, key=lambda name: counts[name], default=None)
    return best if best is not None and counts[best] > 2 else None


def draw(curves: pd.DataFrame) -> Figure:
    """alpha and beta with their intervals over seeds; a line for each method and further setting."""
    rows = with_labels(curves)
    along = along_of(curves) or "proxy_parameters"
    laws = fit_laws(rows[rows["method"].isin(methods_where(rows, "fitted"))])
    apart = ["method", *(name for name in varied_settings(rows) if name != along and name in laws)]
    figure = Figure(figsize=(9.5, 4.4), layout="constrained")
    grid = figure.subplots(1, 2, sharex=True)
    for number, (setting, table) in enumerate(laws.groupby(apart, dropna=False, sort=False)):
        labels = [
            value_label(name, value) for name, value in zip(apart[1:], setting[1:], strict=True) if pd.notna(value)
        ]
        style = {"color": PALETTE[number % 8], "linestyle": DASHES[number % 8], "marker": MARKERS[number % 8]}
        table = table.sort_values(along)
        x = table[along].to_numpy(float)
        for axes, name in zip(grid, ("law_alpha", "law_beta"), strict=True):
            label = ", ".join([label_of(rows, setting[0]), *labels])
            axes.errorbar(x, table[name].to_numpy(float), yerr=arms(table, name), elinewidth=0.7, label=label, **style)
    units = {"α": "sd of gold per √nat", "β": "sd of gold per nat (best-of-n) or √nat (RL)"}
    for axes, (name, unit) in zip(grid, units.items(), strict=True):
        axes.set(xlabel=ALONG[along], ylabel=f"{name} [{unit}]")
        log_axis(axes, "x")
    figure.suptitle(
        "Coefficients of d (α − β d) for best-of-n and d (α − β log d) for RL, with 95 % intervals over seeds"
    )
    legend_below(figure, grid[0])
    return figure


FIGURE = Kind(
    name="coefficients",
    caption="The coefficients of the law, against the size of the proxy or its data.",
    rank=100,
    shows="proxies",
    draw=draw,
    applies=lambda curves: along_of(curves) is not None,
)
