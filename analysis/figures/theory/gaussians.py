"""Offline regularization is not KL: the worked example of analysis/statistics/gaussians.py."""

import numpy as np
from matplotlib.figure import Figure

from analysis.figures.kind import Kind
from analysis.statistics.gaussians import Descent, X, descend, log_gaussian, log_reference


def draw(descent: Descent) -> Figure:
    """Left: the reference, and the policy before and after. Right: KL against the squared loss along the descent."""
    path = descent.path
    figure = Figure(figsize=(10, 4.2), layout="constrained")
    densities, trace = figure.subplots(1, 2)
    densities.fill_between(X, np.exp(log_reference(X)), color="0.85", label=r"$\pi_\mathrm{ref} = \mu$")
    for place, color, style, name in ((0, "#0072B2", "-", "before"), (-1, "#D55E00", "--", "after")):
        row = path.iloc[place]
        label = f"{name}: KL {row['kl']:.2f} nats, squared loss {row['squared']:.3g} nats²"
        densities.plot(
            X, np.exp(log_gaussian(X, row["mean"], row["deviation"])), color=color, linestyle=style, label=label
        )
    densities.set(xlim=(-9, 9), ylim=(0, 0.55), xlabel="response", ylabel="density")
    densities.legend(loc="upper center")
    trace.plot(path["squared"], path["kl"], marker=".", color="#009E73")
    for place, text, away in ((0, "start", (16, 4)), (-1, "minimum", (-30, 6))):
        row = path.iloc[place]
        trace.annotate(text, (row["squared"], row["kl"]), xytext=away, textcoords="offset points", ha="center")
    trace.set(
        xscale="log",
        yscale="log",
        xlabel=r"μ-weighted squared loss $\frac{1}{2}$ E$_\mu$ ρ² [nats²], falling to the right",
        ylabel="KL [nats]",
    )
    trace.invert_xaxis()  # the descent goes to the right
    figure.suptitle(
        "one Gaussian descends on the μ-weighted squared loss from a mode, and its KL rises (computed, no data)"
    )
    return figure


FIGURE = Kind(
    name="counterexample",
    caption="Offline regularization is not KL: minimizing the one raises the other, computed without data.",
    rank=150,
    shows="worked",
    draw=lambda: draw(descend()),
)
