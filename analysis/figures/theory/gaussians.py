"""Is offline regularization KL? The worked example of analysis/theory/gaussians.py."""

import numpy as np

from analysis.figures.kind import Kind
from analysis.figures.layout import Picture, column, headed
from analysis.figures.look import letters
from analysis.figures.marks import LABEL_SIZE, curve
from analysis.figures.style import SOFT, log_axis
from analysis.theory.gaussians import Descent, X, descend, log_gaussian, log_reference

HEIGHT = 1.6
BEFORE, AFTER = "#0072B2", "#D55E00"


def draw(descent: Descent) -> Picture:
    """Above: the reference, and the policy before and after. Below: KL against the squared loss along the descent."""
    path = descent.path
    start, end = path.iloc[0], path.iloc[-1]
    figure, (densities, trace) = column(2 * HEIGHT + 0.3, rows=2)
    densities.fill_between(X, np.exp(log_reference(X)), color="0.85")
    densities.annotate(r"reference = $\mu$", (-2.5, 0.21), ha="center", fontsize=letters(LABEL_SIZE), color=SOFT)
    for row, color, name, side in ((start, BEFORE, "before", "center"), (end, AFTER, "after", "right")):
        density = np.exp(log_gaussian(X, row["mean"], row["deviation"]))
        curve(densities, name, X, density, color=color, linestyle="-" if name == "before" else "--")
        peak = int(density.argmax())
        densities.annotate(
            f"{name}: KL {row['kl']:.2f}", (X[peak], density[peak]), xytext=(0, 2), textcoords="offset points",
            fontsize=letters(LABEL_SIZE), color=color, ha=side,
        )  # fmt: skip
    densities.set(xlim=(-9, 9), ylim=(0, 0.55), xlabel="response", ylabel="density")
    curve(trace, "descent", path["squared"], path["kl"], color="#1F9981")
    for which in ("x", "y"):
        log_axis(trace, which)
    middle = len(path) // 2
    after, before = ((path["squared"].iloc[i], path["kl"].iloc[i]) for i in (middle + 1, middle - 1))
    trace.annotate("", after, before, arrowprops={"arrowstyle": "-|>", "color": "#1F9981"})
    for row, color, name, place in ((start, BEFORE, "before", (-4, 4)), (end, AFTER, "after", (5, 4))):
        trace.plot(row["squared"], row["kl"], "o", color=color)
        side = "right" if name == "before" else "left"
        trace.annotate(
            name,
            (row["squared"], row["kl"]),
            xytext=place,
            textcoords="offset points",
            ha=side,
            color=color,
            fontsize=letters(LABEL_SIZE),
        )
    trace.set(xlabel=r"squared loss $\frac{1}{2}\,E_\mu\,\rho^2$ [nats²]", ylabel="KL [nats]")
    trace.margins(0.12)
    title = (
        f"The squared loss falls from {start['squared']:.3g} to {end['squared']:.2g}, and KL rises from "
        f"{start['kl']:.2g} to {end['kl']:.2g}"
    )
    words = "One Gaussian descends on the squared loss to a mixture of two, from one of its modes. Computed, no data."
    return headed(figure, title, words)


FIGURE = Kind(
    name="counterexample",
    caption="Is offline regularization KL? Minimizing the one can raise the other.",
    rank=150,
    shows="worked",
    draw=lambda: draw(descend()),
)
