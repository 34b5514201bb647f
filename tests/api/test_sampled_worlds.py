"""The public surface in worlds whose responses cannot be listed: estimates, with errors that cover the truth.

The worlds are small ones that are declared sampled, so that an enumerable twin knows the truth.
"""

import numpy as np
import pandas as pd
import pytest
import torch

import simulator as sim
from simulator.api.measuring import WEIGHTED, checked_weights
from simulator.measurement.estimators import cluster_mean, reweighted
from tests.conftest import small_sweep

MANY = {"prompts": 3, "samples": 400, "baseline": 400}


@pytest.fixture(scope="module")
def listed() -> sim.World:
    return sim.make_world(small_sweep())


@pytest.fixture(scope="module")
def sampled() -> sim.World:
    return sim.make_world(small_sweep(world={"kind": "sampled"}, measure=MANY))


@pytest.fixture(scope="module")
def policies(listed: sim.World) -> sim.Policies:
    return sim.train(listed, listed.preferences(48), loss="logistic", beta=[0.5, 5.0], steps=20)


def near(world: sim.World, truth: sim.World, policies: sim.Policies, measured: pd.DataFrame) -> bool:
    """Whether estimates are within four standard errors of the truth, and these are there and not large."""
    exact = truth.measure(policies)
    for name in ("kl", "gold", "win_rate", "entropy"):
        errors = measured[f"{name}_se"].to_numpy()
        assert (errors > 0).all()
        assert (errors < 0.2).all()
        off = np.abs(measured[name] - exact[name]) / errors
        if not (off < 4).all():
            return False
    return True


def test_worlds_are_twins(listed: sim.World, sampled: sim.World) -> None:
    assert listed.facts["reference_sha256"] == sampled.facts["reference_sha256"]
    assert torch.equal(listed.prompts, sampled.prompts)


def test_policies_have_errors_that_cover_the_truth(
    listed: sim.World, sampled: sim.World, policies: sim.Policies
) -> None:
    assert near(sampled, listed, policies, sampled.measure(policies))


def test_a_function_is_measured_on_weighted_responses(
    listed: sim.World, sampled: sim.World, policies: sim.Policies
) -> None:
    measured = sampled.measure(policies.log_prob)
    assert near(sampled, listed, policies, measured)
    assert (measured["effective_samples"] > 128).all()
    assert (measured["effective_samples"] <= 4096).all()


def test_a_function_is_measured_on_its_own_samples(
    listed: sim.World, sampled: sim.World, policies: sim.Policies
) -> None:
    one = policies[0]
    measured = sampled.measure(
        lambda prompts, responses: one.log_prob(prompts, responses)[0].numpy(),
        sample=lambda prompts, count: one.sample(prompts, count, seed=5)[0].numpy(),
    )
    assert near(sampled, listed, one, measured)
    assert "effective_samples" not in measured


def test_training_works_alike(sampled: sim.World) -> None:
    pairs = sampled.preferences(48)
    policies = sim.train(sampled, pairs, loss=["logistic", "simper"], beta=0.5, steps=10)
    assert (policies.curves.groupby("run_id").last()["kl_se"] > 0).all()
    assert set(policies.curves["kl_source"]) == {"sampled"}
    proxy = sim.train_proxy(sampled, pairs, width=16, steps=20)
    assert set(sim.best_of_n(sampled, proxy, [1, 4], pool=64)["kl_source"]) == {"bound"}
    measured = sampled.measure(policies, pairs=pairs, proxy=proxy)
    assert measured["train_accuracy"].between(0, 1).all()


def test_what_a_sampled_world_does_not_know(sampled: sim.World, policies: sim.Policies) -> None:
    for ask in (lambda: sampled.oracle(1.0), lambda: sampled.responses):
        with pytest.raises(sim.ConfigError, match=r'needs world\.kind = "enumerable"'):
            ask()
    off = r"the mean of pi / pi_ref under the reference is .* at a prompt, not 1: either"
    with pytest.raises(sim.ConfigError, match=off):
        sampled.measure(lambda prompts, responses: policies[0].log_prob(prompts, responses)[0] / 3)
    with pytest.raises(sim.ConfigError, match=r"measure: sample: must have the shape \[3, 400, 3\]"):
        sampled.measure(policies[0].log_prob, sample=lambda prompts, count: policies.sample(prompts, 2)[0])


@pytest.mark.parametrize("rank", [0, 1, 2, 3, 5])
def test_a_policy_far_from_the_reference_is_refused(listed: sim.World, sampled: sim.World, rank: int) -> None:
    """Nearly all probability on one response that the reference hardly ever gives."""
    everything = listed.responses.expand(len(listed.prompts), -1, -1)
    likely = listed.reference.log_prob(listed.prompts, everything)[0].amax(dim=0)
    one = listed.responses[likely.argsort()[rank]]

    def far(prompts: torch.Tensor, responses: torch.Tensor) -> torch.Tensor:
        return torch.where((responses == one).all(dim=-1), np.log(0.9999), np.log(0.0001 / 63))

    assert listed.measure(far)["kl"][0] > 1
    with pytest.raises(
        sim.ConfigError, match=r"what the reference hardly ever says|of 4096 responses .* weigh anything"
    ):
        sampled.measure(far)


@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_weighted_estimates_are_covered_where_they_are_not_refused(temperature: float) -> None:
    """KL and gold of Gibbs policies at 0.4 and 1.6 nats, in 200 draws of the reference's responses."""
    rng = np.random.default_rng(0)
    reference = np.exp(1.5 * rng.normal(size=4096))
    reference /= reference.sum()
    gold = rng.normal(size=4096)
    gold -= reference @ gold
    gold /= np.sqrt(reference @ gold**2)
    policy = reference * np.exp(gold / temperature)
    policy /= policy.sum()
    truth = {"kl": policy @ np.log(policy / reference), "gold": policy @ gold}
    beyond = dict.fromkeys(truth, 0)
    for _ in range(200):
        drawn = rng.choice(4096, size=(1, 3, WEIGHTED), p=reference)
        values = {"kl": np.log(policy / reference)[drawn], "gold": gold[drawn]}
        weights = checked_weights(torch.from_numpy(values["kl"]))
        for name, value in values.items():
            found = cluster_mean(reweighted(torch.from_numpy(value), weights), share=1.0)
            beyond[name] += abs(float(found.mean) - truth[name]) > 1.96 * float(found.error)
    assert all(0.01 <= count / 200 <= 0.1 for count in beyond.values()), beyond


def test_probability_that_the_reference_never_showed_is_missed() -> None:
    """A twentieth of the probability on a response that was never drawn: the mean weight is a twentieth short of 1."""
    ratio = torch.full((1, 2, WEIGHTED), float(np.log(0.95)), dtype=torch.float64)
    with pytest.raises(sim.ConfigError, match=r"pi / pi_ref under the reference is 0.95 at a prompt, not 1: "):
        checked_weights(ratio)
