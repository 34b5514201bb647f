"""How much gold rules lose against the best choice, in worlds that they were not tuned on.

Worlds are left out by folds, here by the seed of their language. For each fold a rule takes the number with the least
mean regret over all other folds, and with it chooses in the fold that was left out. Which rule is best is a choice,
too: the row SUGGESTED takes for each fold the rule that was best on the others, of those that `suggest` may ask.
Regret is exact: gold of the best
candidate less gold of the chosen one. Means are over folds of means within them, and their intervals are Student's over
folds, for worlds of one language are not independent. Differences from the fixed beta are paired.

Shapes: C choices, V numbers of a rule.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.instruments.stopping.candidates import Choice
from analysis.instruments.stopping.rule import Rule
from analysis.published.holm import holm
from analysis.records.load import ResultsError
from analysis.statistics.intervals import Estimate, mean_of

Array = np.ndarray

SUGGESTED = "suggested"
BASELINE = "fixed beta"
LEVEL = 0.05


@dataclass(frozen=True, kw_only=True)
class Tried:
    """What a rule chooses with each of its values: positions of candidates, and their regret, [V, C] each."""

    rule: Rule
    position: Array
    regret: Array

    def best_value(self, among: Array) -> int:
        """Which value has the least mean regret over some of the choices, [C]."""
        return int(self.regret[:, among].mean(axis=1).argmin())


def tried(rule: Rule, offered: Sequence[Choice]) -> Tried:
    """Every choice that a rule makes."""
    position = np.array([[rule.choose(choice.seen, value) for choice in offered] for value in rule.numbers])
    gold = [[choice.gold.iloc[at] for at, choice in zip(row, offered, strict=True)] for row in position]
    return Tried(rule=rule, position=position, regret=np.array([choice.best for choice in offered]) - np.array(gold))


def usable(known: Mapping[str, Rule], offered: Sequence[Choice]) -> list[Rule]:
    """The rules that find all they need in every choice."""
    return [rule for rule in known.values() if all(rule.can_choose(choice.seen) for choice in offered)]


def judge(known: Mapping[str, Rule], offered: Sequence[Choice]) -> pd.DataFrame:
    """A row for each rule and choice, of which the rule was tuned on other folds. Raises ResultsError.

    Columns: what says which choice it is, `fold`, `rule`, its `value` there, `beta`, `step` and `kl` of the chosen
    policy, its `gold`, `best` (the most gold of any candidate) and `regret`.
    """
    folds = np.array([str(choice.fold) for choice in offered])
    if len(set(folds)) < 2:
        raise ResultsError("rules: all choices are of one world and seed; rules are tuned on some and judged on others")
    every = [tried(rule, offered) for rule in usable(known, offered)]
    rows = []
    for fold in dict.fromkeys(folds):
        others = folds != fold
        tuned = [(one, one.best_value(others)) for one in every]
        best = min(
            ((one, value) for one, value in tuned if one.rule.travels),
            key=lambda pair: float(pair[0].regret[pair[1], others].mean()),
        )
        named = [(one.rule.name, one, value) for one, value in tuned] + [(SUGGESTED, *best)]
        for at in map(int, np.flatnonzero(~others)):
            rows += [row_of(name, one, value, offered[at], at) for name, one, value in named]
    return pd.DataFrame(rows)


def row_of(name: str, one: Tried, value: int, choice: Choice, at: int) -> dict[str, object]:
    """What a rule chose."""
    place = one.position[value, at]
    seen = choice.seen.iloc[place]
    return {
        **choice.where,
        "fold": str(choice.fold),
        "rule": name,
        "by": one.rule.name,
        "value": one.rule.numbers[value],
        "chosen_beta": seen["beta"],
        "step": int(seen["step"]),
        "kl": seen["kl"],
        "gold": choice.gold.iloc[place],
        "best": choice.best,
        "regret": one.regret[value, at],
    }


def tuned_on_all(known: Mapping[str, Rule], offered: Sequence[Choice]) -> dict[str, float]:
    """The value of each usable rule with the least mean regret over all choices: what advice elsewhere goes by."""
    found = [tried(rule, offered) for rule in usable(known, offered)]
    return {one.rule.name: one.rule.numbers[one.best_value(np.ones(len(offered), bool))] for one in found}


def summary(judged: pd.DataFrame) -> pd.DataFrame:
    """Mean regret of each rule over folds, and less that of the fixed beta; the least first.

    Columns `regret`, `gain` (what it loses less than the fixed beta) with _low and _high, `folds`, and `surely_better`
    and `surely_worse`: whether the sign of the gain stands Holm's correction over all rules.
    """
    folded = judged.pivot_table(index="fold", columns="rule", values="regret", sort=False)
    rows = []
    for name in folded:
        loss, gain = mean_of(folded[name]), mean_of(folded[BASELINE] - folded[name])
        rows.append({"rule": name, **named("regret", loss), **named("gain", gain), "folds": len(folded)})
    found = pd.DataFrame(rows).sort_values("regret", ignore_index=True)
    sure = sure_of(found)
    return found.assign(surely_better=sure & (found["gain"] > 0), surely_worse=sure & (found["gain"] < 0))


def sure_of(means: pd.DataFrame) -> pd.Series:
    """Whether a rule differs from the fixed beta, after Holm's correction (1979) over all of them."""
    compared = means[means["rule"] != BASELINE]
    corrected = pd.Series(
        holm([None if math.isnan(p) else p for p in compared["gain_p"]]), index=compared.index, dtype=float
    )
    return (corrected <= LEVEL).reindex(means.index, fill_value=False)


def named(name: str, estimate: Estimate) -> dict[str, float]:
    """An estimate with its interval, and the p-value of no difference."""
    low, high = estimate.interval()
    p = 2 * min(estimate.beyond(0.0), 1 - estimate.beyond(0.0))
    return {name: estimate.value, f"{name}_low": low, f"{name}_high": high, f"{name}_p": p}
