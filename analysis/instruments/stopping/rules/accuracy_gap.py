"""As far as accuracy on the own pairs does not run away from that on held-out pairs."""

import pandas as pd

from analysis.instruments.stopping.rule import Rule, farthest


def choose(candidates: pd.DataFrame, value: float) -> int:
    """The largest KL among candidates whose accuracy on own pairs is at most `value` above that on held-out pairs."""
    return farthest(candidates, candidates["train_accuracy"] - candidates["held_out_accuracy"] <= value)


RULE = Rule(
    name="accuracy gap",
    about="the largest KL with accuracy on own pairs at most {value} above that on held-out pairs",
    needs=("train_accuracy", "held_out_accuracy"),
    numbers=(0.01, 0.02, 0.04, 0.08, 0.12, 0.16),
    choose=choose,
)
