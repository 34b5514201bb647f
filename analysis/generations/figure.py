"""Figures of best-of-n on real models' data: gold and proxy along √KL with the fitted law; and ensembles."""

import math
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import NullLocator

from analysis.figures.layout import Picture, column, headed, panels
from analysis.figures.look import letters
from analysis.figures.marks import EndLabel, curve, end_labels, ends_of, zero_line
from analysis.figures.proxies.overoptimization import D_LABEL
from analysis.figures.style import ORACLE, PALE, PALETTE, SOFT
from analysis.generations.estimator import kl_of
from analysis.generations.measure import BestOfN
from analysis.generations.scores import ENSEMBLES
from analysis.generations.summary import path_of, short_label, spoken, title_of
from analysis.records.names import capitalized
from analysis.records.safe_names import drawable_text

MOST = 6  # panels
GOLD, PROXY, TOGETHER = PALETTE[0], PALETTE[1], (PALETTE[0], PALETTE[1], PALETTE[2])
LAW: dict[str, Any] = {"color": "black", "linestyle": (0, (1.2, 1.2)), "linewidth": 1.0}
SCORE_LABEL = r"gain [sd under $\pi_\mathrm{ref}$]"
FINE = 100  # points of a law


def draw_curves(found: BestOfN) -> Picture:
    """Gold and proxy score over √KL, with 95 % bands and the fitted law of gold, a panel for each score."""
    names = [str(name) for name in found.laws["score"]]
    shown = names if len(names) <= MOST else [*names[: MOST - 3], *names[-3:]]
    titles = {drawable_text(label_of(name)): name for name in shown}
    figure, grid = panels(list(titles), most=1 if len(titles) == 1 else 2, height=1.5)
    for title, name in titles.items():
        draw_panel(grid[title], found, name, alone=len(titles) == 1)
    if len(titles) == 1:
        grid[next(iter(titles))].set_title("")
    figure.supxlabel(D_LABEL)
    figure.supylabel(SCORE_LABEL)
    first = shown[0]
    title = (
        title_of(found, first)
        if len(names) == 1
        else f"Ranked by {drawable_text(first)}, {path_of(row_of(found, first))}"
    )
    more = f" {len(names) - len(shown):,} more are in the table." if len(shown) < len(names) else ""
    words = (
        f"Blue: gold. Orange, dashed: the score that is ranked by. Dotted: the law of gold, d (α − β d). Best-of-n, "
        f"n up to {found.largest_n:,}; {bands(found)}.{more}"
    )
    return headed(figure, unbroken(title), words)


def draw_panel(axes: Axes, found: BestOfN, name: str, *, alone: bool) -> None:
    """One score: gold, the score, the law."""
    rows = found.curves[found.curves["score"] == name]
    law = law_line(rows, row_of(found, name))
    zero_line(axes)
    curve(axes, f"score, {name}", rows["d"], rows["proxy"], ends_of(rows, "proxy"), color=PROXY, linestyle="--")
    curve(axes, f"gold, {name}", rows["d"], rows["gold"], ends_of(rows, "gold"), color=GOLD)
    curve(axes, f"law, {name}", law["d"], law["law"], **LAW)
    axes.set_xlim(0.0, float(rows["d"].max()) * 1.02)
    if alone:
        top_axis(axes, found.largest_n)
        ends = {"proxy": (rows["proxy"], PROXY), "gold": (rows["gold"], GOLD), "law of gold": (law["law"], "black")}
        d = float(rows["d"].max())
        end_labels(axes, [EndLabel(d, float(y.iloc[-1]), text, color) for text, (y, color) in ends.items()], 1.5)


def law_line(rows: pd.DataFrame, row: dict[str, Any]) -> pd.DataFrame:
    """The law of gold on a fine grid as far as it was fitted."""
    d = np.linspace(0.0, float(rows["d"].max()), FINE)
    return pd.DataFrame({"d": d, "law": row["alpha"] * d - row["beta"] * d**2})


def draw_comparison(found: BestOfN) -> Picture:
    """Gold alone, of every proxy and ensemble, in one panel, with what ranking by gold itself would give."""
    figure, (axes,) = column(2.4)
    zero_line(axes)
    ensembles = [name for name in found.laws["score"] if row_of(found, name)["kind"] == "ensemble"]
    labels = []
    for name in [name for name in found.laws["score"] if name not in ensembles]:
        rows = found.curves[found.curves["score"] == name]
        curve(axes, f"gold, {name}", rows["d"], rows["gold"], color=PALE)
        labels.append(EndLabel(float(rows["d"].iloc[-1]), float(rows["gold"].iloc[-1]), "", SOFT))
    singles = EndLabel(labels[0].x, float(np.median([label.y for label in labels])), "each proxy", SOFT)
    labels = [singles]
    for name, color in zip(ensembles, TOGETHER, strict=True):
        rows = found.curves[found.curves["score"] == name]
        curve(axes, f"gold, {name}", rows["d"], rows["gold"], ends_of(rows, "gold"), color=color)
        labels.append(EndLabel(float(rows["d"].iloc[-1]), float(rows["gold"].iloc[-1]), short_label(name), color))
    best = found.curves[found.curves["kind"] == "gold"]
    curve(axes, "gold, ranked by gold", best["d"], best["gold"], **ORACLE)
    labels.append(EndLabel(float(best["d"].iloc[-1]), float(best["gold"].iloc[-1]), "by gold itself", SOFT))
    axes.set_xlim(0.0, float(best["d"].max()) * 1.02)
    top_axis(axes, found.largest_n)
    axes.set(xlabel=D_LABEL, ylabel=SCORE_LABEL.replace("gain", "gain of gold"))
    end_labels(axes, labels, 1.6)
    most = max(ensembles, key=lambda name: row_of(found, name)["best_gold"])
    title = f"Of the ensembles, {spoken(most)} gains most: {path_of(row_of(found, most))}"
    words = f"Grey: each proxy by itself. {capitalized(bands(found))}, for ensembles. Uncertainty weighted: λ = "
    return headed(figure, unbroken(title), f"{words}{found.uncertainty:g}.")


def unbroken(title: str) -> str:
    """A title in which no line ends within n = 64."""
    return title.replace("n = ", "n\u00a0=\u00a0")


def row_of(found: BestOfN, name: str) -> dict[str, Any]:
    """The row of a score in the laws."""
    return dict(found.laws.set_index("score").loc[name])


def label_of(name: str) -> str:
    """The title of a panel."""
    return f"ensemble: {spoken(name)}" if name in ENSEMBLES else name


def bands(found: BestOfN) -> str:
    """What bands are."""
    if found.prompts < 2:
        return "one prompt, so there are no intervals"
    return f"mean with 95 % band over {found.prompts:,} prompts"


def top_axis(axes: Axes, most: int) -> None:
    """Marks above the panel at powers of n."""
    base = 2 if most <= 64 else 4 if most <= 4096 else 10
    powers = base ** np.arange(1, int(math.log(most) / math.log(base) + 1e-9) + 1)
    shown = [1, *(int(n) for n in powers)]
    shown = shown if len(shown) <= 8 else shown[::2]
    above = axes.secondary_xaxis("top")
    above.set_xticks(np.sqrt(kl_of(np.array(shown))), labels=[f"{n:,}" for n in shown])
    above.xaxis.set_minor_locator(NullLocator())
    above.set_xlabel("n", fontsize=letters(7), labelpad=2)
    above.spines["top"].set_visible(False)
    above.tick_params(length=2, pad=1)
