"""A sweep whose grid gains values, in the folder that holds its records.

What was asked for stands in `grown.json`, so that the same command goes on where it was stopped.
"""

import json
from dataclasses import dataclass
from pathlib import Path

from simulator.common.errors import ConfigError
from simulator.common.identity import digest
from simulator.joining.grids import grown, missing_in, values_of
from simulator.storage.compatibility import sweep_in
from simulator.storage.layout import ResultFolder
from simulator.storage.tables import write_json
from simulator.sweeps.sweep import Sweep


@dataclass(frozen=True, kw_only=True)
class Growth:
    """What a sweep becomes: `sweep`, of which the folder has the records of `held`; None where it has none."""

    sweep: Sweep
    held: Sweep | None
    asked: Sweep

    @property
    def adds(self) -> bool:
        """Whether there is anything to add to what the folder has."""
        return self.held is not None and name_of(self.held) != name_of(self.sweep)


def growth_in(folder: ResultFolder, asked: Sweep) -> Growth:
    """What the sweep in a folder becomes when what `asked` lists is added. Raises ConfigError and StorageError."""
    held = sweep_in(folder) if folder.has_records else None
    if held is None:
        return Growth(sweep=asked, held=None, asked=asked)
    try:
        sweep = grown(held, asked)
    except ConfigError:
        if name_of(asked) not in asked_before(folder) or not is_within(asked, held):
            raise
        sweep = held
        sweep._source, sweep._aliases_used = asked.source, asked.aliases_used
    return Growth(sweep=sweep, held=held, asked=asked)


def write_growth(folder: ResultFolder, growth: Growth) -> None:
    """Note what was asked for, before `config.toml` says what the sweep has become. Raises StorageError."""
    if growth.adds:
        write_json([*asked_before(folder), name_of(growth.asked)], folder.growths)


def name_of(asked: Sweep) -> str:
    """A name that follows from a sweep."""
    return digest(asked.model_dump(mode="json", exclude={"texts", "code", "keep"}))


def asked_before(folder: ResultFolder) -> list[str]:
    """The names of the sweeps whose values were added here."""
    try:
        names = json.loads(Path(folder.growths).read_bytes())
        return [str(name) for name in names]
    except (OSError, ValueError, TypeError):
        return []


def is_within(asked: Sweep, held: Sweep) -> bool:
    """Whether every value that `asked` lists is there."""
    axes = list(held.sweep.axes)
    there, listed = values_of(held, axes), values_of(asked, axes)
    return not asked.sweep.axes.keys() - held.sweep.axes.keys() and not any(
        missing_in(listed[key], there[key]) for key in listed
    )
