"""Worlds of every kind, made from what they follow from."""

from collections.abc import Callable

import torch

from simulator.settings.tables import Settings
from simulator.settings.world_spec import WorldSpec
from simulator.worlds.components import Components, make_components
from simulator.worlds.enumerable import list_world
from simulator.worlds.protocol import World
from simulator.worlds.sampled import sample_world

KINDS: dict[str, Callable[[WorldSpec, Components, torch.device], World]] = {
    "enumerable": list_world,
    "sampled": sample_world,
}


def build_world(made_of: WorldSpec | Settings, device: torch.device | None = None) -> World:
    """Make a world on `device`, the CPU unless said. Raises ConfigError where what it is made of allows none."""
    spec = made_of if isinstance(made_of, WorldSpec) else made_of.spec
    device = device or torch.device("cpu")
    return KINDS[spec.world.kind](spec, make_components(spec, device), device)
