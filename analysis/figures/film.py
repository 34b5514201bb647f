"""A film for lessons: where probability goes as gold rises and falls, a picture for each checkpoint."""

import io
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from analysis.figures.look import PAGE, drawn_as
from analysis.figures.marks import draw_oracle, frame, zero_line
from analysis.figures.offline.mass import COLOURS, NAMES
from analysis.figures.style import GOLD_LABEL, KL_LABEL, SOFT, seeds_of
from analysis.headline.rise_and_fall import shown_loss
from analysis.headline.statement import beta_of, setting_text
from analysis.headline.where_gold_went import shown_runs
from analysis.records.atomic_files import write_atomically
from analysis.records.load import ResultsError, load, pairwise_rows
from analysis.records.parts import parts_of
from analysis.statistics.mass import ledger_of, mass_along, parts_with_mass

SIZE, DPI = (7.2, 3.3), 110  # inches
EACH, LAST = 350, 3500  # milliseconds that a picture stays
COLORS = 64  # of the file's palette


def film_mass(folder: str | Path, path: str | Path) -> Path:
    """Write a GIF of a sweep's ledger: where probability goes, and gold over KL, along training; its path.

    Of the loss and the beta of the headline, a mean over seeds, at the first values of further axes. Raises
    ResultsError where the sweep has no ledger.
    """
    target = Path(path)
    if target.suffix.lower() != ".gif":
        raise ResultsError(f"{target}: must end in .gif, the kind of film that can be written")
    _, curves = parts_of(pairwise_rows(load(folder)))[0]
    ledger = ledger_of(folder, shown_runs(curves))
    if ledger.empty:
        raise ResultsError(f"{folder}: has no ledger of training on pairs; it takes a world that lists its responses")
    means = mass_along(ledger)
    with drawn_as(PAGE):
        pictures = [image(picture(curves, means, step)) for step in means["step"].unique()]
    content = io.BytesIO()
    frames = [each.quantize(COLORS, dither=Image.Dither.NONE) for each in pictures]
    stay = [EACH] * (len(frames) - 1) + [LAST]
    frames[0].save(content, "GIF", save_all=True, append_images=frames[1:], duration=stay, loop=0, optimize=True)
    write_atomically(target, content.getvalue())
    return target


def picture(curves: pd.DataFrame, means: pd.DataFrame, step: int) -> Figure:
    """The path up to a step: bars of probability at the left, gold over KL at the right."""
    figure = Figure(figsize=SIZE, dpi=DPI, layout="constrained")
    bars, path = figure.subplots(1, 2, width_ratios=(1.0, 1.15))
    now = means[means["step"] == step].set_index("part")
    draw_bars(bars, means, now)
    draw_path(path, curves, means, step)
    which = setting_text(shown_loss(curves), beta_of(shown_runs(curves)))
    title = f"step {step:,} of training: gold {now['gold'].iloc[0]:+.2f}".replace("-", "−")
    figure.suptitle(title, x=0.01, ha="left", weight="bold", fontsize=9)
    figure.text(0.99, 0.955, f"{which}; mean over {seeds_of(means)}", ha="right", color=SOFT, fontsize=7)
    return figure


def image(figure: Figure) -> Image.Image:
    """A figure as the pixels of a film."""
    content = io.BytesIO()
    figure.savefig(content, format="png")
    return Image.open(content).convert("RGB")


def draw_bars(axes: Axes, means: pd.DataFrame, now: pd.DataFrame) -> None:
    """The probability of each part now, its frame at the reference, and what it gives of gold in words."""
    parts = [part for part in COLOURS if part in parts_with_mass(means)]
    at = np.arange(len(parts))[::-1]
    start = means[means["step"] == means["step"].min()].set_index("part")
    axes.barh(at, now.loc[parts, "mass"], color=[COLOURS[part] for part in parts], height=0.62)
    axes.barh(at, start.loc[parts, "mass"], color="none", edgecolor="black", linewidth=0.8, height=0.62)
    right = 1.45 * float(means["mass"].max())
    for place, part in zip(at, parts, strict=True):
        change = f"{now.loc[part, 'gold_change']:+.2f}".replace("-", "−")
        end = max(float(now.loc[part, "mass"]), float(start.loc[part, "mass"]))
        axes.text(end + 0.02 * right, place, f"gold {change}", va="center", fontsize=7, color=COLOURS[part])
    axes.set(xlim=(0.0, right), yticks=at, yticklabels=[NAMES[part] for part in parts])
    axes.set_xlabel("probability (frame: reference)")
    axes.grid(visible=False, axis="y")


def draw_path(axes: Axes, curves: pd.DataFrame, means: pd.DataFrame, step: int) -> None:
    """Gold over KL up to a step, pale where it goes on."""
    rows = means[means["part"] == means["part"].iloc[0]]
    frame(axes, curves, rows[["kl", "gold"]])
    axes.plot(rows["kl"], rows["gold"], color="0.85", linewidth=1.0)
    past = rows[rows["step"] <= step]
    axes.plot(past["kl"], past["gold"], color="black")
    axes.plot(past["kl"].iloc[-1], past["gold"].iloc[-1], "o", color="black", markersize=5)
    draw_oracle(axes, curves)
    zero_line(axes)
    axes.set(xlabel=KL_LABEL, ylabel=GOLD_LABEL)
