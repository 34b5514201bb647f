"""How far do losses without beta get, by the step and the learning rate?"""

import pandas as pd

from analysis.figures.kind import Kind
from analysis.figures.layout import Picture, column, headed
from analysis.figures.marks import EndLabel, curve, end_labels, ends_of, zero_line
from analysis.figures.style import GOLD_LABEL, log_axis, ramp, seeds_note
from analysis.records.load import final_rows, further_axes
from analysis.records.names import axis_label, loss_label, losses_of, value_text
from analysis.statistics.peaks import training_curves

HEIGHT = 1.4
MOST = 7  # lines


def without_beta(curves: pd.DataFrame) -> pd.DataFrame:
    """The rows of losses that have no beta, with the settings that vary among them."""
    rows = curves[curves["method"].eq("gpo") & curves["beta"].isna()]
    return rows.drop(columns=[name for name in further_axes(curves) if rows[name].isna().all()])


def draw(curves: pd.DataFrame) -> Picture:
    """KL and gold against the step, a line a loss and learning rate, or whatever else varies."""
    rows = without_beta(curves)
    means = training_curves(rows)
    means = means[means["step"] > 0]
    by = [name for name in ("loss", *further_axes(rows)) if len(means[name].unique()) > 1]
    groups = list(means.groupby(by, dropna=False))[:MOST] if by else [((), means)]
    figure, panels = column(2 * HEIGHT, rows=2, sharex=True)
    zero_line(panels[1])
    labels: list[list[EndLabel]] = [[], []]
    for (setting, line), color in zip(groups, ramp(len(groups)), strict=True):
        name = ", ".join(named(key, value) for key, value in zip(by, setting, strict=True)) or loss_label(
            line["loss"].iloc[0]
        )
        for row, y in enumerate(("kl", "gold")):
            curve(panels[row], name, line["step"], line[y], ends_of(line, y), color=color)
            labels[row].append(EndLabel(line["step"].iloc[-1], line[y].iloc[-1], name, color))
    log_axis(panels[0], "x")
    panels[0].set(ylim=(0.0, None), ylabel="KL [nats per response]")
    panels[1].set(xlabel="training step", ylabel=GOLD_LABEL)
    for axes, ends in zip(panels, labels, strict=True):
        end_labels(axes, ends, HEIGHT - 0.2)
    far, losses = means.loc[means["kl"].idxmax()], losses_of(means)
    which = f" ({', '.join(named(key, far[key]) for key in by)})" if by else ""
    title = f"Losses without β go as far as {far['kl']:.2g} nats, at step {far['step']:,.0f}{which}"
    words = f"{', '.join(map(loss_label, losses))}: along training, {seeds_note(means)}."
    return headed(figure, title, words)


def named(key: str, value: object) -> str:
    """A value of what varies."""
    return loss_label(str(value)) if key == "loss" else f"{axis_label(key)} {value_text(value)}"


FIGURE = Kind(
    name="pace",
    caption="How far do losses without β get, by the step and the learning rate?",
    rank=50,
    shows="pairs",
    draw=draw,
    applies=lambda curves: not final_rows(without_beta(curves)).empty,
)
