"""As far as chosen responses do not lose too much probability (Razin et al. 2024, arXiv:2410.08847)."""

import pandas as pd

from analysis.instruments.stopping.rule import Rule, farthest


def choose(candidates: pd.DataFrame, value: float) -> int:
    """The largest KL among candidates whose chosen responses have lost at most `value` nats on average."""
    return farthest(candidates, candidates["chosen_logratio"] >= -value)


RULE = Rule(
    name="chosen log-ratio",
    about="the largest KL at which chosen responses have lost at most {value} nats on average",
    needs=("chosen_logratio",),
    numbers=(0.0, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0),
    choose=choose,
)
