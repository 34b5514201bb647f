"""What is good: gold reward functions, gold on its scale, and how gold labels pairs.

A gold reward judges the content of a response to a prompt. Each entry of GOLD_REWARDS draws one from a random stream
and returns a function of prompts [N, L] and responses [N, T] to scores [N]. To add one, write its module in rewards/.
"""

import pkgutil
from collections.abc import Callable
from importlib import import_module

from gold_rewards import rewards
from gold_rewards.gold import Gold, gold_from_sample, gold_over_all
from gold_rewards.labels import (
    FlipToward,
    Judged,
    LabelRule,
    Labels,
    kinds_of,
    outcome_probabilities,
    preference_probability,
)
from gold_rewards.nash import against_nash, nash_policy
from gold_rewards.reward import GoldReward, Kind
from gold_rewards.scale import Scale, scale_of_samples, scale_under

KINDS: dict[str, Kind] = {
    kind.name: kind
    for module in pkgutil.iter_modules(rewards.__path__)
    for kind in [import_module(f"gold_rewards.rewards.{module.name}").GOLD_REWARD]
}
"""The gold rewards that there are, by their names, and what each is made from."""
GOLD_REWARDS: dict[str, Callable[..., GoldReward]] = {name: kind.make for name, kind in KINDS.items()}
"""What draws each gold reward, by its name: given sizes and a random stream, a function of prompts and responses."""

__all__ = [
    "GOLD_REWARDS",
    "FlipToward",
    "Gold",
    "GoldReward",
    "Judged",
    "LabelRule",
    "Labels",
    "Scale",
    "against_nash",
    "gold_from_sample",
    "gold_over_all",
    "kinds_of",
    "nash_policy",
    "outcome_probabilities",
    "preference_probability",
    "scale_of_samples",
    "scale_under",
]
