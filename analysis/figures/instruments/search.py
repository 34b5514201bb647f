"""Is there a better loss: what the search tried, what it found, and what that is worth in other worlds?"""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from analysis.figures.kind import Kind
from analysis.figures.layout import Picture, headed, stacked
from analysis.figures.marks import EndLabel, curve, end_labels, points
from analysis.figures.style import PALE, PALETTE, SOFT, line_style, loss_styles
from analysis.instruments.search import MARGIN, NAME, comparisons, judged_folders
from analysis.records.about import GPO_LOSSES
from analysis.records.names import loss_label

HEIGHTS = (1.65, 1.7)
ROW = 0.17  # inches, of a rival
SHAPE = (-4.0, 4.0)
SLOPES = (-4.0, 2.5)
FOUND_COLOR = PALETTE[7]
FOUND_LABEL = "found"


def draw(history: pd.DataFrame) -> Picture:
    """Regret along the search; slopes of what was found and of the six; gold against each rival once it was judged.

    The folder of the history is in its attributes; what lies beside it is drawn, too.
    """
    folder = Path(history.attrs.get("folder", "."))
    shapes = pd.read_parquet(folder / "shapes.parquet") if (folder / "shapes.parquet").exists() else None
    judged = comparisons(folder) if len(judged_folders(folder)) > 1 else None
    last = [] if judged is None else [0.45 + ROW * len(judged)]
    heights = [HEIGHTS[0], *([HEIGHTS[1]] if shapes is not None else []), *last]
    figure, axes = stacked(heights)
    places = iter(axes)
    draw_search(next(places), history)
    if shapes is not None:
        draw_slopes(next(places), shapes)
    if judged is not None:
        draw_judged(next(places), judged)
    return headed(figure, title_of(history, judged), words_of(judged))


def draw_search(axes: Axes, history: pd.DataFrame) -> None:
    """Regret of candidates along generations, and as levels that of the six and of the best of their neighbours."""
    candidates = history[history["kind"] == "candidate"]
    rivals = shown_rivals(history)
    found = history[history["kind"] == "found"]
    number = candidates["generation"] + 1
    points(axes, "candidates", number, candidates["regret"], fmt=".", color=PALE, markersize=2)
    mean = candidates.groupby("generation")["regret"].mean()
    curve(axes, "mean of a generation", mean.index + 1, mean, color=SOFT)
    right = int(number.max()) + 1
    styles, labels = loss_styles([*rivals["name"]]), []
    for name, regret in zip(rivals["name"], rivals["regret"], strict=True):
        curve(axes, loss_label(name), [1, right], [regret, regret], **line_style(styles[name]))
        labels.append(EndLabel(right, regret, loss_label(name), styles[name]["color"]))
    if not found.empty:
        regret = float(found["regret"].iloc[0])
        points(axes, FOUND_LABEL, [right], [regret], fmt="*", color=FOUND_COLOR, markersize=7, zorder=4)
        labels.append(EndLabel(right, regret, FOUND_LABEL, FOUND_COLOR))
    shown = np.concatenate([rivals["regret"], found["regret"], candidates["regret"].quantile([0.0, 0.9])])
    room = 0.08 * float(np.ptp(shown)) or 0.01
    axes.set(
        title="In the worlds of the search",
        xlabel="generation",
        ylabel="regret [sd of gold]",
        xlim=(0.5, right + 0.5),
        ylim=(shown.min() - room, shown.max() + room),
    )
    end_labels(axes, labels, HEIGHTS[0] - 0.55)


def shown_rivals(history: pd.DataFrame) -> pd.DataFrame:
    """The six, and the best of the other rivals."""
    rivals = history[history["kind"] == "rival"]
    six = rivals["name"].isin(GPO_LOSSES)
    return pd.concat([rivals[six], rivals[~six].nsmallest(1, "regret")])


def draw_slopes(axes: Axes, shapes: pd.DataFrame) -> None:
    """f' of the six and of what was found, each over |f'(0)|."""
    names = [name for name in GPO_LOSSES if name in set(shapes["loss"])]
    styles, labels = loss_styles(names), []
    for name in [*names, NAME]:
        rows = shapes[(shapes["loss"] == name) & shapes["z"].between(*SHAPE)]
        start = abs(float(np.interp(0.0, rows["z"], rows["slope"])))
        slope = rows["slope"].to_numpy(float) / start
        own = name == NAME
        style = {"color": FOUND_COLOR, "linewidth": 2.0, "zorder": 4} if own else line_style(styles[name])
        label = FOUND_LABEL if own else loss_label(name)
        curve(axes, label, rows["z"], slope, **style)
        labels.append(EndLabel(SHAPE[1], float(np.clip(slope[-1], *SLOPES)), label, style["color"]))
    axes.axhline(0.0, color="0.6", linewidth=0.7, zorder=1)
    axes.set(title="Slopes", xlabel="z = βρ", ylabel="f′(z) / |f′(0)|", xlim=SHAPE, ylim=SLOPES)
    end_labels(axes, labels, HEIGHTS[1] - 0.55)


def draw_judged(axes: Axes, judged: pd.DataFrame) -> None:
    """The difference to each rival, a row each, with the verdict at its right."""
    rows = np.arange(len(judged))[::-1]
    axes.axvspan(-MARGIN, MARGIN, color="0.93", linewidth=0, zorder=0)
    axes.axvline(0.0, color="0.6", linewidth=0.7, zorder=1)
    points(
        axes,
        "found less rival",
        judged["difference"],
        rows,
        (judged["low"], judged["high"]),
        along="x",
        fmt="o",
        color=FOUND_COLOR,
    )
    widest = float(np.nanmax(np.abs(judged[["low", "high", "difference"]].to_numpy(float))))
    most = 1.1 * max(min(widest, 4 * float(judged["difference"].abs().max()) + 2 * MARGIN), 1.5 * MARGIN)
    axes.set(
        title="In worlds that the search never saw",
        xlabel="gold of found less rival [sd of gold]",
        xlim=(-most, most),
        ylim=(-0.6, len(judged) - 0.4),
    )
    axes.set_yticks(rows, labels=[loss_label(name) for name in judged["rival"]])
    axes.grid(visible=False, axis="y")
    for row, word in zip(rows, judged["verdict"], strict=True):
        axes.annotate(
            word, (1.02, row), xycoords=axes.get_yaxis_transform(), fontsize=7, color=SOFT, va="center",
            annotation_clip=False,
        )  # fmt: skip


def title_of(history: pd.DataFrame, judged: pd.DataFrame | None) -> str:
    """How many rivals the loss is better than, in worlds that it was not chosen in."""
    if judged is None:
        count = int((history["kind"] == "candidate").sum())
        return f"A search over {count:,} losses, which was not judged yet"
    counts = judged["verdict"].value_counts()
    total = len(judged)
    better = int(counts.get("better", 0))
    if better == total:
        return f"The loss that was found is better than all {total} rivals at equal KL"
    others = [f"{word} {counts[word]}" for word in ("worse", "equivalent", "undecided") if word in counts]
    many = f"than {better} of {total}" if better else f"than none of {total}"
    verbs = {"worse": "worse than", "equivalent": "equivalent to", "undecided": "undecided against"}
    told = ", ".join(f"{verbs[word]} {number}" for word, number in (text.split() for text in others))
    return f"At equal KL the loss that was found is better {many} rivals, {told}"


def words_of(judged: pd.DataFrame | None) -> str:
    """How the panels are drawn."""
    first = (
        "Regret: gold of the best policy of the same KL less that of the loss, at five levels of KL; dots: candidates; "
        "grey line: their mean."
    )
    if judged is None:
        return first
    return (
        f"{first} Below: means over KL with 95 % intervals over {int(judged['worlds'].min())} worlds; grey: less than "
        f"{MARGIN:g} deviations, which counts as the same; verdicts after Holm's correction."
    )


FIGURE = Kind(
    name="search",
    caption="Is there a better loss?",
    rank=59,
    shows="other",
    draw=draw,
)
