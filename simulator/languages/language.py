"""What the reference learns to speak: the interface between a language and everything that uses it.

Shapes: P prompts, L prompt length, N texts, T response length.

Tokens are whole numbers from 0 to vocabulary - 1. A language may have an end token; a response that says it is over,
and FILL stands in every place after it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np

from simulator.networks.architecture import FILL

Array = np.ndarray


class Language(Protocol):
    """A source of prompts, and of responses of up to T tokens, that knows how likely every response is."""

    @property
    def vocabulary(self) -> int:
        """V, the end token included."""
        ...

    @property
    def end(self) -> int | None:
        """The token that ends a response, or None where every response has T tokens."""
        ...

    @property
    def fingerprint(self) -> str:
        """A name that two languages share only if they say the same with the same probability."""
        ...

    def draw_prompts(self, *, prompts: int, length: int, rng: np.random.Generator) -> Array:
        """Distinct prompts [P, L]. Raises ValueError where the language has too few."""
        ...

    def draw_texts(self, *, count: int, prompt_length: int, rng: np.random.Generator) -> tuple[Array, Array]:
        """Prompts [N, L] and a response [N, T] to each, for the reference to learn from."""
        ...

    def draw_unseen(self, *, count: int, prompt_length: int, rng: np.random.Generator) -> tuple[Array, Array]:
        """Prompts [N, L] and responses [N, T] that the reference did not learn from."""
        ...

    def log_likelihood(self, prompts: Array, responses: Array) -> Array:
        """log p(response | prompt) in nats, shape [N], for prompts [N, L] and responses [N, T]."""
        ...

    def facts(self, prompts: Array) -> dict[str, Any]:
        """What `world.json` says of the language, for the prompts [P, L]."""
        ...


@runtime_checkable
class Grammatical(Protocol):
    """A language that knows which steps its grammar does not allow."""

    def breaks(self, prompts: Array, responses: Array) -> Array:
        """Whether each token of responses [N, T] to prompts [N, L] breaks the grammar, bool [N, T]."""
        ...


def grammar_breaks(language: Language, prompts: Array, responses: Array) -> Array:
    """Whether each token of responses [N, T] to prompts [N, L] breaks the grammar, bool [N, T]; none without one."""
    if not isinstance(language, Grammatical):
        return np.zeros(responses.shape, dtype=bool)
    return language.breaks(prompts, responses)


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A language that a sweep file names: `world.language.kind`.

    make: takes vocabulary, prompt_length, response_length and rng by name.
    """

    name: str
    make: Callable[..., Language]
    ends: bool = False  # whether responses may end before their last token


def lengths(responses: Array) -> Array:
    """How many tokens each response [..., T] has, its end token included, [...]."""
    return (responses != FILL).sum(axis=-1)


def fill_after_end(responses: Array, end: int | None) -> Array:
    """`responses` [..., T] with FILL in every place after the first end token."""
    if end is None:
        return responses
    ended = (responses == end).cumsum(axis=-1) - (responses == end) > 0
    return np.where(ended, FILL, responses)
