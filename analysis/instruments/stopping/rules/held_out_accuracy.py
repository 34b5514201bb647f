"""The best accuracy on held-out pairs, or what is not much below it with less KL."""

import pandas as pd

from analysis.instruments.stopping.rule import Rule, nearest


def choose(candidates: pd.DataFrame, value: float) -> int:
    """Of the candidates within `value` of the best accuracy the one with the least KL."""
    accuracy = candidates["held_out_accuracy"]
    return nearest(candidates, accuracy >= accuracy.max() - value)


RULE = Rule(
    name="held-out accuracy",
    about="the least KL with a held-out accuracy within {value} of the best",
    needs=("held_out_accuracy",),
    numbers=(0.0, 0.005, 0.01, 0.02, 0.04),
    choose=choose,
)
