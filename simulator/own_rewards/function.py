"""A gold reward that is a function of the user's own: `gold.reward = "mine.py:reward"`.

    def reward(prompts, responses):
        return (responses == 3).sum(axis=1)

It is given arrays of token ids, prompts [N, L] and responses [N, T], and returns N numbers, as anything that numpy
reads; behind the end of a response stands -1. A function that names them is given `prompt_texts` and `response_texts`,
N strings each, in worlds of text. Content is scored so; fluency is added, and the sum is standardized under the
reference, as for every gold (gold_rewards/gold.py).

Shapes: N pairs of prompt and response, L prompt length, T response length.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from simulator.common.errors import ConfigError, nearest
from simulator.user_code.loading import UserFunction

Array = np.ndarray

AT_ONCE = 8192  # texts that a function is given
KEPT = 2**18  # scores that are kept, since policies often say the same


def texts_of(tokens: Array) -> list[str]:
    """Token ids [N, S] of a world of text as strings; bytes that are no UTF-8 become U+FFFD."""
    return [bytes(row[row >= 0].tolist()).decode("utf-8", errors="replace") for row in tokens]


GIVES: Mapping[str, Callable[[Array, Array], Any]] = {
    "prompts": lambda prompts, responses: prompts.copy(),
    "responses": lambda prompts, responses: responses.copy(),
    "prompt_texts": lambda prompts, responses: texts_of(prompts),
    "response_texts": lambda prompts, responses: texts_of(responses),
}
TEXTS = ("prompt_texts", "response_texts")
RULE = "it must be a function of prompts and responses, or of several of " + ", ".join(GIVES)


@dataclass(frozen=True, kw_only=True)
class FunctionReward:
    """Content scores by a function of the user's own.

    names: what it is given by name; nothing where it takes prompts and responses in this order. remembers: whether
    scores are kept, right where a score has the same bits whatever else is scored beside it.
    """

    user: UserFunction
    names: tuple[str, ...]
    remembers: bool = False
    known: dict[bytes, float] = field(default_factory=dict, repr=False)

    def __call__(self, prompts: Array, responses: Array) -> Array:
        """Scores, float64 [N]. Raises ConfigError where the function raises, or gives other than N finite numbers."""
        if not self.remembers:
            return self._scores(prompts, responses)
        texts = np.concatenate([prompts, responses], axis=1).astype(np.int16)
        keys = [row.tobytes() for row in texts]
        new = [place for place, key in enumerate(keys) if key not in self.known]
        if new:
            found = self._scores(prompts[new], responses[new])
            if len(self.known) + len(new) > KEPT:
                if len(new) == len(keys):
                    return found
                known = {key: self.known[key] for key in keys if key in self.known}
                self.known.clear()
                self.known.update(known)
            self.known.update(zip([keys[place] for place in new], found.tolist(), strict=True))
        return np.array([self.known[key] for key in keys])

    def rules(self) -> list[str]:
        """The first line of what the function says of itself, or its name."""
        documented = (inspect.getdoc(self.user.function) or "").strip().split("\n")[0]
        return [documented or f"by {self.user.name}"]

    def _scores(self, prompts: Array, responses: Array) -> Array:
        parts = [
            self.part(prompts[first : first + AT_ONCE], responses[first : first + AT_ONCE])
            for first in range(0, len(prompts), AT_ONCE)
        ]
        return np.concatenate(parts) if parts else np.zeros(0)

    def part(self, prompts: Array, responses: Array) -> Array:
        """Scores of as many as are given at once, float64 [N]. Raises ConfigError."""
        return checked(call(self.user, self.names, prompts, responses), len(prompts), self.user)


def call(user: UserFunction, names: tuple[str, ...], prompts: Array, responses: Array) -> Any:
    """What a function returns; names: what it is given by name. Raises ConfigError where it raises."""
    from simulator.user_code.isolation import isolated

    given = {name: GIVES[name](prompts, responses) for name in names or ("prompts", "responses")}
    with user.errors_named("raises"), isolated():
        return user.function(**given) if names else user.function(*given.values())


def checked(value: Any, count: int, user: UserFunction) -> Array:
    """What a function returned as float64 [N]. Raises ConfigError."""
    scores = numbers_in(value, f"{count} numbers", user)
    if scores.shape != (count,):
        raise user.error(f"must return a number for each response, shape [{count}] here, not {list(scores.shape)}")
    return finite(scores, user)


def numbers_in(value: Any, what: str, user: UserFunction) -> Array:
    """What a function returned as float64 of any shape; what: it should be. Raises ConfigError."""
    if hasattr(value, "detach"):
        value = value.detach().cpu()
    try:
        given = np.asarray(value)
        if given.dtype.kind == "c":
            raise TypeError
        return given.astype(np.float64)
    except (TypeError, ValueError, OverflowError):
        raise user.error(f"must return {what}, not {type(value).__name__}") from None


def finite(values: Array, user: UserFunction) -> Array:
    """Values, all of them finite. Raises ConfigError."""
    wrong = values[~np.isfinite(values)]
    if len(wrong):
        raise user.error(f"must return finite numbers, not {wrong[0]:g}")
    return values.copy()


def function_reward(user: UserFunction, *, is_text: bool) -> FunctionReward:
    """The reward that a function is, by its arguments. Raises ConfigError."""
    return FunctionReward(user=user, names=argument_names(user, is_text=is_text))


def argument_names(user: UserFunction, *, is_text: bool) -> tuple[str, ...]:
    """What a function is given by name; none where it takes prompts and responses by place. Raises ConfigError."""
    names = names_of(user)
    for name in names:
        if name in TEXTS and not is_text:
            raise user.error(f"cannot be given {name}: only worlds of text have them; name a file, world.language.text")
    return names


def names_of(user: UserFunction) -> tuple[str, ...]:
    """The same, of any world. Raises ConfigError."""
    try:
        every = inspect.signature(user.function).parameters.values()
    except (TypeError, ValueError):  # written in C
        return ()
    named = [at for at in every if at.kind not in (at.VAR_POSITIONAL, at.VAR_KEYWORD)]
    needed = [at.name for at in named if at.default is at.empty]
    given = tuple(at.name for at in named if at.name in GIVES and at.kind is not at.POSITIONAL_ONLY)
    by_place = [at.name for at in named if at.kind is not at.KEYWORD_ONLY]
    if given and set(needed) <= set(given):
        return given
    if len(needed) == 2 and not set(needed) & {*TEXTS} and needed == by_place[:2]:
        return ()
    if not named and any(at.kind is at.VAR_POSITIONAL for at in every):
        return ()
    unknown = [name for name in needed if name not in GIVES]
    raise user.error(f"cannot be given {unknown[0]}{nearest(unknown[0], GIVES)}; {RULE}" if unknown else RULE)


def given_reward(name: str, given: Mapping[str, UserFunction]) -> UserFunction:
    """A function that was given in Python. Raises ConfigError where none of that name was."""
    if name not in given:
        raise ConfigError(
            f"gold.reward = {name}: was given as a function in Python; in a sweep file name a file, my_file.py:function"
        )
    return given[name]
