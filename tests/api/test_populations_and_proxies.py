"""What a world of the whole population, or of planted proxies, allows from Python."""

import pytest

import simulator as sim
from simulator.common.errors import ConfigError
from tests.conftest import small_sweep


def test_a_proxy_can_be_trained_where_proxies_are_planted() -> None:
    world = sim.make_world(small_sweep(proxy={"kind": "planted", "error": "student"}))
    pairs = world.preferences(60, seed=0)
    trained = sim.train_proxy(world, pairs, width=4, steps=3)
    plain = sim.make_world(small_sweep())
    same = sim.train_proxy(plain, plain.preferences(60, seed=0), width=4, steps=3)
    assert trained.facts["correlation"].tolist() == same.facts["correlation"].tolist()


def test_a_population_is_no_place_for_counts_filters_and_proxies() -> None:
    population = small_sweep(data={"population": True}, world={"vocabulary": 3, "response_length": 2})
    world = sim.make_world(population)
    pairs = world.preferences()
    assert pairs.weights is not None
    assert len(pairs) == len(world.prompts) * 9 * 10 // 2
    with pytest.raises(ConfigError, match=r"pairs = 5: this world has data\.population = true, which is all pairs"):
        world.preferences(5)
    with pytest.raises(ConfigError, match="a proxy learns from drawn pairs"):
        sim.train_proxy(world, pairs)
    with pytest.raises(ConfigError, match=r'data\.filter is "ches"'):
        sim.make_world(population, {"data.filter": "ches"})
