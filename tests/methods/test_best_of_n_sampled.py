"""Best-of-n in a sampled world: estimates from a pool, their errors, and how a pool is drawn."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import simulator as sim
from simulator.methods.algorithms.best_of_n_sampled import CHUNK, read_pool
from simulator.proxies.scores import scorer_of
from simulator.worlds.components import make_components
from simulator.worlds.reference_sample import draw_reference_sample, list_baseline
from tests.conftest import small_sweep

SAMPLED = {"kind": "sampled"}


def proxy_in(world: sim.World, lab: sim.World) -> sim.Proxy:
    """One network, trained on the pairs of the enumerable twin, as a proxy in another world."""
    pairs = lab.preferences(48)
    own = sim.Pairs(prompts=pairs.prompts, chosen=pairs.chosen, rejected=pairs.rejected)
    return sim.train_proxy(world, own, steps=40, settings={"proxy.width": 8, "proxy.batch": 16})


def test_estimates_from_a_pool_agree_with_the_exact_values(lab: sim.World) -> None:
    rungs = [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64]
    here = sim.make_world(small_sweep(world=SAMPLED, measure={"baseline": 2000}))
    there, twin = (proxy_in(world, lab) for world in (lab, here))
    assert torch.equal(there.ensemble.members[0].parameters, twin.ensemble.members[0].parameters)
    exact, found = sim.best_of_n(lab, there, rungs), sim.best_of_n(here, twin, rungs, pool=4000)
    both = found.merge(exact, on="n", suffixes=("", "_exact"))
    assert len(both) == len(found) == len(rungs)
    for name in ("gold", "fluency", "win_rate", "length"):
        off = (both[name] - both[f"{name}_exact"]).to_numpy(), both[f"{name}_se"].to_numpy()
        assert (np.abs(off[0]) <= 4 * off[1] + 1e-9).all(), name
        assert (off[1] < 0.1).all()
    # the proxy's unit is estimated in each world, so its scores agree but for a common factor
    ratio = both.loc[both["n"] > 1, "proxy"] / both.loc[both["n"] > 1, "proxy_exact"]
    assert ratio.to_numpy() == pytest.approx(np.full(len(ratio), ratio.mean()), rel=0.05)
    assert 0.7 < ratio.mean() < 1.4
    assert (found["kl_source"] == "bound").all()
    n = found["n"].to_numpy()
    assert found["kl"].to_numpy() == pytest.approx(np.log(n) - (n - 1) / n)


@pytest.mark.slow
def test_standard_errors_of_the_pool_are_the_spread_over_worlds_samples(lab: sim.World) -> None:
    """Worlds that differ in nothing but the noise of baseline and pool."""
    world = sim.make_world(small_sweep(world=SAMPLED, measure={"baseline": 64}))
    first, settings = world.simulated, world.settings
    ground, tables = make_components(settings, torch.device("cpu")), []
    for seed in range(30):
        other = settings.model_copy(update={"world": settings.world.model_copy(update={"seed": 100 + seed})})
        with torch.no_grad():
            judge, baseline, _ = draw_reference_sample(other, ground, first.measurement.prompts, first.reference, None)
            listing = list_baseline(baseline, first.measurement.rows)
        measurement = replace(first.measurement, judge=judge, baseline=baseline, seed=100 + seed)
        again = replace(world, simulated=replace(first, measurement=measurement, listing=listing))
        tables.append(sim.best_of_n(again, proxy_in(again, lab), [1, 2, 4, 8], pool=200).set_index("n"))
    for name in ("gold", "win_rate", "proxy"):
        for n in (2, 8):
            values = np.array([table.loc[n, name] for table in tables])
            said = np.mean([table.loc[n, f"{name}_se"] for table in tables])
            assert 0.65 < said / values.std(ddof=1) < 1.5, (name, n)


def test_a_pool_is_drawn_in_pieces_and_its_beginning_does_not_depend_on_its_size(lab: sim.World) -> None:
    here = sim.make_world(small_sweep(world=SAMPLED, measure={"baseline": 8}))
    scorer = scorer_of(here.simulated, [proxy_in(here, lab).ensemble])
    with torch.no_grad():
        few, many = (read_pool(here.simulated, scorer, size) for size in (77, CHUNK + 77))
    for name, values in few[0].items():
        assert values.shape == (3, 77)
        assert values == pytest.approx(many[0][name][:, :77], abs=3e-5), name
    assert few[1] == pytest.approx(many[1][..., :77], abs=1e-6)
    first, second = many[1][0, 0, :77], many[1][0, 0, CHUNK:]
    assert not np.allclose(first, second)
