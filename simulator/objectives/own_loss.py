"""A loss of the user's own, from a Python file that the sweep names: `sweep.loss = ["my_file.py:my_function"]`.

A function of one argument is f(z), elementwise, at z = beta rho:

    def half_squared(z):
        return (z - 0.5).square()

A function of several, or of one that has a name of GIVEN, is given what it names of each pair, tensors [runs, pairs]
but for beta, [runs, 1], and returns a value for each pair:

    def bounded(chosen, rejected, beta):
        return torch.sigmoid(-beta * chosen) + torch.sigmoid(beta * rejected)

Before a sweep starts the function is tried: it must return one finite number for each pair, the same each time, through
which a gradient flows, and keep runs apart.
"""

from dataclasses import dataclass, replace
from pathlib import Path

from simulator.common.errors import ConfigError, short
from simulator.objectives.custom import examine, objective_of
from simulator.objectives.objective import Objective
from simulator.user_code.loading import UserFunction, find, load_function, warn_if_slow

KEY = "sweep.loss = "


@dataclass(frozen=True, kw_only=True)
class OwnLoss:
    """An objective of the user's own, and the function that it is."""

    objective: Objective
    function: UserFunction


LOADED: dict[tuple[str, str, Path], OwnLoss] = {}  # by key, name and file, as long as no file changes


def own_loss(name: str, beside: Path | None, key: str = KEY) -> OwnLoss:
    """The objective that a file and a function in it name, tried. Raises ConfigError.

    beside: the folder of the sweep file, where a relative name is looked up first. key: before the name in messages.
    """
    try:
        path = find(name, beside, key)
        known = LOADED.get((key, name, path))
        if known is None or not known.function.unchanged:
            with warn_if_slow(name, key):
                LOADED[key, name, path] = load(name, path, key)
    except OSError as error:
        raise ConfigError(f"{key}{name}: {short(str(error.filename))} cannot be read ({error.strerror})") from None
    return LOADED[key, name, path]


def load(name: str, path: Path, key: str) -> OwnLoss:
    """Load a loss and try it. Raises ConfigError."""
    function = load_function(name, path, key)
    objective = replace(objective_of(function), code=function.code_hash)
    examine(objective, function)
    return OwnLoss(objective=objective, function=function)
