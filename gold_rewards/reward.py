"""What a gold reward is."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np


class GoldReward(Protocol):
    """Scores [N] of responses [N, T] to prompts [N, L], and what they are made of as readable lines.

    Where a response is over before its last place, the places behind it hold -1 and must not count.
    """

    def __call__(self, prompts: np.ndarray, responses: np.ndarray) -> np.ndarray:
        """Scores [N]."""
        ...

    def rules(self) -> list[str]:
        """One line a rule."""
        ...


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of gold reward: its name in sweep files, and how one is drawn.

    make: takes vocabulary, prompt_length, response_length and rng by name; raises ValueError where there is none.
    drawn: whether it depends on rng. of_text: whether it judges text, whose tokens are bytes, and nothing else.
    """

    name: str
    make: Callable[..., GoldReward]
    drawn: bool = True
    of_text: bool = False
