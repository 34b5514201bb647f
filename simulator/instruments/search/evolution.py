"""Evolution by CMA-ES (Hansen & Ostermeier 2001): ask for candidates, tell how good they are, and begin again.

The library `cma` does it, with random numbers of a stream of our own. So candidates follow from the seed and from what
was told before, and a search that was stopped goes on by being told again what is known: nothing of it but these
numbers is kept. The outcome is the mean of the distribution at the end, and not the best candidate: that one was chosen
among many by the very numbers that would speak for it.

Shapes: n candidates of a generation, K parameters, W worlds.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np

from simulator.common.errors import ConfigError
from simulator.common.random_streams import random_stream
from simulator.instruments.search.family import Family

NEEDED = "cma"
INSTALL = "pip install 'alignment-simulator[search]'"

Array = np.ndarray
Evaluate = Callable[[Array], Array]  # regret [n, W] of parameters [n, K]


class OtherNumbersError(ValueError):
    """What is known of a generation is not of the candidates that come here."""


@dataclass(frozen=True, kw_only=True)
class Generation:
    """number: from 0 on. parameters [n, K]; regret [n, W] in each world."""

    number: int
    parameters: Array
    regret: Array


def check_library() -> None:
    """Raises ConfigError where the library is not there."""
    if find_spec(NEEDED) is None:
        raise ConfigError(f"search: needs {NEEDED}, not installed here; {INSTALL}")


class Evolution:
    """A distribution of parameters that moves to where regret is small."""

    def __init__(self, family: Family, *, population: int, seed: int) -> None:
        """At its beginning."""
        import cma

        stream = random_stream(seed, "search", "evolution")
        options = {
            "popsize": population,
            "randn": lambda *shape: stream.standard_normal(shape),
            "seed": np.nan,  # the global generator is left alone
            "verbose": -9,
            "verb_log": 0,
        }
        self._strategy: Any = cma.CMAEvolutionStrategy(family.start.tolist(), family.spread, options)

    @property
    def mean(self) -> Array:
        """Of the distribution, [K]."""
        return np.array(self._strategy.mean, dtype=float)

    @property
    def spread(self) -> float:
        """The step size times the geometric mean of the distribution's standard deviations."""
        return float(np.exp(np.log(self._strategy.stds).mean()))

    def step(self, evaluate: Evaluate, number: int, known: Generation | None = None) -> Generation:
        """One generation, evaluated or, where it is known, replayed. Raises OtherNumbersError."""
        asked = np.array(self._strategy.ask())
        if known is not None and not np.array_equal(asked, known.parameters):
            raise OtherNumbersError(f"generation {number}")
        regret = evaluate(asked) if known is None else known.regret
        self._strategy.tell([*asked], regret.mean(axis=1).tolist())
        return Generation(number=number, parameters=asked, regret=regret)


def generations_of(
    evolution: Evolution, evaluate: Evaluate, count: int, known: Sequence[Generation] = ()
) -> Iterator[Generation]:
    """So many generations; those that are known are replayed. Raises OtherNumbersError."""
    for number in range(count):
        yield evolution.step(evaluate, number, known[number] if number < len(known) else None)
