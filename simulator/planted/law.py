"""What the law of a planted error is.

Shapes: n prompts, L prompt length, K responses to each, T response length.

An error is a number for each response. What it is must follow from the seed, the prompt and the response alone, so that
a response has the same error in whatever order, company or world it is asked for; see draws.py. The reference's
responses, in the world's listing, give it its zero at each prompt and its unit.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Array = np.ndarray
Parameters = Mapping[str, float]
ROUNDING = 1e-9


@dataclass(frozen=True, kw_only=True)
class Answers:
    """Responses, and what an error may depend on."""

    prompts: Array  # token ids [n, L]
    tokens: Array  # token ids [n, K, T], negative after the end of a response
    gold: Array  # [n, K], deviations of gold under the reference; its zero at a prompt may be any
    log_reference: Callable[[], Array]  # log pi_ref [n, K], nats; asked for only where a law needs it


@dataclass(frozen=True, kw_only=True)
class Listed:
    """The responses of a world's listing, and how likely the reference is to give each."""

    answers: Answers
    law: Array  # [n, K], which sums to 1 at each prompt

    def within(self, value: Array) -> Array:
        """A value [n, K] less its mean under the reference at each prompt."""
        return value - (self.law * value).sum(axis=1, keepdims=True)

    def covariance(self, first: Array, second: Array) -> float:
        """That of two values [n, K] within prompts, under the reference, mean over prompts."""
        return float((self.law * self.within(first) * self.within(second)).sum(axis=1).mean())

    def deviation(self, value: Array) -> float:
        """The standard deviation of a value [n, K] within prompts, under the reference."""
        return float(np.sqrt(self.covariance(value, value)))

    def spread(self, value: Array) -> float:
        """The deviation of a value [n, K] that something is to be divided by. Raises ValueError where it is 0."""
        found = self.deviation(value)
        if found <= ROUNDING * float(np.abs(value).max()):
            raise ValueError("does not vary over the responses of the reference; take longer responses, or more tokens")
        return found


@dataclass(frozen=True, kw_only=True)
class PlantedError:
    """An error as a function of answers [n, K], in a unit of its own; facts: what its proxy's record says beside."""

    of: Callable[[Answers], Array]
    facts: Mapping[str, Any] = field(default_factory=dict)


def never(ends: bool, response_length: int) -> str:
    """Nothing is in the way of a law."""
    return ""


@dataclass(frozen=True, kw_only=True)
class ErrorLaw:
    """A law of errors.

    reads: the keys of [proxy] that it has beside `noise`. plant(listed, parameters, key): the error that a key of 64
    bits draws, parameters being the values of `reads`; raises ValueError where the world has none such. scaled: whether
    its deviation under the reference is made 1, which `noise` then multiplies; else `noise` multiplies it as it is.
    refuses(whether responses may end early, tokens of a response at most): why there can be none, in words that go on
    from its name; nothing where there can.
    """

    name: str
    plant: Callable[[Listed, Parameters, int], PlantedError]
    reads: tuple[str, ...] = ()
    scaled: bool = True
    refuses: Callable[[bool, int], str] = never
