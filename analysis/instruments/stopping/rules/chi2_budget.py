"""A budget of chi-squared that grows with the number of pairs (Huang et al. 2024, arXiv:2407.13399, Sec. 3)."""

import pandas as pd

from analysis.instruments.stopping.rule import Rule, closest_at_end


def choose(candidates: pd.DataFrame, value: float) -> int:
    """The candidate at the end of training whose chi-squared is closest to the budget."""
    return closest_at_end(candidates, "chi2", value * float(candidates["pairs"].iloc[0]) / 1000)


RULE = Rule(
    name="chi-squared budget",
    about="chi-squared of {value} times a thousandth of the pairs, at the end of training",
    needs=("chi2", "pairs"),
    numbers=(0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0),
    choose=choose,
)
