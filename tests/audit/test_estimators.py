"""Every estimator against what `rl` computes on the same responses, and against planted truth."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from simulator.audit.batches import expectation_of, gradients, spread, sum_of
from simulator.audit.catalogue import of_kl, of_objective, of_reuse
from simulator.audit.estimators import Estimator, Simulated
from simulator.audit.place import draw
from simulator.audit.policy import exact_gradient, kl_gradient, path, reverse_kl_gradient
from simulator.audit.table import audit_table, places_at
from simulator.methods.algorithms.policy_gradients import objective
from simulator.methods.algorithms.surrogates import (
    SURROGATES,
    Algorithm,
    Rollout,
    group_standardized,
    returns_to_go,
    surrogate_loss,
)
from simulator.settings.tables import Train
from tests.audit.conftest import Site

SAME = {"RLOO": "rloo", "Dr. GRPO": "dr_grpo", "GRPO as published": "grpo", "REINFORCE++": "reinforce_pp"}


@pytest.fixture(scope="module", params=["plain", "ending"])
def site(request: pytest.FixtureRequest) -> Site:
    return request.getfixturevalue(request.param)


def named(estimators: list[Estimator], name: str) -> Estimator:
    (found,) = (one for one in estimators if one.name == name)
    return found


def test_gradients_of_laws_agree(site: Site) -> None:
    """The exact gradient is that of the method `exact`; reverse and forward KL have numerical slopes."""
    world, theta = site.asked.world, site.asked.parameters.double()
    leaf, tau = theta[None].requires_grad_(), torch.tensor([[0.3]], dtype=torch.float64)
    value = objective(leaf, world, site.asked.reward[None], tau).sum()
    (expected,) = torch.autograd.grad(value, leaf)
    assert torch.allclose(exact_gradient(world, theta, site.asked.reward, 0.3), expected[0], atol=1e-6)
    way = torch.randn(len(theta), generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    start = world.policy_class.laws(world.policy_class.start.double()[None])[0]

    def both(at: torch.Tensor) -> np.ndarray:
        law = world.policy_class.laws(at[None])[0]
        kl = (law.exp() * (law - start)).sum(dim=-1).mean()
        return np.array([kl, (start.exp() * (start - law)).sum(dim=-1).mean()])

    slopes = (both(theta + 1e-6 * way) - both(theta - 1e-6 * way)) / 2e-6
    found = [float(gradient(world, theta) @ way) for gradient in (kl_gradient, reverse_kl_gradient)]
    assert found == pytest.approx(slopes, rel=1e-4, abs=1e-7)


def test_what_each_estimator_of_the_penalty_has_for_a_mean(site: Site) -> None:
    world, theta = site.asked.world, site.asked.parameters.double()
    forward, reverse = kl_gradient(world, theta), reverse_kl_gradient(world, theta)
    means = {one.name: one.kind.moments(site.places, 4).mean for one in of_kl()}
    size = float(forward.norm())
    assert means["k1 in the loss"].norm() < 1e-12 * size
    for name in ("k2 in the loss", "k1 in the reward", "k1 in the reward, to go", "k1 in the reward, RLOO"):
        assert (means[name] - forward).norm() < 1e-12 * size, name
    for name in ("k3 in the loss", "k3 in the loss, as reverse KL"):
        assert (means[name] - reverse).norm() < 1e-12 * reverse.norm(), name
    assert (means["k3 in the reward"] - (forward - reverse)).norm() < 1e-12 * reverse.norm()
    assert (reverse - forward).norm() > 0.05 * size
    assert (means["k2 in the loss, by token"] - forward).norm() > 0.01 * size


def test_by_token_the_mean_leaves_out_what_a_token_does_to_later_ones(site: Site) -> None:
    """It is the gradient of the sum of KL between next-token laws, with prefixes from a policy that is held fixed."""
    world, theta = site.asked.world, site.asked.parameters.double()
    means = {one.name: one.kind.moments(site.places, 4).mean for one in of_kl()}
    prompts, law = torch.arange(2)[None], torch.stack([place.law for place in site.places])
    responses = world.responses.expand(1, 2, -1, -1)
    start = world.policy_class.start.double()[None]
    then = world.policy_class.token_log_probs(start, prompts, responses)[0].detach()
    said = (world.responses >= 0).double()
    held = law[..., None] * said / 2
    for name, over_reference in (("k2 in the loss, by token", False), ("k3 in the loss, by token", True)):
        leaf = theta[None].clone().requires_grad_()
        now = world.policy_class.token_log_probs(leaf, prompts, responses)[0]
        gap = then - now if over_reference else now - then
        next_law = ((then if over_reference else now) - now.detach()).exp()  # over that of who draws
        (expected,) = torch.autograd.grad((held * next_law * gap).sum(), leaf)
        assert (means[name] - expected[0]).norm() < 1e-10 * expected.norm(), name


def test_the_objective_without_bias_and_with_what_is_known_of_it(site: Site) -> None:
    world, theta = site.asked.world, site.asked.parameters.double()
    target = exact_gradient(world, theta, site.asked.reward, 0.3)
    found = {
        one.name: one.kind.moments(site.places, 4)
        for one in of_objective(ends=world.end is not None)
        if not isinstance(one.kind, Simulated)
    }
    for name in ("REINFORCE", "REINFORCE, mean baseline", "REINFORCE, best baseline", "REINFORCE, to go", "RLOO"):
        assert (found[name].mean - target).norm() < 1e-12 * target.norm(), name
        assert found[name].variance >= found["REINFORCE, best baseline"].variance or name == "REINFORCE, to go"
    assert torch.allclose(found["Dr. GRPO"].mean, 0.75 * target)
    if world.end is not None:
        assert torch.allclose(found["Dr. GRPO, by longest length"].mean, 0.25 * target)  # of 3 tokens
        own = found["Dr. GRPO, by own length"].mean
        assert 1 - float(own @ target / (own.norm() * target.norm())) > 1e-4


def test_variances_and_means_against_drawn_batches(site: Site) -> None:
    """Of every row, within five standard errors; the sums of weights are the sums of gradients."""
    world, theta = site.asked.world, site.asked.parameters
    drawn = draw(site.places, batches=1000, group=4, seed=1)
    (moved,) = path(world, theta, site.asked.reward, 0.3, [2], Train(learning_rate=0.002))
    there = places_at(site.asked, moved, site.laws)
    parts = [
        (site.places, drawn, [*of_kl(), *of_objective(ends=world.end is not None)]),
        (there, replace(drawn, places=there), of_reuse(2, 0.2)),
    ]
    for places, here, estimators in parts:
        kinds = [one.kind for one in estimators]
        weights = [kind.weights(here) for kind in kinds]
        estimates = gradients(here, weights)
        for one, kind, weight, each in zip(estimators, kinds, weights, estimates, strict=True):
            assert torch.allclose(sum_of(here, weight), each.sum(dim=0), atol=1e-8), one.name
            if isinstance(kind, Simulated) or one.name.startswith("k3"):  # whose tail no thousand batches see
                continue
            moments, (variance, error) = kind.moments(places, 4), spread(each)
            assert variance == pytest.approx(moments.variance, abs=5 * error), one.name
            off = float((each.mean(dim=0) - moments.mean).square().sum())
            assert off < 5 * moments.variance / 1000, one.name  # its mean is the variance over 1000


@pytest.mark.parametrize("name", SAME)
def test_a_batch_has_the_gradient_that_rl_takes(site: Site, name: str) -> None:
    """By autograd of the surrogate on the same responses."""
    world, theta = site.asked.world, site.asked.parameters.double()
    drawn = draw(site.places, batches=2, group=4, seed=2)
    kind = named(of_objective(ends=True), name).kind
    found = gradients(drawn, [kind.weights(drawn)])[0]
    where = "loss" if name == "GRPO as published" else "reward"
    how = Algorithm(
        name=SAME[name],
        prompts=2,
        responses=4,
        ratio_clip=0.2,
        reuse=1,
        kl=where,
        kl_estimator="k3" if where == "loss" else "k1",
    )
    for batch, numbers in enumerate(drawn.numbers):
        responses, prompt = world.responses[numbers][None], torch.arange(2)[None]
        leaf = theta[None].clone().requires_grad_()
        log_probs = world.policy_class.token_log_probs(leaf, prompt, responses)
        start = world.policy_class.start.double()[None]
        reference = world.policy_class.token_log_probs(start, prompt, responses).detach()
        ratio = (log_probs.detach() - reference) * (responses >= 0)
        scores = site.asked.reward.gather(1, numbers)[None]
        own = SURROGATES[SAME[name]]
        if own.of_tokens:
            advantage = own.advantage(returns_to_go(scores, 0.3 * ratio), responses >= 0)
        else:
            advantage = own.advantage(scores - 0.3 * ratio.sum(dim=-1) * (where == "reward"))
        rollout = Rollout(
            prompt=prompt,
            responses=responses,
            old_log_probs=log_probs.detach(),
            advantage=advantage,
            reference_log_probs=reference,
        )
        loss = surrogate_loss(log_probs, rollout, how, torch.tensor([[0.3]], dtype=torch.float64))
        (gradient,) = torch.autograd.grad(loss.sum(), leaf)
        assert torch.allclose(found[batch], -gradient[0], atol=1e-10)


def test_ppo_is_the_gradient_of_its_surrogate(site: Site) -> None:
    world, theta = site.asked.world, site.asked.parameters
    (moved,) = path(world, theta, site.asked.reward, 0.3, [2], site.asked.train)
    places = places_at(site.asked, moved, site.laws)
    found = named(of_reuse(2, 0.2), "ratio of each token, clipped").kind.moments(places, 4).mean
    leaf, prompt = moved.double()[None].requires_grad_(), torch.arange(2)[None]
    responses = world.responses.expand(1, 2, -1, -1)
    log_probs = world.policy_class.token_log_probs(leaf, prompt, responses)[0]
    law, returns = (torch.stack([getattr(place, which) for place in places]) for which in ("law", "returns"))
    advantage = (returns - (law * returns).sum(dim=-1, keepdim=True)).unsqueeze(-1)
    ratio = (log_probs - torch.stack([place.old_log_probs for place in places])).exp()
    gain = torch.minimum(ratio * advantage, ratio.clamp(0.8, 1.2) * advantage) * (responses[0] >= 0)
    (expected,) = torch.autograd.grad((law * gain.sum(dim=-1)).sum(dim=-1).mean(), leaf)
    assert torch.allclose(found, expected[0], atol=1e-10)


def test_simulated_means_are_those_of_every_pair(site: Site) -> None:
    """GRPO's deviation in groups of two, against the sum over all pairs of responses, within four standard errors."""
    kind = named(of_objective(ends=False), "GRPO's deviation alone").kind
    assert isinstance(kind, Simulated)
    exact = []
    for place in site.places:
        pairs = torch.tensor(list(itertools.product(range(len(place.law)), repeat=2)))
        advantage = group_standardized(place.returns[pairs])
        each = torch.zeros_like(place.law)
        each.index_add_(0, pairs.flatten(), (place.law[pairs].prod(dim=1, keepdim=True) * advantage / 2).flatten())
        exact.append(place.scores.sum_of(place.along(each)))
    truth = torch.stack(exact).mean(dim=0)
    drawn = draw(site.places, batches=6000, group=2, seed=3)
    few = drawn.first(1000)
    estimates, controls = gradients(few, [kind.weights(few), kind.control.weights(few)])
    found = expectation_of(kind, site.places, drawn, (estimates, controls), 2)
    off = found.mean - truth
    assert float(off @ off) < 4 * found.excess
    assert found.excess < spread(estimates)[0] / 6000  # the control takes chance away
    ways = torch.randn(5, len(off), generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    for way in ways:
        assert abs(float(off @ way)) < 4 * found.error_along(way)
    target = exact_gradient(site.asked.world, site.asked.parameters.double(), site.asked.reward, 0.3)
    assert float((truth - target).norm()) > 0.1 * float(target.norm())


def test_the_table_says_what_is_known(ending: Site) -> None:
    table = audit_table(replace(ending.asked, batches=1500, looked_at=300))
    again = audit_table(replace(ending.asked, batches=1500, looked_at=300))
    pd.testing.assert_frame_equal(table, again)
    rows = table.set_index(["part", "estimator", "reuse"])
    assert rows.loc[("kl", "k1 in the loss", 0), "scale"] == pytest.approx(0, abs=1e-12)
    assert math.isnan(rows.loc[("kl", "k1 in the loss", 0), "cosine"])
    assert rows.loc[("objective", "RLOO", 0), "bias"] < 1e-12
    assert rows.loc[("objective", "Dr. GRPO", 0), "bias"] == pytest.approx(0.25)
    assert rows.loc[("objective", "Dr. GRPO", 0), "cosine"] == pytest.approx(1)
    assert (rows.loc[("reuse",), "bias"].xs(0, level="reuse") < 1e-12).all()
    assert (rows.loc[("reuse",), "bias"].xs(2, level="reuse") > 1e-3).all()
    assert (rows.loc[table.set_index(["part", "estimator", "reuse"])["how"] == "exact", "bias_se"] == 0).all()
    assert (rows.loc[rows["how"] == "simulated", ["bias_se", "variance_se"]] > 0).all(axis=None)
    assert rows["one_batch_cosine"].between(-1, 1).all()
    assert rows["about"].str.len().gt(10).all()
