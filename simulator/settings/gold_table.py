"""[gold]: what is good, and the names of gold rewards in a sweep file: ours, or one of the user's own."""

from typing import Annotated

from pydantic import AfterValidator, Field, WithJsonSchema

from gold_rewards import GOLD_REWARDS
from simulator.own_rewards.source import CLASSIFIER, GIVEN, is_own_reward, plain_name
from simulator.settings.table import OWN_FUNCTION, TEXT, Seed, Table, one_or_own, path_like

OWN_REWARD = rf"^({OWN_FUNCTION}|{CLASSIFIER}[^\x00-\x1f\x7f-\x9f]+)$"
known_reward = one_or_own(GOLD_REWARDS, f"{CLASSIFIER}FOLDER")


def reward_name(value: str) -> str:
    """One of our gold rewards, or one of the user's own."""
    if is_own_reward(value):
        return plain_name(value)
    if value in (CLASSIFIER, GIVEN):
        raise ValueError(f"{value}: must name a folder, as {CLASSIFIER}FOLDER")
    return known_reward(value)


RewardName = Annotated[
    str,
    Field(max_length=TEXT),
    AfterValidator(path_like),
    AfterValidator(reward_name),
    WithJsonSchema({"anyOf": [{"type": "string", "enum": [*GOLD_REWARDS]}, {"type": "string", "pattern": OWN_REWARD}]}),
]


class Gold(Table):
    """[gold]. Content (`reward`) plus `fluency` times fluency plus `length` times the number of tokens, each in
    standard deviations under the reference.
    """

    reward: RewardName = "transformer"
    """What is good: "transformer": a fixed random network; "motif": readable patterns; "additive": token weights;
    "mine.py:reward", a function of your own; "hf:FOLDER", a classifier of text."""
    fluency: Annotated[float, Field(ge=0, le=1000)] = 1.0
    """Weight of fluency under the language, in standard deviations."""
    length: Annotated[float, Field(ge=-1000, le=1000)] = 0.0
    """Weight of the number of tokens, in standard deviations, where responses may end early; below 0: the shorter the
    better."""
    seed: Seed = 0
    """Of the gold reward."""
