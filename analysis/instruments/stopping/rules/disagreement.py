"""The most proxy less a multiple of how much its members disagree (Coste et al. 2023, arXiv:2310.02743)."""

import pandas as pd

from analysis.instruments.stopping.rule import Rule


def choose(candidates: pd.DataFrame, value: float) -> int:
    """The candidate with the highest mean score less `value` standard deviations over members."""
    return int((candidates["ensemble_mean"] - value * candidates["ensemble_sd"]).to_numpy().argmax())


RULE = Rule(
    name="ensemble disagreement",
    about="the highest mean score of reward models less {value} standard deviations between them",
    needs=("ensemble_mean", "ensemble_sd"),
    numbers=(1.0, 2.0, 4.0, 8.0, 16.0),
    choose=choose,
)
