"""Worlds: what all runs of a sweep, or of one point of it, share.

Only methods that have a closed form in one kind of them ask beyond this interface of which kind a world is.

Shapes: R runs, P prompts, L prompt length, D parameters, N pairs.
"""

from collections.abc import Callable

import torch

from simulator.settings.tables import Settings
from simulator.worlds.components import Ground, make_ground
from simulator.worlds.enumerable import list_world
from simulator.worlds.protocol import World
from simulator.worlds.sampled import sample_world

KINDS: dict[str, Callable[[Settings, Ground, torch.device], World]] = {
    "enumerable": list_world,
    "sampled": sample_world,
}


def build_world(settings: Settings, device: torch.device | None = None) -> World:
    """Make the world of `settings` on `device`, the CPU unless said. Raises ConfigError where they allow none."""
    device = device or torch.device("cpu")
    return KINDS[settings.world.kind](settings, make_ground(settings, device), device)
