"""The grids of two sweeps as one: what `--grow` adds to a sweep that is there, and what joined sweeps are together.

A run's name follows from its settings, so the runs of both are runs of the one grid, whatever else it has.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from simulator.common.errors import ConfigError, shown
from simulator.common.identity import rounded
from simulator.settings.config_errors import complain
from simulator.settings.tables import flat_settings
from simulator.sweeps.sweep import Sweep

LISTS = ("method", "loss", "beta", "penalty", "seeds")  # of [sweep]; what else it has is in `axes`
ONLY_ADDS = "--grow only adds: list all values that are there and the new ones, or the new ones alone"

Values = Sequence[Any]


def values_of(sweep: Sweep, axes: Sequence[str]) -> dict[str, Values]:
    """The values of every list of [sweep], and of further axes; of one that it does not vary, the value that it has."""
    grid, settings = sweep.sweep, flat_settings(sweep)
    lists = {f"sweep.{name}": grid.seed_values if name == "seeds" else getattr(grid, name) for name in LISTS}
    return lists | {f"sweep.{name}": grid.axes[name] if name in grid.axes else (settings[name],) for name in axes}


def axes_of(*sweeps: Sweep) -> list[str]:
    """The further axes that some sweep has."""
    return list(dict.fromkeys(name for sweep in sweeps for name in sweep.sweep.axes))


def first_difference(one: Sweep, other: Sweep, *, but: Sequence[str] = ()) -> tuple[str, Any, Any] | None:
    """The first key outside of the grid in which two sweeps differ, with its values; `but`: keys that may."""
    here, there = (flat_settings(each) for each in (one, other))
    for name in sorted(here.keys() | there.keys()):
        outside = not name.startswith(("sweep.", "keep.", "texts", "code")) and name not in but
        if outside and rounded(here.get(name)) != rounded(there.get(name)):
            return name, here.get(name), there.get(name)
    for table in ("texts", "code"):
        ours, theirs = getattr(one, table), getattr(other, table)
        for name in sorted(ours.keys() & theirs.keys()):
            if ours[name] != theirs[name]:
                return f"{table}.{name}", ours[name], theirs[name]
    return None


def missing_in(values: Values, others: Values) -> list[Any]:
    """The values that are not among others, where numbers that name one setting are one."""
    known = {str(rounded(value)) for value in others}
    return [value for value in values if str(rounded(value)) not in known]


def with_values(sweep: Sweep, values: Mapping[str, Values]) -> Sweep:
    """The sweep with these lists in [sweep]. Raises ConfigError where that is no sweep."""
    tables = sweep.model_dump(exclude={"texts", "code"})
    axes = tables["sweep"].pop("axes")
    for key, some in values.items():
        name = key.removeprefix("sweep.")
        (tables["sweep"] if name in LISTS else axes)[name] = list(some)
    tables["sweep"] |= axes
    try:
        made = Sweep.model_validate(tables)
    except ValidationError as error:
        raise ConfigError(*complain(error, Sweep, origin=lambda key: "of all together")) from None
    made._source, made._aliases_used = sweep.source, sweep.aliases_used
    return made.model_copy(update={"texts": sweep.texts, "code": sweep.code})


def grown(held: Sweep, asked: Sweep) -> Sweep:
    """The sweep that `held` becomes when what `asked` lists is added. Raises ConfigError, with the key, where it is not
    the same but for values that are added.
    """
    axes = axes_of(held, asked)
    if differs := first_difference(held, asked, but=axes):
        name, there, here = differs
        raise ConfigError(
            f"--grow: {name} = {shown(here)}: the sweep that is there has {shown(there)}, and only the lists of "
            f"[sweep] may gain values; to vary it, list it as sweep.{name} with {shown(there)} among its values"
        )
    there, listed = values_of(held, axes), values_of(asked, axes)
    together: dict[str, Values] = {}
    for key, values in listed.items():
        lost = missing_in(there[key], values)
        if lost and len(lost) < len(there[key]):
            raise ConfigError(
                f"--grow: {key} = {shown_list(key, values)}: leaves out {shown_list('', lost)}; {ONLY_ADDS}"
            )
        if lost:
            together[key] = [*there[key], *values]
    return with_values(asked, together)


def shown_list(key: str, values: Values) -> str:
    """A list in a message; of seeds from 0 on, their number."""
    if key == "sweep.seeds" and list(values) == list(range(len(values))):
        return str(len(values))
    return shown(list(values)) if len(values) != 1 else shown(values[0])
