"""The most proxy: what an ensemble of reward models scores highest on average."""

import pandas as pd

from analysis.instruments.stopping.rule import Rule


def choose(candidates: pd.DataFrame, value: float) -> int:
    """The candidate with the highest mean score."""
    return int(candidates["ensemble_mean"].to_numpy().argmax())


RULE = Rule(
    name="proxy",
    about="the highest mean score of an ensemble of reward models",
    needs=("ensemble_mean",),
    numbers=(0.0,),
    choose=choose,
)
