"""One sentence of a headline, with the numbers that it is made of."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

LEAST = 5e-5  # half of an interval that is shown as other than 0
Number = float | int | str | bool | None


@dataclass(frozen=True, kw_only=True)
class Statement:
    """What is found about one topic.

    text: a sentence without a full stop. title: the same in fewer words, over a figure. sure: whether intervals of
    95 % (or two one-sided tests at 5 %) show it. seeds: how many would, where it is not sure and that is known.
    numbers: what it is made of, gold in deviations under the reference and KL in nats.
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

    A half that two decimals would show as 0, as that of thousands of seeds, has as many as it needs, to LEAST.
    """
    if not math.isfinite(half):
        return rounded(value, 2)
    decimals = max(0, -math.floor(math.log10(half))) if half > 0 else 2
    decimals = decimals if LEAST <= half < 0.005 else min(decimals, 2)
    return f"{rounded(value, decimals)} ± {half:.{decimals}f}"


def rounded(value: float, decimals: int) -> str:
    """A number with so many decimals, 0 without a sign."""
    text = f"{value:.{decimals}f}"
    return (text.removeprefix("-") if float(text) == 0 else text).replace("-", "−")


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
