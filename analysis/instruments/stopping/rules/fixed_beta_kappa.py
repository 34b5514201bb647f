"""The same beta times kappa for all losses: near beta rho = 0 losses of equal beta kappa are one (Tang et al. 2024)."""

import pandas as pd

from analysis.instruments.stopping.rule import Rule, closest_at_end


def choose(candidates: pd.DataFrame, value: float) -> int:
    """The candidate at the end of training whose beta kappa is closest to the value."""
    return closest_at_end(candidates.assign(strength=candidates["beta"] * candidates["kappa"]), "strength", value)


RULE = Rule(
    name="fixed beta kappa",
    about="beta times kappa of the loss = {value}, at the end of training",
    needs=("kappa",),
    numbers=(0.005, 0.0125, 0.03, 0.075, 0.2, 0.5, 1.25, 3.0),
    choose=choose,
)
