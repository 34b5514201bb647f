"""A small world and pairs in it, as users have them."""

import pytest

import simulator as sim


@pytest.fixture(scope="session")
def world(lab: sim.World) -> sim.World:
    """The world that tests of the public surface look at."""
    return lab


@pytest.fixture(scope="session")
def pairs(world: sim.World) -> sim.Pairs:
    return world.preferences(48, seed=3)
