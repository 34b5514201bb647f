"""A budget of KL that grows with the root of the number of pairs."""

import math

import pandas as pd

from analysis.instruments.stopping.rule import Rule, closest_at_end


def choose(candidates: pd.DataFrame, value: float) -> int:
    """The candidate at the end of training whose KL is closest to the budget."""
    return closest_at_end(candidates, "kl", value * math.sqrt(float(candidates["pairs"].iloc[0]) / 1000))


RULE = Rule(
    name="KL budget",
    about="KL of {value} nats times the root of a thousandth of the pairs, at the end of training",
    needs=("pairs",),
    numbers=(0.1, 0.2, 0.4, 0.8, 1.6, 3.2),
    choose=choose,
)
