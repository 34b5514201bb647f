"""The best policies against a proxy, in closed form."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import simulator as sim
from simulator.divergences import DIVERGENCES
from simulator.divergences.optimum import optimum
from simulator.engine.recorder import Recorder
from simulator.methods.algorithms.closed_form import LOWEST, law_of
from simulator.methods.gibbs import METHOD, Gibbs
from simulator.proxies.scores import Trained, make_proxy
from simulator.sweeps.grid import expand
from tests.conftest import heard, small_sweep


def test_gibbs_climbs_its_proxy_and_nobody_has_more_of_it(tmp_path: Path) -> None:
    proxy = {"width": 8, "steps": 40, "batch": 16}
    sweep = small_sweep(proxy=proxy, sweep={"method": ["gibbs", "best_of_n"], "seeds": 1})
    with heard():  # of settings that these methods do not read
        curves = pd.read_parquet(sim.run_sweep(sweep, tmp_path / "out", workers=1) / "curves.parquet")
    gibbs, best = (curves[curves["method"] == method] for method in ("gibbs", "best_of_n"))
    assert min(len(gibbs), len(best)) > 8
    assert gibbs["kl"].is_monotonic_increasing
    assert gibbs["proxy"].is_monotonic_increasing
    assert gibbs["tau"].is_monotonic_decreasing
    at_most = np.interp(best["kl"], gibbs["kl"], gibbs["proxy"])
    inside = best["kl"] < gibbs["kl"].max()
    assert inside.sum() > 4
    assert (best["proxy"][inside] <= at_most[inside] + 1e-3).all()


def test_another_divergence_has_its_own_optima_and_less_gold_at_equal_kl(lab: sim.World) -> None:
    """Against gold itself KL's optima are the most gold at their KL; those of χ² cost less χ² than these."""
    here = lab.simulated
    perfect = Trained(architecture=here.architecture, parameters=here.reference, scores=here.listing.gold)
    proxy = make_proxy([perfect], here.listing, combine="mean", uncertainty=0.0)
    axes = {"method": "gibbs", "seeds": 1, "gibbs.divergence": ["kl", "chi2", "alpha"]}
    with heard():
        runs = expand(small_sweep(sweep=axes))
    for run in runs:
        rows = METHOD.run([run], here, [proxy], Recorder())
        name = run.settings.of(Gibbs).divergence
        assert set(rows["gibbs_divergence"]) == {name}
        assert set(rows["status"]) == {"ok"}
        assert len(rows) == 97
        assert rows["gold"].is_monotonic_increasing
        assert (rows["gold"] <= lab.oracle(rows["kl"]) + 1e-5).all()
        assert ("mu_squared" in rows) == (name != "chi2")
        middle = rows["kl"].between(0.3, 1.0)
        gap = (lab.oracle(rows["kl"]) - rows["gold"])[middle].to_numpy()
        assert (gap.max() > 1e-3) == (name != "kl")
        assert rows["kl"].iloc[0] < 0.01 < 1 < rows["kl"].iloc[-1]


def test_a_gold_reward_as_proxy_of_itself_is_the_oracle(lab: sim.World) -> None:
    """A proxy whose scores are gold's is recalibrated to gold itself, and its Gibbs policies are the oracle's."""
    here = lab.simulated
    perfect = Trained(architecture=here.architecture, parameters=here.reference, scores=7 * here.listing.gold + 3)
    proxy = make_proxy([perfect], here.listing, combine="mean", uncertainty=0.0)
    assert proxy.table == pytest.approx(here.listing.gold, abs=1e-6)
    gibbs = METHOD.run(expand(small_sweep(sweep={"method": "gibbs", "seeds": 1})), here, [proxy], Recorder())
    oracle = here.oracle("x")
    for name in ("kl", "gold", "proxy"):
        assert gibbs[name].to_numpy() == pytest.approx(oracle[name if name != "proxy" else "gold"].to_numpy(), abs=1e-5)
    assert gibbs["gold"].to_numpy() == pytest.approx(lab.oracle(gibbs["kl"]), abs=1e-5)


def test_laws_far_below_the_reference_are_what_they_are(lab: sim.World) -> None:
    """Only a probability of 0 has a stand-in for its logarithm: under KL + chi² none is 0, however small."""
    reference = lab.simulated.reference_law.reference
    scores, strength = lab.simulated.reference_law.gold, torch.tensor([1e-6], dtype=torch.float64)
    found = law_of(DIVERGENCES["chi2_kl"])(reference, scores, strength)
    true = optimum(DIVERGENCES["chi2_kl"], reference, scores, strength)
    assert true.min() < 10 * LOWEST
    assert torch.equal(found, true)
    with_zeros = law_of(DIVERGENCES["chi2"])(reference, scores, strength)
    assert with_zeros.min() == LOWEST
