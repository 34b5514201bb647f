"""Does kappa explain why losses go different ways at the same beta?"""

import pandas as pd

from analysis.figures.kind import Kind, has_beta
from analysis.figures.layout import Picture, column, headed
from analysis.figures.marks import EndLabel, curve, end_labels, ends_of
from analysis.figures.offline.tradeoff import shown_losses
from analysis.figures.style import line_style, log_axis, loss_styles, seeds_note
from analysis.headline.titles.alignment import alignment
from analysis.records.names import listed, loss_label, losses_of
from analysis.statistics.tradeoff_curves import end_points

HEIGHT = 1.55
LABELS = {"beta": "β", "beta_kappa": "βκ, the strength near z = 0"}


def draw(curves: pd.DataFrame, place: str = "") -> Picture:
    """KL at the end of training against beta, and against beta kappa where kappa > 0."""
    points = end_points(curves).dropna(subset="beta")
    points["beta_kappa"] = points["beta"] * points["kappa"]
    shown = [loss for loss in shown_losses(curves) if (points["loss"] == loss).any()]
    curved = [loss for loss in shown if (points.loc[points["loss"] == loss, "kappa"] > 0).any()]
    columns = ["beta", "beta_kappa"] if len(curved) > 1 else ["beta"]
    figure, panels = column(HEIGHT * len(columns) + 0.2, rows=len(columns), sharey=True)
    styles = loss_styles(losses_of(curves))
    for axes, x in zip(panels, columns, strict=True):
        labels = []
        for loss in shown if x == "beta" else curved:
            line, style = points[points["loss"] == loss].sort_values(x), line_style(styles[loss])
            line = line[line["kl"] > 0]
            if line.empty:
                continue
            curve(
                axes,
                loss_label(loss),
                line[x],
                line["kl"],
                ends_of(line, "kl"),
                band=0.08,
                **style,
                marker="o",
                markersize=2.5,
            )
            labels.append(EndLabel(line[x].iloc[-1], line["kl"].iloc[-1], loss_label(loss), style["color"]))
        log_axis(axes, "x")
        axes.set_xlabel(LABELS[x])
        if labels:
            log_axis(axes, "y")
            axes.set_ylim(bottom=points.loc[points["kl"] > 0, "kl"].min() / 2)
        end_labels(axes, labels, HEIGHT - 0.35)
    figure.supylabel("KL at the end [nats per response]")
    flat = [loss_label(loss) for loss in shown if loss not in curved]
    words = f"End of training, {seeds_note(points)}." + (
        f" κ = f″(0) / |f′(0)|; {listed(flat)} {'has' if len(flat) == 1 else 'have'} none above 0."
        if flat and curved
        else ""
    )
    return headed(figure, alignment(curves).title, words, place)


FIGURE = Kind(
    name="regularization",
    caption="Does κ explain why losses go different ways at the same β?",
    rank=30,
    shows="point",
    draw=draw,
    applies=has_beta,
)
