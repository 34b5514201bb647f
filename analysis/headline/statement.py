"""What a headline says about one topic, with the numbers that it is made of, and how these are written."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from analysis.records.names import axis_label, loss_label, value_text
from analysis.statistics.intervals import LEVEL, Estimate
from analysis.statistics.policy_classes.missing_gold import PAIRS, POPULATION

LEAST = 5e-5  # half of an interval that is shown as other than 0
Number = float | int | str | bool | None


@dataclass(frozen=True, kw_only=True)
class Statement:
    """What is found about one topic.

    text: a sentence without a full stop, or two of which the last has none. title: the same in fewer words, over a
    figure. sure: whether intervals of 95 % (or two one-sided tests at 5 %) show it. seeds: how many would, where it is
    not sure and that is known. numbers: what it is made of, gold in deviations under the reference and KL in nats.
    """

    topic: str
    text: str
    title: str
    sure: bool
    numbers: Mapping[str, Number] = field(default_factory=dict)
    seeds: int | None = None


def brief(value: float, half: float) -> str:
    """A number and half of its interval with one digit of it, and two decimals for 0.1 and less; alone where there is
    none.

    A half that two decimals would show as 0, as that of thousands of seeds, has as many as it needs, to LEAST. One
    decimal more is shown where 0 would seem to lie within the interval and does not.
    """
    if not math.isfinite(half):
        return rounded(value, 2)
    decimals = max(0, -math.floor(math.log10(half))) if half > 0 else 2
    decimals = decimals if LEAST <= half < 0.005 else min(decimals, 2)
    if abs(value) > half > 0 and round(abs(value), decimals) <= round(half, decimals):
        decimals += 1
    return f"{rounded(value, decimals)} ± {half:.{decimals}f}"


def rounded(value: float, decimals: int) -> str:
    """A number with so many decimals, 0 without a sign."""
    text = f"{value:.{decimals}f}"
    return (text.removeprefix("-") if float(text) == 0 else text).replace("-", "−")


def half_of(estimate: Estimate, level: float = LEVEL) -> float:
    """Half of an interval; NaN where there is none."""
    low, high = estimate.interval(level)
    return (high - low) / 2


def amount(estimate: Estimate, level: float = LEVEL, scale: float = 1.0) -> str:
    """An estimate, times `scale`, with half of its interval; alone where that is 0, or there is none."""
    return with_half(scale * estimate.value, scale * half_of(estimate, level))


def with_half(value: float, half: float) -> str:
    """A number with half of its interval; alone where that is 0, or there is none."""
    return brief(value, half) if half >= LEAST else rounded(value, 2)


def unsigned(estimate: Estimate, level: float = LEVEL, scale: float = 1.0) -> str:
    """An estimate without its sign, with half of its interval: by how much, where words say in which direction."""
    return amount(estimate, level, scale).removeprefix("−")


def signed(estimate: Estimate, level: float = LEVEL, scale: float = 1.0) -> str:
    """The same with its sign; 0 has none."""
    text = amount(estimate, level, scale)
    zero = float(text.split(" ")[0].replace("−", "-")) == 0
    return text if zero or text.startswith("−") else f"+{text}"


def percent(share: Estimate) -> str:
    """A share with half of its interval, in per cent."""
    return f"{amount(share, scale=100)} %"


def beta_of(rows: pd.DataFrame) -> float | None:
    """The beta of rows that have one, or none."""
    return None if rows["beta"].isna().all() else float(rows["beta"].iloc[0])


def setting_text(loss: str, beta: float | None, place: str = "") -> str:
    """A loss, its beta and values of further axes: logistic (DPO), β 0.01, label noise 0.1."""
    return ", ".join(filter(None, [loss_label(loss), "" if beta is None else f"β {beta:g}", place]))


def place_text(at: Mapping[str, Any]) -> str:
    """One combination of further axes, in words; whether pairs are the whole population is said by their number."""
    rest = [f"{axis_label(name)} {value_text(value)}" for name, value in at.items() if name not in (PAIRS, POPULATION)]
    if PAIRS in at:
        rest.insert(0, f"pairs {value_text(at[PAIRS])}" if at[PAIRS] else "the whole population")
    return ", ".join(rest)


def in_brackets(place: str) -> str:
    """A place after a sentence, if there is one."""
    return f" ({place})" if place else ""


def near(kl: float) -> str:
    """A KL in a sentence."""
    return f"{kl:.0f}" if kl >= 20 else f"{kl:.1f}" if kl >= 0.95 else f"{kl:.2g}"


def would_tell(seeds: int | None, now: int) -> str:
    """How many seeds would decide what is not sure."""
    if now < 2:
        return "one seed has no interval; run 4 or more"
    if seeds is None:
        return "more than 1,000 seeds would be needed"
    return f"about {max(seeds, now + 1):,} seeds would tell"
