"""Worlds made from sweeps."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from simulator.api.arguments import changed, plain
from simulator.api.world import World
from simulator.common.errors import ConfigError, shown
from simulator.execution.devices import choose_device
from simulator.networks.compute_mode import one_thread
from simulator.settings.world_spec import WORLD_TABLES
from simulator.sweeps.sweep import Sweep
from simulator.worlds.build import build_world


def make_world(
    sweep: str | Path | Sweep = "quickstart", overrides: Mapping[str, Any] | Sequence[str] = (), *, device: str = "cpu"
) -> World:
    """The world of a sweep: its language, prompts, reference and gold.

    sweep: the name of one that ships, the path of a sweep file, or a Sweep. overrides: values by dotted key, such as
    {"world.prompts": 8}, or texts such as "world.prompts=8". device: "cpu", "cuda", or "auto" for whichever is there.
    Takes about a second for the quickstart's; references are kept in a cache. Raises ConfigError.
    """
    if isinstance(overrides, Mapping):
        texts = [f"{key}={json.dumps(plain(value), ensure_ascii=False)}" for key, value in overrides.items()]
    else:
        texts = list(overrides)
    keys = [text.partition("=")[0].strip() for text in texts]
    if isinstance(sweep, Sweep):
        found, settings = sweep, changed(sweep.settings_at({}), dict_of(overrides, texts), "make_world")
    elif isinstance(sweep, str | Path):
        found = Sweep.from_toml(sweep, texts)
        settings = found.settings_at({})
    else:
        raise ConfigError(f"sweep = {shown(sweep)}: must be a name, a path or a Sweep")
    for key, values in found.sweep.axes.items():
        if key.split(".")[0] in WORLD_TABLES and key not in keys and len(values) > 1:
            raise ConfigError(
                f"{key}: varies in this sweep, and a world has one value of it; say which, such as "
                f"make_world(…, {{{key!r}: {shown(values[0])}}})"
            )
    with one_thread(), torch.no_grad():
        simulated = build_world(settings, choose_device(device))
    return World(settings=settings, simulated=simulated, base_folder=found.base_folder)


def dict_of(overrides: Mapping[str, Any] | Sequence[str], texts: Sequence[str]) -> dict[str, Any]:
    """Overrides as values by key. Raises ConfigError where they are texts, which only a sweep file takes."""
    if not isinstance(overrides, Mapping) and texts:
        raise ConfigError("overrides: must be values by key, such as {'world.prompts': 8}, where a Sweep is given")
    return dict(overrides) if isinstance(overrides, Mapping) else {}
