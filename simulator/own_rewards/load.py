"""Gold rewards of the user's own, found, tried and kept as long as their files do not change."""

from dataclasses import replace
from pathlib import Path

from gold_rewards import GoldReward
from simulator.common.errors import ConfigError, short
from simulator.own_rewards.function import FunctionReward, function_reward, given_reward
from simulator.own_rewards.source import CLASSIFIER, GIVEN, KEY, CodeSource
from simulator.own_rewards.trial import SECONDS, Sizes, examine
from simulator.user_code.loading import UserFunction, find, load_function, warn_if_slow
from simulator.user_code.time_limit import TooLongError, time_limit

LOADED: dict[tuple[str, str, Path], UserFunction] = {}  # by key, name and file
TRIED: dict[tuple[str, str, Sizes], FunctionReward] = {}  # by name and the hash of what it uses
MOST_TRIED = 8


def code_hash(name: str, source: CodeSource) -> str:
    """The SHA-256 of what a gold reward of the user's own is made of. Raises ConfigError."""
    if name.startswith(CLASSIFIER):
        from simulator.own_rewards.classifier import find_classifier

        return find_classifier(name, source.base_folder).files_hash
    return user_function(name, source).code_hash


def own_reward(name: str, source: CodeSource, sizes: Sizes) -> GoldReward:
    """A gold reward of the user's own, tried in a world of these sizes. Raises ConfigError."""
    if name.startswith(CLASSIFIER):
        from simulator.own_rewards.classifier import classifier_reward, find_classifier

        return classifier_reward(find_classifier(name, source.base_folder), sizes)
    user = user_function(name, source)
    key = name, user.code_hash, sizes
    if key not in TRIED or TRIED[key].user is not user:
        reward = function_reward(user, is_text=sizes.is_text)
        with warn_if_slow(name, KEY):
            exact = examine(reward.part, user, sizes)
        while len(TRIED) >= MOST_TRIED:
            TRIED.pop(next(iter(TRIED)))
        TRIED[key] = replace(reward, remembers=exact)
    return TRIED[key]


def user_function(name: str, source: CodeSource, key: str = KEY) -> UserFunction:
    """The function that a gold reward of the user's own is, or what another key names. Raises ConfigError."""
    if name.startswith(GIVEN):
        return given_reward(name, source.given)
    try:
        path = find(name, source.base_folder, key)
        known = LOADED.get((key, name, path))
        if known is None or not known.unchanged:
            with warn_if_slow(name, key):
                LOADED[key, name, path] = load_in_time(name, path, key)
    except OSError as error:
        raise ConfigError(f"{key}{name}: {short(str(error.filename))} cannot be read ({error.strerror})") from None
    return LOADED[key, name, path]


def load_in_time(name: str, path: Path, key: str) -> UserFunction:
    """Load a function, unless that takes too long. Raises ConfigError."""
    try:
        with time_limit(SECONDS):
            return load_function(name, path, key)
    except TooLongError:
        raise ConfigError(f"{key}{name}: {path.name} cannot be loaded: it took more than {SECONDS:g} s") from None
