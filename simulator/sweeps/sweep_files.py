"""Sweep files: those that ship and those of users, and where in them a key stands."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from simulator.common.errors import ConfigError, nearest, short
from simulator.objectives import KNOWN_AS
from simulator.objectives.mixtures import is_mixture, names_in
from simulator.settings.config_errors import assignments

SHIPPED = Path(__file__).resolve().parent / "shipped"  # sweeps that come with the package


def shipped_sweeps() -> dict[str, Path]:
    """The sweep files that come with the package, by their names."""
    return {path.stem: path for path in sorted(SHIPPED.glob("*.toml"))}


def find_sweep_file(name: str | Path) -> Path:
    """The file of a sweep: the user's at that path, or else the one of that name that ships. Raises ConfigError."""
    path, shipped = Path(name), shipped_sweeps()
    if path.suffix or path.is_file() or len(path.parts) != 1:
        return path
    if path.name not in shipped:
        raise ConfigError(
            f"{short(path.name)}: must be a sweep file such as mine.toml, or the name of one that ships: "
            f"{', '.join(shipped)}{nearest(path.name, shipped)}"
        )
    return shipped[path.name]


def aliases_in(tables: Mapping[str, Any]) -> tuple[str, ...]:
    """The names of losses in the tables of a sweep file, already found right, that stand for one of ours."""
    losses = tables.get("sweep", {}).get("loss", ())
    given = [losses] if isinstance(losses, str) else losses
    names = [name for one in given for name in (names_in(one) if is_mixture(one) else [one])]
    return tuple(name for name in dict.fromkeys(names) if name in KNOWN_AS)


def origin(key: str, path: Path, changed: Iterable[str]) -> str:
    """Where a key of a sweep came from, in a few words: its file, or one of the keys that --set has `changed`."""
    ours = SHIPPED in path.resolve().parents
    file, key = (path.name if ours else str(path)), key.partition("[")[0]
    if any(f"{key}.".startswith(f"{name}.") for name in changed):
        return "from --set"
    also = any(f"{name}.".startswith(f"{key}.") or not key for name in changed)
    return f"in {file}{', changed by --set' if also else ''}"


def place_in_grid(key: str, point: Mapping[str, Any]) -> str:
    """Where in the grid a key has a value that it must not have, in a few words."""
    others = {name: value for name, value in point.items() if name != key}
    return f"in [sweep], at {assignments(others)}" if others else "in [sweep]"
