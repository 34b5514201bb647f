"""Policies trained without pairs, against closed forms and against weights of 0."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from simulator.common.errors import ConfigError
from simulator.instruments.influence import retraining
from simulator.instruments.influence.derivatives import gold_gradient, influence, margins_and_jacobian, slopes
from simulator.instruments.influence.judging import spearman
from simulator.instruments.influence.retraining import ended, oracle_at, regret, retrained, trained, without
from simulator.instruments.influence.values import singles
from simulator.methods.algorithms.pairwise_training import new_learner
from simulator.preferences.pairs import stack_preferences, with_weights
from tests.instruments.influence.conftest import MakeSite

LONG = ('sweep.loss=["squared"]', "train.steps=800", "train.learning_rate=0.05")


def test_margins_without_a_pair_are_those_of_least_squares(make_site: MakeSite) -> None:
    """(βρ - 1)² of linear policies is regression of 1 on features x: without row i, by Sherman and Morrison, θ is
    θ - (XᵀX)⁻¹ x_i e_i / (1 - h_i), with e_i the residual and h_i the leverage.
    """
    site = make_site(*LONG)
    x = site.run.beta * margins_and_jacobian(site.world, site.pairs, site.world.policy_class.start)[1].numpy()
    inverse = np.linalg.pinv(x.T @ x)
    whole = inverse @ x.sum(axis=0)
    error, leverage = 1 - x @ whole, np.einsum("nd,de,ne->n", x, inverse, x)
    exact = whole - (error / (1 - leverage))[:, None] * (x @ inverse)
    found = trained(site, singles(site), [1] * site.count).double().numpy()
    np.testing.assert_allclose(found @ x.T, exact @ x.T, atol=2e-3)
    assert np.abs(exact @ x.T - whole @ x.T).max() > 0.05  # pairs do matter


def test_influence_ranks_pairs_as_retraining_does_where_it_is_exact(make_site: MakeSite) -> None:
    site = make_site(*LONG)
    found = retrained(site, torch.cat([torch.zeros(1, site.count, dtype=torch.bool), singles(site)]), 1)
    policy = trained(site, torch.zeros(1, site.count, dtype=torch.bool), [1])[0]
    slope = slopes(site.run, site.world, site.pairs, policy)
    first_order = influence(slope, gold_gradient(site.world, policy), 1e-9).numpy()
    assert spearman(first_order, found.gold[0] - found.gold[1:]) > 0.97


@pytest.mark.parametrize("kind", ["linear", "transformer"])
def test_leaving_out_is_a_weight_of_0(kind: str, make_site: MakeSite) -> None:
    site = make_site("train.batch=8", "train.steps=30", "train.engine=torch", kind=kind)
    left_out = torch.zeros(2, site.count, dtype=torch.bool)
    left_out[0, 3] = left_out[1, 5:9] = True
    weighed = stack_preferences([with_weights(site.pairs)] * 2)
    assert weighed.weights is not None
    weighed = replace(weighed, weights=weighed.weights.masked_fill(left_out[..., None], 0.0))
    learner = new_learner([replace(site.run, seed=4)] * 2, site.world, [], weighed)
    learner.advance(site.run.steps)
    found, exact = (
        site.world.policy_class.laws(parameters)
        for parameters in (trained(site, left_out, [4, 4]), learner.state.parameters)
    )
    torch.testing.assert_close(found, exact, atol=2e-3, rtol=0)
    assert float((found[0] - found[1]).abs().max()) > 0.01


def test_a_pair_that_is_left_out_is_one_of_a_response_with_itself(make_site: MakeSite) -> None:
    site = make_site()
    left_out = torch.zeros(1, site.count, dtype=torch.bool)
    left_out[0, 7] = True
    (responses,), (reference,) = (getattr(without(site.pairs, left_out), name) for name in ("responses", "reference"))
    assert torch.equal(responses[7, 0], responses[7, 1])
    assert reference[7, 0] == reference[7, 1]
    others = ~left_out[0]
    assert torch.equal(responses[others], site.pairs.responses[others])
    assert torch.equal(reference[others], site.pairs.reference[others])


def test_stacks_do_not_change_numbers(make_site: MakeSite, monkeypatch: pytest.MonkeyPatch) -> None:
    site = make_site("train.steps=20", "train.batch=8")
    left_out = singles(site)[:7]
    whole = trained(site, left_out, [2] * 7)
    monkeypatch.setattr(retraining, "NUMBERS", 1)
    assert torch.equal(trained(site, left_out, [2] * 7), whole)


def test_regret_is_the_gap_to_the_oracle(make_site: MakeSite) -> None:
    site = make_site("train.steps=50", "train.batch=8")
    policies = retrained(site, singles(site), 3)
    exact = np.array(oracle_at(site, policies.kl)) - policies.gold
    np.testing.assert_allclose(regret(site, policies), exact, atol=1e-7)
    assert (exact > 0).all()


def test_gold_and_kl_are_sums_over_all_responses(make_site: MakeSite) -> None:
    site = make_site("train.steps=50", "train.batch=8", kind="transformer")
    policy = trained(site, singles(site)[:1], [3])
    law = site.world.policy_class.laws(policy)[0].exp().numpy()
    reference, found = site.world.reference_log_probs.exp().numpy(), ended(site, policy)
    assert found.gold[0] == pytest.approx((law * site.world.listing.gold).sum(axis=1).mean(), abs=1e-6)
    assert found.kl[0] == pytest.approx((law * np.log(law / reference)).sum(axis=1).mean(), abs=1e-6)


def test_what_diverges_is_refused(make_site: MakeSite) -> None:
    site = make_site("train.steps=5", "train.learning_rate=1e12", 'sweep.loss=["exponential"]')
    with pytest.raises(ConfigError, match=r"train.learning_rate \(=1e\+12\): a policy diverged"):
        trained(site, singles(site)[:2], [1, 1])
