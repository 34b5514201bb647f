"""Worlds made from sweeps."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from simulator.api.arguments import changed
from simulator.api.world import World
from simulator.common.errors import ConfigError, shown
from simulator.execution.devices import choose_device
from simulator.networks.compute_mode import one_thread
from simulator.own_rewards.source import GIVEN, KEY, CodeSource
from simulator.settings.tables import Settings
from simulator.settings.toml import flatten, override
from simulator.settings.world_spec import WORLD_TABLES
from simulator.sweeps.sweep import Sweep
from simulator.user_code.loading import given_function
from simulator.worlds.build import build_world


def make_world(
    sweep: str | Path | Sweep = "quickstart",
    overrides: Mapping[str, Any] | Sequence[str] = (),
    *,
    gold: Callable[..., Any] | None = None,
    device: str = "cpu",
) -> World:
    """The world of a sweep: its language, prompts, reference and gold.

    sweep: the name of one that ships, the path of a sweep file, or a Sweep. overrides: values by dotted key, such as
    {"world.prompts": 8}, or texts such as "world.prompts=8". gold: a gold reward of your own, a function of token ids,
    prompts [N, L] and responses [N, T], that gives N numbers (docs/howto/own_gold.md). device: "cpu", "cuda", or "auto"
    for whichever is there. Takes about a second for the quickstart's; references are kept in a cache. Raises
    ConfigError.
    """
    if not isinstance(sweep, str | Path | Sweep):
        raise ConfigError(f"sweep = {shown(sweep)}: must be a name, a path or a Sweep")
    found = sweep if isinstance(sweep, Sweep) else Sweep.from_toml(sweep)
    keys = dict(overrides) if isinstance(overrides, Mapping) else values_by_key(overrides)
    settings = changed(found.settings_at({}), keys, "make_world")
    if gold is not None:
        settings = with_gold(settings, gold)
    for key, values in found.sweep.axes.items():
        if key.split(".")[0] in WORLD_TABLES and key not in keys and len(values) > 1:
            raise ConfigError(
                f"{key}: varies in this sweep, and a world has one value of it; say which, such as "
                f"make_world(…, {{{key!r}: {shown(values[0])}}})"
            )
    with one_thread(), torch.no_grad():
        simulated = build_world(settings, choose_device(device))
    return World(settings=settings, simulated=simulated)


def with_gold(settings: Settings, function: Callable[..., Any]) -> Settings:
    """The settings with a function as gold reward. Raises ConfigError."""
    if not callable(function):
        raise ConfigError(f"gold = {shown(function)}: must be a function of prompts [N, L] and responses [N, T]")
    name = GIVEN + getattr(function, "__name__", type(function).__name__).strip("<>")
    source = CodeSource(base_folder=settings.source.base_folder, given={name: given_function(function, name, KEY)})
    return changed(settings, {"gold.reward": name}, "make_world").found_in(source)


def values_by_key(texts: Sequence[str]) -> dict[str, Any]:
    """Values by dotted key, of texts such as "world.prompts=8". Raises ConfigError."""
    tables: dict[str, Any] = {}
    for text in texts:
        override(tables, text)
    return {name: value for table, keys in tables.items() for name, value in flatten(table, keys)}
