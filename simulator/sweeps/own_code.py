"""The code of the user's own that a sweep uses: its losses, its gold rewards, and its features."""

from collections.abc import Iterator
from dataclasses import dataclass

from simulator.own_rewards.source import CLASSIFIER, FEATURES_KEY, KEY, is_own_reward
from simulator.sweeps.sweep import Sweep
from simulator.user_code.loading import UserFunction, is_own

LOSS_KEY = "sweep.loss = "


@dataclass(frozen=True, kw_only=True)
class OwnCode:
    """Something of the user's own in a sweep: its name there, and what stands before it in messages."""

    key: str
    name: str


def own_code(sweep: Sweep) -> list[OwnCode]:
    """The losses of the user's own in a sweep, then its gold rewards, and then the features of linear policies."""
    losses = [OwnCode(key=LOSS_KEY, name=name) for name in sweep.sweep.loss if is_own(name)]
    rewards = [OwnCode(key=KEY, name=name) for name in gold_rewards(sweep) if is_own_reward(name)]
    return losses + rewards + [OwnCode(key=FEATURES_KEY, name=name) for name in features(sweep) if is_own(name)]


def gold_rewards(sweep: Sweep) -> Iterator[str]:
    """The gold rewards of a sweep, each once."""
    yield from dict.fromkeys(map(str, sweep.sweep.axes.get("gold.reward", (sweep.gold.reward,))))


def features(sweep: Sweep) -> Iterator[str]:
    """The features of a sweep's linear policies, each once."""
    if "linear" in sweep.sweep.axes.get("policy.kind", (sweep.policy.kind,)):
        yield from dict.fromkeys(map(str, sweep.sweep.axes.get("policy.features", (sweep.policy.features,))))


def function_of(code: OwnCode, sweep: Sweep) -> UserFunction | None:
    """The function that some code is, or None where it is a folder. Raises ConfigError."""
    if code.key == KEY:
        from simulator.own_rewards.load import user_function

        return None if code.name.startswith(CLASSIFIER) else user_function(code.name, sweep.source)
    if code.key == FEATURES_KEY:
        from simulator.own_rewards.load import user_function

        return user_function(code.name, sweep.source, FEATURES_KEY)
    from simulator.objectives.own_loss import own_loss

    return own_loss(code.name, sweep.base_folder).function


def hash_of_code(code: OwnCode, sweep: Sweep) -> str:
    """The SHA-256 of what some code uses. Raises ConfigError."""
    if code.key == KEY:
        from simulator.own_rewards.load import code_hash

        return code_hash(code.name, sweep.source)
    function = function_of(code, sweep)
    assert function is not None
    return function.code_hash
