"""How far do chosen responses fall with each loss, is gold better for it, and what predicts how far?"""

import re
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from analysis.figures.kind import Kind
from analysis.figures.layout import Picture, headed, panels
from analysis.figures.look import letters
from analysis.figures.marks import points
from analysis.figures.style import SOFT, loss_styles, seeds_note
from analysis.headline.displacement import MEDIUM, beside_first, displaces_less, last_rows
from analysis.headline.rise_and_fall import shown_loss
from analysis.headline.statement import near
from analysis.records.names import loss_label, losses_of
from analysis.statistics.intervals import over_seeds
from analysis.statistics.pair_scores.displacement import ENDS, SCORES, rank_correlations

ROW, ROOM = 0.135, 0.42  # inches
PANELS = {  # what is drawn, and the unit of its axis
    "displaced": ("pairs displaced", "share"),
    "chosen_mass": ("mass on chosen", "probability"),
    "chosen_logratio": ("chosen log-ratio", "nats"),
    "rejected_logratio": ("rejected log-ratio", "nats"),
    "gold": ("gold", r"sd under $\pi_\mathrm{ref}$"),
    "correlation": ("what predicts it?", "rank correlation"),
}
SCORE_STYLES: dict[str, dict[str, Any]] = {
    "ches": {"marker": "o", "color": "#0072B2"},
    "displacement_rate": {"marker": "s", "color": "#D55E00"},
}
SCORE_NAMES = {"ches": "CHES", "displacement_rate": "rate"}


def draw(curves: pd.DataFrame, ledger: pd.DataFrame, pairs: pd.DataFrame, place: str = "") -> Picture:
    """A row for each loss at the end of training at its smallest beta, in six panels with intervals over seeds.

    ledger: of these runs, with their seed; pairs: `pairs.parquet` of these runs.
    """
    last = with_masses(last_rows(curves), ledger)
    losses = losses_of(last)
    titles = [title for title, _ in PANELS.values()]
    means = over_seeds(last, ["loss"], [*ENDS, "chosen_mass", "reference_mass"]).set_index("loss")
    labels = [row_label(loss, float(means.loc[loss, "kl"])) for loss in losses]
    figure, grid = panels(titles, height=ROW * len(losses) + ROOM, sharex=False)
    styles = loss_styles(losses)
    for name, (title, unit) in PANELS.items():
        axes = grid[title]
        if name == "correlation":
            draw_correlations(axes, rank_correlations(pairs, last), losses)
        else:
            draw_ends(axes, means, name, styles)
        axes.set_xlabel(unit)
        axes.grid(visible=False, axis="y")
        axes.tick_params(axis="y", labelsize=letters(6))
    draw_first_there(grid, curves, losses)
    mark_zeros(grid, float(means["reference_mass"].mean()))
    first = grid[titles[0]]
    first.set_yticks(range(len(losses)), labels=labels)
    first.set_ylim(len(losses) - 0.4, -0.6)
    words = (
        f"Ends of training at the smallest β of each loss; {seeds_note(means)}. In brackets: KL, nats. "
        "Displaced: the chosen response ends less likely than under the reference (grey lines). Hollow: "
        f"{loss_label(shown_loss(curves))} at the same KL. Last panel: rank correlation, over the pairs of a run, of "
        "CHES and of the displacement rate at the reference with the chosen log-ratio at the end; grey strip: "
        f"±{MEDIUM:g}."
    )
    return headed(figure, displaces_less(curves).title, words, place)


def with_masses(last: pd.DataFrame, ledger: pd.DataFrame) -> pd.DataFrame:
    """The ends of runs with the probability that policy and reference give their chosen responses."""
    chosen = ledger.loc[ledger["part"] == "chosen", ["run_id", "step", "mass", "reference_mass"]]
    return last.merge(chosen.rename(columns={"mass": "chosen_mass"}), on=["run_id", "step"], how="left")


def draw_ends(axes: Axes, means: pd.DataFrame, name: str, styles: dict[str, dict[str, Any]]) -> None:
    """A point with its interval for each loss, in their order from above."""
    for row, (loss, style) in enumerate(styles.items()):
        at = means.loc[loss]
        ends = [at[f"{name}_low"]], [at[f"{name}_high"]]
        drawn = {"color": style["color"], "marker": style["marker"], "linestyle": "none"}
        points(axes, loss_label(loss), [at[name]], [row], ends, along="x", **drawn)


def draw_first_there(grid: dict[str, Axes], curves: pd.DataFrame, losses: list[str]) -> None:
    """Hollow points in the row of each loss: the loss of the headline at the KL where the two are compared."""
    name = f"{loss_label(shown_loss(curves))} at the same KL"
    hollow: dict[str, Any] = {
        "marker": "o",
        "color": SOFT,
        "markerfacecolor": "white",
        "linestyle": "none",
        "zorder": 1.5,
    }
    for each in beside_first(curves):
        for panel, there in (("displaced", each.other_share), ("gold", each.other_gold)):
            low, high = there.interval()
            row = [losses.index(each.loss)]
            points(grid[PANELS[panel][0]], name, [there.value], row, ([low], [high]), along="x", **hollow)


def draw_correlations(axes: Axes, correlations: pd.DataFrame, losses: list[str]) -> None:
    """A point with its interval for each loss and score, the scores a little apart, named in a corner."""
    axes.axvspan(-MEDIUM, MEDIUM, color="0.93", zorder=0)
    means = over_seeds(correlations, ["loss"], list(SCORES)).set_index("loss")
    for score, shift in zip(SCORES, (-0.16, 0.16), strict=True):
        rows = np.arange(len(losses)) + shift
        at = means.loc[losses]
        ends = at[f"{score}_low"], at[f"{score}_high"]
        style = SCORE_STYLES[score] | {"linestyle": "none", "markersize": 2.8}
        points(axes, SCORE_NAMES[score], at[score], rows, ends, along="x", **style)
        axes.annotate(
            SCORE_NAMES[score], (1.0, 1.0 if score == "ches" else 0.0), xycoords="axes fraction", xytext=(-1, 0),
            textcoords="offset points", ha="right", va="top" if score == "ches" else "bottom", fontsize=letters(6.5),
            color=SCORE_STYLES[score]["color"],
        )  # fmt: skip
    axes.set_xlim(-1.0, 1.0)


def mark_zeros(grid: dict[str, Axes], mass: float) -> None:
    """Where the reference is. mass: its probability of chosen responses."""
    for name, (title, _) in PANELS.items():
        grid[title].axvline(mass if name == "chosen_mass" else 0.0, color="0.6", linewidth=0.8, zorder=1)


def row_label(loss: str, kl: float) -> str:
    """A loss without the name that a paper gave it, and its KL in brackets: logistic (6.2)."""
    name = re.sub(r" \(.*?\)", "", loss_label(loss))
    return f"{name} ({near(kl)})"


FIGURE = Kind(
    name="displacement",
    caption="How far do chosen responses fall with each loss, is gold better for it, and what predicts how far?",
    rank=13,
    shows="other",
    draw=draw,
)
