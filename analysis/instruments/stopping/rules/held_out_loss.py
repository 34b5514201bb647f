"""The least loss on held-out pairs, or what is not much above it with less KL."""

import pandas as pd

from analysis.instruments.stopping.rule import Rule, nearest


def choose(candidates: pd.DataFrame, value: float) -> int:
    """The least KL of the candidates that keep all but a share `value` of what the best gains on the worst loss."""
    loss = candidates["held_out_loss"]
    start = loss[candidates["kl"].idxmin()]
    return nearest(candidates, loss <= loss.min() + value * max(start - loss.min(), 0.0))


RULE = Rule(
    name="held-out loss",
    about="the least KL with all but a share {value} of the best fall of the held-out loss",
    needs=("held_out_loss",),
    numbers=(0.0, 0.02, 0.05, 0.1, 0.2),
    choose=choose,
)
