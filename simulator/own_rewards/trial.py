"""The trial that a gold reward of the user's own stands before anything is made with it, and features, too.

Shapes: N pairs of prompt and response, L prompt length, T response length, F features.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from simulator.networks.architecture import FILL
from simulator.user_code.loading import UserFunction
from simulator.user_code.time_limit import TooLongError, time_limit

Array = np.ndarray
Score = Callable[[Array, Array], Array]

TRIED = 32  # responses
ALONE = 4  # of them that are scored alone
REPEATS = 2
SECONDS = 20.0  # that all of it may take
CLOSE = 1e-4  # in deviations of the scores: how far a score may depend on rounding


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """What a world's texts are: V, L, T; whether responses may end early, and whether they are text."""

    vocabulary: int
    prompt_length: int
    response_length: int
    ends: bool
    is_text: bool


def examples(sizes: Sizes) -> tuple[Array, Array]:
    """Prompts [N, L] and responses [N, T] of the kind that a world has, drawn without it."""
    rng = np.random.default_rng(0)
    least, most = (32, 127) if sizes.is_text else (0, sizes.vocabulary)
    prompts = rng.integers(least, most, size=(TRIED, sizes.prompt_length))
    responses = rng.integers(least, most, size=(TRIED, sizes.response_length))
    if sizes.ends:
        lengths = rng.integers(1, sizes.response_length + 1, size=TRIED)
        responses[np.arange(sizes.response_length) >= lengths[:, None]] = FILL
    return prompts, responses


def examine(score: Score, user: UserFunction, sizes: Sizes, *, gives: str = "scores", does: str = "score") -> bool:
    """Try a reward, or features [N, F]; whether a score has the same bits whatever is scored beside it.

    gives, does: what it returns, and what it does to responses, in messages. Raises ConfigError where `score` does, or
    gives other values the next time, or looks across responses, or takes too long.
    """
    from simulator.user_code.isolation import isolated

    prompts, responses = examples(sizes)
    try:
        with isolated(), time_limit(SECONDS):
            return _examine(score, user, prompts, responses, gives, does)
    except TooLongError:
        raise user.error(f"does not return: {TRIED} responses took more than {SECONDS:g} s") from None


def _examine(score: Score, user: UserFunction, prompts: Array, responses: Array, gives: str, does: str) -> bool:
    from simulator.user_code.isolation import seed_global_generators

    values = score(prompts, responses)
    for number in range(REPEATS):
        seed_global_generators(number)
        again = score(prompts, responses)
        if not np.array_equal(again, values):
            place = tuple(np.argwhere(again != values)[0])
            raise user.error(
                f"must give the same {gives} for the same responses each time: it keeps state between calls, or draws "
                f"random numbers (first {values[place]:.6g}, then {again[place]:.6g})"
            )
    places = np.linspace(0, len(prompts) - 1, ALONE).astype(int)
    alone = np.concatenate([score(prompts[[place]], responses[[place]]) for place in places])
    turned = score(prompts[::-1].copy(), responses[::-1].copy())[::-1]
    within = CLOSE * values.std(axis=0) + 1e-6 * np.abs(values).max(axis=0)
    for found, expected in ((alone, values[places]), (turned, values)):
        beyond = np.abs(found - expected) - within
        if beyond.max() > 0:
            place = np.unravel_index(beyond.argmax(), beyond.shape)
            raise user.error(
                f"must {does} each response by itself: beside others a response has "
                f"{expected[place]:.6g}, and beside none or in another order {found[place]:.6g}"
            )
    return np.array_equal(alone, values[places]) and np.array_equal(turned, values)
