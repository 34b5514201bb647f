"""Planted proxies in worlds: their unit, the same errors everywhere, what their record says."""

import math

import numpy as np
import pytest
import torch
from scipy.optimize import brentq

import simulator as sim
from simulator.common.random_streams import random_stream
from simulator.planted.draws import normal
from simulator.proxies.planted_facts import optimum_against
from simulator.proxies.scores import scorer_of
from tests.conftest import small_sweep

SAMPLED = {"world": {"kind": "sampled"}, "measure": {"baseline": 64}}
LAWS = ("gaussian", "student", "correlated", "thin", "blind_spot")


@pytest.fixture(scope="module")
def sampled() -> sim.World:
    return sim.make_world(small_sweep(**SAMPLED))


def error_of(lab: sim.World, proxy: sim.Proxy) -> np.ndarray:
    return proxy.ensemble.table - lab.simulated.listing.gold


def weighted(lab: sim.World, first: np.ndarray, second: np.ndarray) -> float:
    """The covariance within prompts under the reference, by numpy."""
    law = lab.simulated.listing.reference_probs
    return float(np.mean([np.cov(*two, aweights=w, ddof=0)[0, 1] for *two, w in zip(first, second, law, strict=True)]))


@pytest.mark.parametrize("error", LAWS)
def test_scores_are_gold_and_an_error_of_the_asked_deviation(error: str, lab: sim.World) -> None:
    proxy = sim.planted_proxy(lab, error=error, noise=0.7, seed=3)
    found = error_of(lab, proxy)
    assert (lab.simulated.listing.reference_probs * found).sum(axis=1) == pytest.approx(np.zeros(3), abs=1e-12)
    if error != "blind_spot":
        assert weighted(lab, found, found) == pytest.approx(0.49)
    twice = error_of(lab, sim.planted_proxy(lab, error=error, noise=1.4, seed=3))
    assert twice == pytest.approx(2 * found)  # the same draws
    assert sim.planted_proxy(lab, error=error, noise=0.0).ensemble.table == pytest.approx(lab.simulated.listing.gold)
    if error != "blind_spot":
        assert not np.allclose(error_of(lab, sim.planted_proxy(lab, error=error, noise=0.7, seed=4)), found)


def test_the_gaussian_error_is_that_of_its_stream(lab: sim.World) -> None:
    """Drawn, centred and scaled here, response by response."""
    key = int(random_stream(5, "planted", "gaussian", 0).integers(2**64, dtype=np.uint64))
    z = np.array(
        [
            [normal(key, np.array([prompt]), np.array([[row]]))[0, 0] for row in lab.responses.tolist()]
            for prompt in lab.prompts.tolist()
        ]
    )
    law = lab.simulated.listing.reference_probs
    z -= np.array([np.average(row, weights=w) for row, w in zip(z, law, strict=True)])[:, None]
    z /= math.sqrt(np.mean([np.average(row**2, weights=w) for row, w in zip(z, law, strict=True)]))
    found = error_of(lab, sim.planted_proxy(lab, error="gaussian", noise=1.0, seed=5))
    assert found == pytest.approx(z)


def test_gold_regresses_to_the_mean_as_the_closed_form_says(lab: sim.World) -> None:
    """Slope of gold on proxy (1 + r n) / (1 + 2 r n + n²), which is Var / (Var + n²) without correlation."""
    gold = lab.simulated.listing.gold
    for r, noise in ((0.0, 0.5), (0.0, 2.0), (-0.6, 1.0), (0.9, 3.0)):
        proxy = sim.planted_proxy(lab, error="correlated", correlation=r, noise=noise, seed=1).ensemble.table
        slope = weighted(lab, gold, proxy) / weighted(lab, proxy, proxy)
        assert slope == pytest.approx((1 + r * noise) / (1 + 2 * r * noise + noise**2))


@pytest.mark.parametrize("error", ["gaussian", "student", "thin"])
def test_a_response_has_the_same_error_in_listed_and_in_sampled_worlds(
    error: str, lab: sim.World, sampled: sim.World
) -> None:
    """But for the zero at each prompt and the unit, which come from a sample there."""
    assert torch.equal(lab.prompts, sampled.prompts)
    every = lab.responses.expand(3, -1, -1)
    here = error_of(lab, sim.planted_proxy(lab, error=error, seed=2))
    anew = sim.planted_proxy(sampled, error=error, seed=2).score(sampled.prompts, every).numpy()
    gold = sampled.simulated.gold_of(torch.arange(3)[None], every[None])[0].numpy()
    there = anew - gold
    slopes = [np.polyfit(x, y, 1)[0] for x, y in zip(here, there, strict=True)]
    assert slopes == pytest.approx([slopes[0]] * 3, rel=1e-4)
    assert there - slopes[0] * here == pytest.approx(
        np.repeat((there - slopes[0] * here)[:, :1], here.shape[1], axis=1), abs=2e-3 * np.abs(there).max()
    )


@pytest.mark.parametrize("combine", ["mean", "worst_case", "uncertainty_weighted"])
def test_members_are_combined_in_golds_unit(combine: str, lab: sim.World, sampled: sim.World) -> None:
    several = sim.planted_proxy(lab, error="gaussian", noise=2.0, members=3, combine=combine, seed=6)
    each = np.stack([member.scores for member in several.ensemble.members])
    law = lab.simulated.listing.reference_probs
    each -= (law * each).sum(axis=2, keepdims=True)
    assert not np.allclose(each[0], each[1])
    by_hand = {
        "mean": each.mean(axis=0),
        "worst_case": each.min(axis=0),
        "uncertainty_weighted": each.mean(axis=0) - 0.5 * ((each - each.mean(axis=0)) ** 2).sum(axis=0) / 3,
    }[combine]
    by_hand -= (law * by_hand).sum(axis=1, keepdims=True)
    assert several.ensemble.table == pytest.approx(by_hand)
    assert len(several.facts) == 3
    one = sim.planted_proxy(sampled, error="gaussian", noise=2.0, members=3, combine=combine, seed=6)
    listed = sampled.simulated.measurement.baseline.responses
    assert one.score(sampled.prompts, listed).numpy() == pytest.approx(one.ensemble.table, abs=1e-9)


def test_trained_and_planted_proxies_score_side_by_side(sampled: sim.World) -> None:
    """Alone or with others: the same bits."""
    planted = [sim.planted_proxy(sampled, error="thin", seed=seed).ensemble for seed in (0, 1)]
    trained = sim.train_proxy(sampled, sampled.preferences(48, seed=0), width=4, steps=5).ensemble
    here = sampled.simulated
    responses = here.measurement.baseline.responses[:, :9].expand(3, -1, -1, -1)
    rows = torch.arange(3).expand(3, 3)
    together = scorer_of(here, [planted[0], trained, planted[1]]).of(rows, responses)
    for number, proxy in enumerate((planted[0], trained, planted[1])):
        assert torch.equal(scorer_of(here, [proxy]).of(rows[:1], responses[:1])[0], together[number])


def test_facts_under_the_optimum_are_those_of_the_policy_with_that_kl(lab: sim.World) -> None:
    proxy = sim.planted_proxy(lab, error="gaussian", noise=1.0, seed=3)
    facts, here = proxy.facts.iloc[0], lab.simulated
    reference, gold, table = here.reference_log_probs.numpy(), here.listing.gold, proxy.ensemble.table
    law, kl = optimum_against(reference, table, nats=1.0)

    def at(log_tau: float) -> np.ndarray:
        weights = np.exp(reference) * np.exp((table - table.max()) / math.exp(log_tau))
        return np.asarray(weights / weights.sum(axis=1, keepdims=True))

    def kl_at(log_tau: float) -> float:
        found = at(log_tau)
        return float((found * (np.log(np.maximum(found, 1e-300)) - reference)).sum(axis=1).mean())

    tau = brentq(lambda log_tau: kl_at(log_tau) - 1.0, -3, 5)
    assert kl == pytest.approx(1.0)
    assert law == pytest.approx(at(tau), abs=1e-9)
    most = float((-reference[np.arange(3), table.argmax(axis=1)]).mean())
    assert facts["optimum_kl"] == pytest.approx(min(4.0, most), abs=1e-6)
    assert facts["correlation"] == pytest.approx(
        weighted(lab, table, gold) / math.sqrt(weighted(lab, table, table) * weighted(lab, gold, gold))
    )
    assert facts[["parameters", "pairs", "held_out_loss"]].isna().all()


def test_what_cannot_be_planted_is_said(lab: sim.World) -> None:
    with pytest.raises(sim.ConfigError, match=r'proxy.error \(="length"\) needs responses that may end early'):
        sim.planted_proxy(lab, error="length")
    with pytest.raises(sim.ConfigError, match="did you mean student"):
        sim.planted_proxy(lab, error="studnet")
    with pytest.raises(sim.ConfigError, match="less than or equal to 1"):
        sim.planted_proxy(lab, correlation=1.5)
    tables = {"proxy": {"kind": "planted", "error": "blind_spot"}, "world": {"response_length": 1}}
    with pytest.raises(sim.ConfigError, match=r"response_length \(=1\) of at least 2"):
        sim.planted_proxy(sim.make_world(small_sweep(**tables)))
    assert "error='thin', noise=0.5" in repr(sim.planted_proxy(lab, error="thin", noise=0.5))
