"""Features of linear policies by a function of the user's own: `policy.features = "mine.py:features"`.

    def features(prompts, responses):
        return np.stack([(responses == token).sum(axis=1) for token in range(8)], axis=1)

It is given what gold rewards of the user's own are (simulator/own_rewards/function.py), and returns F finite numbers
for each response, as anything that numpy reads: the same F always, and those of a response whatever stands beside it.
It is tried on examples, which say what F is, before anything is made with it.

Shapes: N pairs of prompt and response, P prompts, L prompt length, G responses, T response length, F features.
"""

from dataclasses import dataclass

import numpy as np

from simulator.own_rewards.function import AT_ONCE, argument_names, call, finite, numbers_in
from simulator.own_rewards.load import MOST_TRIED, user_function
from simulator.own_rewards.source import FEATURES_KEY, CodeSource
from simulator.own_rewards.trial import Sizes, examine
from simulator.user_code.loading import UserFunction, warn_if_slow

Array = np.ndarray

NUMBERS = 2**23  # that a function is asked for at once, about

TRIED: dict[tuple[str, str, Sizes], "OwnFeatures"] = {}  # by name and the hash of what it uses


@dataclass(frozen=True, kw_only=True)
class OwnFeatures:
    """Features by a function of the user's own; names: what it is given by name; count: F."""

    user: UserFunction
    names: tuple[str, ...]
    count: int

    def of_all(self, prompts: Array, responses: Array) -> Array:
        """Features of every response [G, T] to every prompt [P, L], float64 [P, G, F]. Raises ConfigError."""
        every, each = len(prompts) * len(responses), len(responses)
        check_room(self.user, every, self.count)
        found = np.empty((every, self.count))
        at_once = max(1, min(AT_ONCE, NUMBERS // self.count))
        for first in range(0, every, at_once):
            places = np.arange(first, min(first + at_once, every))
            some = prompts[places // each], responses[places % each]
            found[places] = features_of_some(self.user, self.names, *some, count=self.count)
        return found.reshape(len(prompts), each, self.count)


def check_room(user: UserFunction, responses: int, count: int) -> None:
    """Raises ConfigError where the features of so many responses do not fit into the memory that is free."""
    import psutil

    needed, free = 8 * responses * count, psutil.virtual_memory().available
    if needed > free:
        raise user.error(
            f"gives {count:,} features, which take {needed / 2**30:,.1f} GiB for all {responses:,} responses, and "
            f"{free / 2**30:,.1f} GiB are free here; give fewer, or lower sizes in [world]"
        )


def own_features(name: str, source: CodeSource, sizes: Sizes) -> OwnFeatures:
    """Features of the user's own, tried in a world of these sizes. Raises ConfigError."""
    user = user_function(name, source, FEATURES_KEY)
    key = name, user.code_hash, sizes
    if key not in TRIED or TRIED[key].user is not user:
        with warn_if_slow(name, FEATURES_KEY):
            found = tried(user, sizes)
        while len(TRIED) >= MOST_TRIED:
            TRIED.pop(next(iter(TRIED)))
        TRIED[key] = found
    return TRIED[key]


def tried(user: UserFunction, sizes: Sizes) -> OwnFeatures:
    """Try a function on examples; its first answer says what F is. Raises ConfigError."""
    names, counts = argument_names(user, is_text=sizes.is_text), [0]

    def features(prompts: Array, responses: Array) -> Array:
        found = features_of_some(user, names, prompts, responses, count=counts[-1])
        counts.append(found.shape[1])
        return found

    examine(features, user, sizes, gives="features", does="describe")
    return OwnFeatures(user=user, names=names, count=counts[-1])


def features_of_some(
    user: UserFunction, names: tuple[str, ...], prompts: Array, responses: Array, *, count: int
) -> Array:
    """Features of responses [N, T] to prompts [N, L], float64 [N, F]; count: F, 0 where it is not known yet.

    Raises ConfigError where the function raises, or returns other than that.
    """
    value, rows = call(user, names, prompts, responses), len(prompts)
    features = numbers_in(value, f"{rows} rows of as many numbers each", user)
    if features.ndim != 2 or len(features) != rows or not features.shape[1]:
        raise user.error(
            f"must return a row of one number or more for each response, shape [{rows}, F] here, not "
            f"{list(features.shape)}"
        )
    if count and features.shape[1] != count:
        raise user.error(
            f"must return as many numbers for each response always, shape [{rows}, {count}] here as before, not "
            f"{list(features.shape)}"
        )
    return finite(features, user)
