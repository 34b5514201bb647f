"""What columns and methods of the tables are: as tables.json of a result directory says, or as this version knows.

DEFAULT is a copy of what the simulator writes; a test compares them. What a sweep has beyond it, such as a measured
column or a method of somebody's own, goes with its curves, in their attributes.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import pandas as pd


@dataclass(frozen=True, kw_only=True)
class Card:
    """What a method is to people and to figures."""

    label: str  # in figures
    varies: tuple[str, ...] = ()  # keys of [sweep] that its runs vary over
    against_proxy: bool = True  # whether it optimizes a proxy, and not pairs
    trajectory: bool = False  # whether every row of a run is a point of its trade-off
    along: str = "step"  # the column that numbers the rows of a run
    law: str = "rl"  # the form of the scaling law that its rows follow
    fitted: bool = False  # whether its scaling law is one that is published
    line: str = "-"  # how its curves are drawn beside others


DEFAULT = json.loads(Path(__file__).with_name("tables.json").read_text(encoding="utf-8"))
MEASURED = frozenset(name for name, column in DEFAULT["columns"].items() if column["kind"] != "setting")
GPO_LOSSES: tuple[str, ...] = tuple(DEFAULT["gpo_losses"])
ADDITIONS = ("beyond_columns", "beyond_methods")  # attributes of curves


def card_of(described: Mapping[str, Any]) -> Card:
    """A card as tables.json has it; what this version does not know is left out."""
    known = {field.name for field in fields(Card)}
    found: Any = {name: tuple(value) if isinstance(value, list) else value for name, value in described.items()}
    return Card(**{name: value for name, value in found.items() if name in known})


CARDS = {name: card_of(described) for name, described in DEFAULT["methods"].items()}


def additions_in(folder: Path) -> dict[str, Any]:
    """What a sweep's tables have beyond those of this version, as attributes of its curves; mostly nothing."""
    try:
        described = json.loads((folder / "tables.json").read_bytes())
        columns = [name for name, column in described["columns"].items() if column["kind"] != "setting"]
        found = {
            ADDITIONS[0]: sorted(set(columns) - MEASURED),
            ADDITIONS[1]: {name: value for name, value in described["methods"].items() if name not in CARDS},
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}
    return {name: value for name, value in found.items() if value}


def settings_of(curves: pd.DataFrame) -> list[str]:
    """The columns of `curves` that are settings, seed included."""
    others = MEASURED.union(curves.attrs.get(ADDITIONS[0], ()))
    return [name for name in curves if name not in others]


def cards(curves: pd.DataFrame) -> dict[str, Card]:
    """The card of every method that this version or the sweep of the curves knows."""
    return CARDS | {name: card_of(described) for name, described in curves.attrs.get(ADDITIONS[1], {}).items()}


def methods_where(curves: pd.DataFrame, field: str) -> list[str]:
    """The methods whose card says yes to a field, such as `trajectory`."""
    return [name for name, card in cards(curves).items() if getattr(card, field)]


def runs_of_sweep(curves: pd.DataFrame) -> pd.DataFrame:
    """The rows of a sweep's own runs: no oracle, and no policy that was trained elsewhere."""
    return curves[~curves["method"].isin(["oracle", "external"])]


def trained_elsewhere(curves: pd.DataFrame) -> pd.DataFrame:
    """The rows of policies that were trained elsewhere and measured in the sweep's world."""
    return curves[curves["method"] == "external"]


def external_in_place(curves: pd.DataFrame) -> pd.DataFrame:
    """The curves, where policies from elsewhere stand at the settings that all runs of the sweep share.

    Nothing is known of theirs, and without this they could be compared with no run draw by draw.
    """
    theirs = curves["method"] == "external"
    if not theirs.any():
        return curves
    ours = runs_of_sweep(curves[settings_of(curves)])
    shared = {
        name: ours[name].iloc[0]
        for name in settings_of(curves)
        if name not in ("method", "loss", "beta", "kappa", "seed") and len(ours[name].unique()) == 1
    }
    filled = {name: curves[name].where(~theirs | curves[name].notna(), value) for name, value in shared.items()}
    return curves.assign(**filled)
