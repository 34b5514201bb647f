"""Does the law of overoptimization fit?"""

import numpy as np
import pandas as pd

from analysis.figures.kind import Kind
from analysis.figures.layout import Picture, headed, panels
from analysis.figures.marks import EndLabel, corner_names, curve, end_labels, zero_line
from analysis.figures.proxies.overoptimization import D_LABEL, MOST, chosen, name_of, rows_of
from analysis.figures.style import ramp
from analysis.headline.titles.laws import law_fit
from analysis.records.proxy_settings import families
from analysis.statistics.law_fits import form_of
from analysis.statistics.laws import fit_scaling_law
from analysis.statistics.peaks import means_along
from analysis.statistics.proxy_errors.phase_diagram import beside_the_diagram


def draw(curves: pd.DataFrame) -> Picture:
    """Mean gold less the fitted law over sqrt(KL), a panel for each method and further setting."""
    curves = beside_the_diagram(curves)
    shown = list(families(curves))[:MOST]
    figure, grid = panels([family.title for family in shown], most=1 if len(shown) <= 3 else 2, height=1.3)
    labels = {family.title: list[EndLabel]() for family in shown}
    for family in shown:
        axes, values = grid[family.title], chosen(family)
        zero_line(axes)
        for value, color in zip(values, ramp(len(values)), strict=True):
            rows = rows_of(family, value)
            mean, moved = means_along(rows, ["gold"]), rows[rows["kl"] > 0]
            try:
                law = fit_scaling_law(np.sqrt(moved["kl"]), moved["gold"], form_of(rows))
            except ValueError:
                continue
            d = np.sqrt(mean["kl"].clip(lower=0.0)).to_numpy()
            away = law.predict(d)
            ends = (mean["gold_low"] - away, mean["gold_high"] - away)
            curve(axes, name_of(family, value), d, mean["gold"] - away, ends, color=color)
            labels[family.title].append(
                EndLabel(d[-1], mean["gold"].iloc[-1] - away[-1], name_of(family, value), color)
            )
    for title, axes in grid.items():
        if len(shown) <= 3:
            end_labels(axes, labels[title], 1.0)
        elif title == shown[0].title:
            corner_names(axes, labels[title])
    figure.supxlabel(D_LABEL)
    figure.supylabel("gold less the law [sd]")
    words = (
        "Laws: d (α − β d) for best-of-n, d (α − β log d) for the others, d = √KL (Gao et al. 2023), fitted to all "
        "seeds; 95 % bands of the mean. On 0, the law fits."
    )
    return headed(figure, law_fit(curves).title, words)


FIGURE = Kind(
    name="law_residuals",
    caption="Does the law of overoptimization fit?",
    rank=95,
    shows="proxies",
    draw=draw,
    applies=lambda curves: law_fit(beside_the_diagram(curves)).sure,
)
