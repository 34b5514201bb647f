"""What do the class of policies, chance in the data, the loss and the optimizer take of gold?"""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from analysis.figures.kind import Kind
from analysis.figures.layout import Picture, headed, stacked
from analysis.figures.look import letters
from analysis.figures.marks import EndLabel, curve, draw_oracle, end_labels, ends_of, frame, points
from analysis.figures.style import GOLD_LABEL, KL_LABEL, seeds_note
from analysis.headline.titles.policy_classes import (
    CLASS_NAMES,
    falls_statement,
    loss_and_beta,
    missing_of,
    missing_statement,
    optimizer_takes,
    pairs_text,
    rows_of_classes,
)
from analysis.statistics.policy_classes.missing_gold import KIND, TABLE, Missing, has_classes, paths_of_classes

PATH, PARTS = 1.45, 1.75  # inches
COLOURS = {"tabular": "#0072B2", "linear": "#1F9981", "transformer": "#D55E00"}
APART = 0.27  # between classes in a row of parts
ROOM = 1.28  # of the widest part, for the name beside it


def draw(curves: pd.DataFrame) -> Picture:
    """Gold over KL of each class, on drawn pairs and on the population; below, what each part takes at the end."""
    rows, missing = rows_of_classes(curves), missing_of(curves)
    here = curves[curves["method"].ne("oracle") | curves[KIND].eq(rows[KIND].iloc[0])]  # each class has its oracle
    means = paths_of_classes(rows)
    means = means.assign(gold_low=means["gold_low"].where(means["step"] == means["step"].max()), kl_high=np.nan)
    datas = [(whole, some) for whole, some in means.groupby("whole")]
    figure, axes = stacked([PATH] * len(datas) + ([PARTS] if missing else []))
    for (whole, some), panel in zip(datas, axes, strict=False):
        frame(panel, here, some)
        draw_paths(panel, some)
        draw_oracle(panel, here)
        alone = "the whole population: no chance, so no interval"
        panel.set(title=alone if whole else pairs_text(rows), ylabel=GOLD_LABEL, xlabel=KL_LABEL)
    words = f"{loss_and_beta(rows)}; training on, from the reference (0, 0): circle, highest point; square, end. "
    if not means["whole"].all():
        words += f"Drawn pairs: {seeds_note(means[~means['whole']])}, drawn at the end. "
    if missing:
        draw_parts(axes[-1], missing, optimizer_takes(curves))
        words += (
            "Bottom: loss, what a table on the population lacks of the best possible at its KL; class, what another "
            "class has less than a table there; data, what drawn pairs take of each class. These add up to what is "
            "missing; each policy has its own KL. Apart from them, optimizer: what the worst of the sweep's optimizers "
            "would take on the population. Left of 0, there is more gold."
        )
    return headed(figure, (missing_statement(curves) or falls_statement(rows)).title, words)


def draw_paths(axes: Axes, means: pd.DataFrame) -> None:
    """The mean path of each class along training, with its highest point and its end."""
    labels = []
    for kind in [name for name in COLOURS if name in set(means[KIND])]:
        path, color = means[means[KIND] == kind].sort_values("step"), COLOURS[kind]
        curve(axes, CLASS_NAMES[kind], path["kl"], path["gold"], ends_of(path, "gold"), band=0.0, color=color, zorder=3)
        end = path.iloc[-1]
        if end["gold_high"] - end["gold_low"] > 0:
            axes.plot([end["kl"]] * 2, [end["gold_low"], end["gold_high"]], color=color, linewidth=0.8, zorder=2)
        for point, marker in ((path.loc[path["gold"].idxmax()], "o"), (end, "s")):
            axes.plot(point["kl"], point["gold"], marker, color=color, markersize=4, markeredgecolor="white", zorder=5)
        labels.append(EndLabel(path["kl"].iloc[-1], path["gold"].iloc[-1], CLASS_NAMES[kind], color))
    end_labels(axes, labels, PATH - 0.6)


def draw_parts(axes: Axes, missing: dict[str, Missing], optimizers: dict[str, float]) -> None:
    """What each part takes of gold, a row a part and a point a class, with its name."""
    rows = ["loss", "class", "data", *(["optimizer"] if optimizers else [])]
    right = 0.0
    for row, name in enumerate(rows):
        found = {kind: part_of(name, missing[kind], optimizers) for kind in COLOURS if kind in missing}
        found = {kind: each for kind, each in found.items() if np.isfinite(each[0])}
        for place, (kind, (value, low, high)) in enumerate(found.items()):
            at, ends = row + APART * (place - (len(found) - 1) / 2), ([low], [high]) if name == "data" else None
            label, color = f"{name}: {CLASS_NAMES[kind]}", COLOURS[kind]
            points(axes, label, [value], [at], ends, along="x", color=color, marker="o", markersize=3.5, linestyle="")
            end = high if np.isfinite(high) else value
            axes.annotate(
                CLASS_NAMES[kind], (end, at), xytext=(4, 0), textcoords="offset points", va="center_baseline",
                fontsize=letters(6), color=color,
            )  # fmt: skip
            right = max(right, end)
    axes.axvline(0.0, color="0.6", linewidth=0.7, zorder=1)
    axes.set(ylim=(len(rows) - 0.5, -0.5), xlabel=f"gold that is missing at the end {GOLD_LABEL.removeprefix('gold ')}")
    axes.set_xlim(right=ROOM * right or None)
    axes.set_yticks(range(len(rows)), labels=rows)
    axes.grid(visible=False, axis="y")


def part_of(name: str, missing: Missing, optimizers: dict[str, float]) -> tuple[float, float, float]:
    """What one part takes of a class, with the interval of data; NaN where it has no such part."""
    alone = {
        "loss": missing.loss if missing.kind == TABLE else np.nan,
        "class": missing.policy_class if missing.kind != TABLE else np.nan,
        "optimizer": optimizers.get(missing.kind, np.nan),
    }
    if name != "data":
        return alone[name], np.nan, np.nan
    return (missing.data.value, *missing.data.interval()) if missing.data else (np.nan, np.nan, np.nan)


FIGURE = Kind(
    name="classes",
    caption="What do the class of policies, chance in the data, the loss and the optimizer take of gold?",
    rank=4,
    shows="pairs",
    draw=draw,
    applies=has_classes,
)
