"""Early stopping alone: the smallest beta, always stopped at the same step.

Not among the rules at first. It was added after a first look at the records of `stopping`, in which the rule "margin"
chose nearly this, so that one can tell whether margins say more than the step.
"""

import numpy as np
import pandas as pd

from analysis.instruments.stopping.rule import Rule


def choose(candidates: pd.DataFrame, value: float) -> int:
    """The candidate of the smallest beta whose step is closest to the value."""
    away = (candidates["step"] - value).abs().to_numpy(float)
    smallest = (candidates["beta"] == candidates["beta"].min()).to_numpy(bool)
    return int(np.where(smallest, away, np.inf).argmin())


RULE = Rule(
    name="fixed step",
    about="the smallest beta, stopped at step {value}",
    needs=(),
    numbers=(10.0, 20.0, 40.0, 80.0, 160.0, 320.0, 600.0),
    choose=choose,
    travels=False,
)
