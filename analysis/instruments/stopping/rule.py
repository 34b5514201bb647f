"""What a rule is: it chooses one policy among those of a ladder of beta and their checkpoints, and never sees gold.

Candidates are the rows of one data set and loss, with the columns of VISIBLE alone: what someone without gold can know.
KL is among them, for a policy and its reference are at hand. Shapes: n candidates.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

VISIBLE = (
    *("beta", "kappa", "pairs", "step", "last", "kl", "chi2"),
    *("held_out_loss", "held_out_accuracy", "train_loss", "train_accuracy"),
    *("chosen_logratio", "rejected_logratio", "margin_q05", "margin_q25", "margin_q50", "margin_q75", "margin_q95"),
    *("ensemble_mean", "ensemble_sd"),
)

Choose = Callable[[pd.DataFrame, float], int]


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A rule.

    about: what it chooses, for people; "{value}" stands for its number. needs: columns of VISIBLE besides beta, step
    and kl. numbers: its number is the best of these on the worlds it is tuned on; one value where there is nothing to
    tune. choose: the position of the chosen candidate. travels: whether the number means the same with another learning
    rate, batch or number of steps; only such rules give advice elsewhere.
    """

    name: str
    about: str
    needs: tuple[str, ...]
    numbers: tuple[float, ...]
    choose: Choose
    travels: bool = True

    def can_choose(self, candidates: pd.DataFrame) -> bool:
        """Whether all that it needs is there, in every row that may be chosen."""
        return all(name in candidates and bool(candidates[name].notna().all()) for name in self.needs)

    def says(self, value: float) -> str:
        """What it chooses, with its number."""
        return self.about.replace("{value}", f"{value:g}")


def visible(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of the curves as candidates: without gold. The reference, step 0, is one of them."""
    known = rows.assign(last=rows["step"] == rows.groupby("beta")["step"].transform("max"))
    return known[[name for name in VISIBLE if name in known]]


def farthest(candidates: pd.DataFrame, allowed: pd.Series) -> int:
    """The allowed candidate with the largest KL; where none is allowed, the one with the least KL of all."""
    kl = candidates["kl"].to_numpy(float)
    fits = allowed.to_numpy(bool)
    return int(np.where(fits, kl, -np.inf).argmax()) if fits.any() else int(kl.argmin())


def nearest(candidates: pd.DataFrame, allowed: pd.Series) -> int:
    """The allowed candidate with the least KL."""
    return int(np.where(allowed.to_numpy(bool), candidates["kl"].to_numpy(float), np.inf).argmin())


def closest_at_end(candidates: pd.DataFrame, column: str, wanted: float) -> int:
    """Of the candidates at the end of training the one whose value of a column is closest to the wanted, as a ratio."""
    value = candidates[column].to_numpy(float).clip(min=1e-12)
    away = np.abs(np.log(value) - np.log(max(wanted, 1e-12)))
    return int(np.where(candidates["last"].to_numpy(bool), away, np.inf).argmin())


def rules() -> Mapping[str, Rule]:
    """All rules by their names; the first is the fixed beta, with which others are compared."""
    from analysis.records.discovery import modules_in

    found = modules_in("analysis.instruments.stopping.rules", first="fixed_beta")
    return {module.RULE.name: module.RULE for module in found.values()}
