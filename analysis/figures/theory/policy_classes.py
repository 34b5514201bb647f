"""What do the class of policies, chance in the data, the loss and the optimizer take of gold?"""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from analysis.figures.kind import Kind
from analysis.figures.layout import Picture, headed, stacked
from analysis.figures.marks import EndLabel, curve, draw_oracle, end_labels, ends_of, frame, points
from analysis.figures.style import GOLD_LABEL, KL_LABEL, seeds_note
from analysis.headline.titles.policy_classes import (
    IN_WORDS,
    falls_statement,
    has_classes,
    missing_of,
    missing_statement,
    optimizer_takes,
    pairs_text,
    place_of,
    rows_of_classes,
)
from analysis.statistics.policy_classes.missing_gold import KIND, TABLE, Missing, paths_of_classes

PATH, PARTS = 1.45, 1.25  # inches
COLOURS = {"tabular": "#0072B2", "linear": "#1F9981", "transformer": "#D55E00"}
APART = 0.24  # between classes in a row of parts


def draw(curves: pd.DataFrame) -> Picture:
    """Gold over KL of each class, on drawn pairs and on the population; below, what each part takes at the end."""
    rows = rows_of_classes(curves)
    here = curves[curves["method"].ne("oracle") | curves[KIND].eq(rows[KIND].iloc[0])]  # each class has its oracle
    means = paths_of_classes(rows)
    last = means["step"] == means["step"].max()
    at_ends = means.assign(gold_low=means["gold_low"].where(last), kl_high=np.nan)  # intervals are drawn there alone
    missing = missing_of(curves)
    whole = means["whole"]
    datas = [(name, some) for name, some in ((pairs_text(rows), ~whole), ("the whole population", whole)) if some.any()]
    figure, axes = stacked([PATH] * len(datas) + ([PARTS] if missing else []))
    for (name, some), panel in zip(datas, axes, strict=False):
        frame(panel, here, at_ends)
        draw_paths(panel, means[some])
        draw_oracle(panel, here)
        panel.set(title=name, ylabel=GOLD_LABEL, xlabel=KL_LABEL)
    words = (
        f"{place_of(rows)}; training on, from the reference (0, 0): circle, highest point; square, end; "
        f"{seeds_note(means[~whole] if (~whole).any() else means)}, drawn at the end."
    )
    if missing:
        draw_parts(axes[-1], missing, optimizer_takes(curves))
        words += (
            " Bottom: loss, what a table on the population lacks of the best possible at its KL; class, what another "
            "class has less than a table there; data, what drawn pairs take of each class. These add up to what is "
            "missing. Apart from them, optimizer: what the worst of the sweep's optimizers would take on the "
            "population. Left of 0, a part gives gold."
        )
    return headed(figure, (missing_statement(curves) or falls_statement(rows)).title, words)


def draw_paths(axes: Axes, means: pd.DataFrame) -> None:
    """The mean path of each class along training, with its highest point and its end."""
    labels = []
    for kind in [name for name in COLOURS if name in set(means[KIND])]:
        path, color = means[means[KIND] == kind].sort_values("step"), COLOURS[kind]
        curve(axes, IN_WORDS[kind], path["kl"], path["gold"], ends_of(path, "gold"), band=0.0, color=color, zorder=3)
        end = path.iloc[-1]
        if end["gold_high"] - end["gold_low"] > 0:
            axes.plot([end["kl"]] * 2, [end["gold_low"], end["gold_high"]], color=color, linewidth=0.8, zorder=2)
        for point, marker in ((path.loc[path["gold"].idxmax()], "o"), (end, "s")):
            axes.plot(point["kl"], point["gold"], marker, color=color, markersize=4, markeredgecolor="white", zorder=5)
        labels.append(EndLabel(path["kl"].iloc[-1], path["gold"].iloc[-1], IN_WORDS[kind], color))
    end_labels(axes, labels, PATH - 0.6)


def draw_parts(axes: Axes, missing: dict[str, Missing], optimizers: dict[str, float]) -> None:
    """What each part takes of gold, a row a part and a point a class."""
    kinds = [kind for kind in COLOURS if kind in missing]
    offset = {kind: APART * (place - (len(kinds) - 1) / 2) for place, kind in enumerate(kinds)}
    rows = ["loss", "class", "data", *(["optimizer"] if optimizers else [])]
    for kind in kinds:
        each, low, high = missing[kind], np.nan, np.nan
        values = {"loss": each.loss if kind == TABLE else np.nan, "class": each.policy_class, "data": np.nan}
        values["class"] = values["class"] if kind != TABLE else np.nan
        if each.data is not None:
            values["data"], (low, high) = each.data.value, each.data.interval()
        values["optimizer"] = optimizers.get(kind, np.nan)
        for row, name in enumerate(rows):
            if np.isfinite(values[name]):
                ends = ([low], [high]) if name == "data" else None
                at = [row + offset[kind]]
                label = f"{name}: {IN_WORDS[kind]}"
                points(axes, label, [values[name]], at, ends, along="x", color=COLOURS[kind], marker="o", linestyle="")
    axes.axvline(0.0, color="0.6", linewidth=0.7, zorder=1)
    axes.set(ylim=(len(rows) - 0.5, -0.5), xlabel=f"gold that is missing at the end {GOLD_LABEL.removeprefix('gold ')}")
    axes.set_yticks(range(len(rows)), labels=rows)
    axes.grid(visible=False, axis="y")


FIGURE = Kind(
    name="classes",
    caption="What do the class of policies, chance in the data, the loss and the optimizer take of gold?",
    rank=4,
    shows="pairs",
    draw=draw,
    applies=has_classes,
)
