"""As far as the median margin on the own pairs, times beta, stays small."""

import pandas as pd

from analysis.instruments.stopping.rule import Rule, farthest


def choose(candidates: pd.DataFrame, value: float) -> int:
    """The largest KL among candidates whose median margin, times beta, is at most the value."""
    return farthest(candidates, candidates["beta"] * candidates["margin_q50"] <= value)


RULE = Rule(
    name="margin",
    about="the largest KL with a median of beta times margin of at most {value}",
    needs=("margin_q50",),
    numbers=(0.01, 0.03, 0.1, 0.2, 0.4, 0.8, 1.6),
    choose=choose,
)
