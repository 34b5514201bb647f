"""Preference data against the law it is drawn from and the rule it is labelled by."""

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import expit

import simulator as sim
from gold_rewards import Judged, LabelRule, preference_probability
from simulator.preferences.pairs import chosen_first
from simulator.settings.data_table import Data
from simulator.worlds.behaviour import (
    BehaviourPolicy,
    behaviour_distribution,
    behaviour_temperature,
    draw_pairs,
    has_identical,
    redraw_alike,
    sample_by_inverse,
    side_distributions,
)
from tests.conftest import small_sweep

LAW = np.array([[0.5, 0.3, 0.2], [0.1, 0.1, 0.8]])
GOLD = np.array([[0.0, 1.0, 2.0], [1.0, 1.0, -1.0]])


def draw(pairs: int, seed: int = 0, **settings: object) -> tuple[np.ndarray, np.ndarray]:
    """Prompts [N], and responses [N, 2] with the chosen one first."""
    prompt, response, draws = draw_pairs((LAW, LAW), pairs=pairs, rng=np.random.default_rng(seed))
    order, _ = chosen_first(Judged(gold=GOLD[prompt[:, None], response]), draws, LabelRule(**settings))
    return prompt, np.take_along_axis(response, order, axis=1)


def test_responses_are_drawn_from_mu() -> None:
    prompt, response = draw(60_000)
    for p in range(2):
        here = prompt == p
        assert here.mean() == pytest.approx(0.5, abs=0.01)
        both = response[here].ravel()
        assert np.bincount(both, minlength=3) / len(both) == pytest.approx(LAW[p], abs=0.01)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, expit(1.0)),
        ({"temperature": 0.5}, expit(2.0)),
        ({"noise": 0.25}, 0.75 * expit(1.0) + 0.25 * expit(-1.0)),
        ({"labels": "deterministic"}, 1.0),
        ({"labels": "deterministic", "noise": 0.1}, 0.9),
    ],
)
def test_labels_follow_the_rule(settings: dict[str, object], expected: float) -> None:
    prompt, response = draw(60_000, **settings)
    gap = GOLD[prompt, response[:, 0]] - GOLD[prompt, response[:, 1]]
    one_apart = np.abs(gap) == 1.0
    assert (gap[one_apart] > 0).mean() == pytest.approx(expected, abs=0.01)


def test_a_tie_is_a_fair_coin_for_deterministic_labels() -> None:
    same = np.zeros(3)
    probability = preference_probability(same, same, labels="deterministic", temperature=1.0, noise=0.0)
    assert (probability == 0.5).all()


def test_data_of_a_seed_is_nested() -> None:
    small, large = draw(50), draw(400)
    for few, many in zip(small, large, strict=True):
        assert (few == many[:50]).all()


def test_settings_of_labels_leave_the_drawn_pairs_alone() -> None:
    clean, noisy = draw(200), draw(200, noise=0.5, labels="deterministic")
    assert (np.sort(clean[1], axis=1) == np.sort(noisy[1], axis=1)).all()
    assert (clean[1] != noisy[1]).any()


def policy(kind: str, temperature: float, one_from_reference: bool = False) -> BehaviourPolicy:
    return BehaviourPolicy(
        kind=kind, temperature=temperature, uniform_share=0.25, n=3, one_from_reference=one_from_reference
    )


def test_behaviours(lab: sim.World) -> None:
    world = lab.simulated

    def law(name, temperature=2.0):
        gold = world.reference_law.gold
        sides = side_distributions(policy(name, temperature), world.reference_nodes, world.response_list, gold)
        return behaviour_distribution(sides)

    reference = world.reference_law.reference.exp().numpy()
    assert law("reference") == pytest.approx(reference)
    assert law("uniform") == pytest.approx(np.full_like(reference, 1 / 64))
    assert law("mixture") == pytest.approx(0.75 * reference + 0.25 / 64)
    assert law("tempered", temperature=1.0) == pytest.approx(reference)
    for name in ("reference", "uniform", "mixture", "tempered"):
        assert law(name).sum(axis=1) == pytest.approx(1)
    by_hand = np.sqrt(np.exp(world.reference_nodes[:, 0].numpy()))
    by_hand /= by_hand.sum(axis=1, keepdims=True)
    first = law("tempered").reshape(len(reference), 4, 16).sum(axis=2)
    assert first == pytest.approx(by_hand)


def test_behaviours_as_temperatures_of_sampling() -> None:
    draws = np.array([[0.1, 0.3], [0.24, 0.9]])

    def at(name):
        return behaviour_temperature(policy(name, 2.0), draws).tolist()

    assert at("reference") == [[1, 1], [1, 1]]
    assert at("tempered") == [[2, 2], [2, 2]]
    assert at("uniform") == [[np.inf, np.inf], [np.inf, np.inf]]
    assert at("mixture") == [[np.inf, 1], [np.inf, 1]]


def test_the_best_of_n_behaves_as_if_three_were_drawn_and_the_best_kept(lab: sim.World) -> None:
    """Independent truth: every triple of responses, with ties shared evenly among those of most gold."""
    world = lab.simulated
    law, gold = np.exp(world.reference_log_probs[0].numpy()), world.reference_law.gold[0].numpy()
    expected = np.zeros_like(law)
    for three in itertools.product(range(len(law)), repeat=3):
        most = max(gold[list(three)])
        best = [y for y in three if gold[y] == most]
        for y in best:  # one that is drawn twice counts twice
            expected[y] += law[list(three)].prod() / len(best)
    found = world.behaviour_distribution(Data(behaviour="best_of_n", behaviour_n=3))[0]
    assert found == pytest.approx(expected, abs=1e-12)


def test_one_response_of_a_pair_is_the_references() -> None:
    """Frequencies of both places, and of the law that something is measured under."""
    other = LAW[:, ::-1].copy()
    prompt, response, _ = draw_pairs((LAW, other), pairs=60_000, rng=np.random.default_rng(0))
    for p in range(2):
        here = response[prompt == p]
        for place, law in ((0, LAW), (1, other)):
            assert np.bincount(here[:, place], minlength=3) / len(here) == pytest.approx(law[p], abs=0.01)
    assert behaviour_distribution((LAW, other)) == pytest.approx((LAW + other) / 2)
    assert behaviour_temperature(policy("tempered", 2.0, True), np.zeros((1, 4))).tolist() == [[1, 2, 1, 2]]


@pytest.mark.parametrize("kind", ["enumerable", "sampled"])
def test_pairs_with_one_side_of_the_reference_in_a_world(kind: str) -> None:
    """The first response is drawn as it is without a behaviour policy, and the second as with it on both sides."""
    world = sim.make_world(small_sweep(world={"kind": kind})).simulated

    def drawn(**data: Any) -> Any:
        return world.candidates(Data(pairs=300, **data), 0, 300, "pairs").responses

    plain, both = drawn(), drawn(behaviour="uniform")
    mixed = drawn(behaviour="uniform", one_from_reference=True)
    assert torch.equal(mixed[:, 0], plain[:, 0])
    assert torch.equal(mixed[:, 1], both[:, 1])
    assert not torch.equal(plain, both)


def test_pairs_that_are_drawn_apart_follow_the_law_of_pairs_that_differ() -> None:
    """Independent truth: P(a, b) = mu(a) mu(b) / (1 - sum of mu^2), by listing all pairs."""
    rng = np.random.default_rng(0)
    prompt, response, _ = draw_pairs((LAW, LAW), pairs=120_000, rng=rng)
    assert has_identical(response).mean() == pytest.approx((LAW**2).sum(axis=1).mean(), abs=0.005)
    found = redraw_alike(response, lambda turn: sample_by_inverse(LAW, prompt, rng.random(response.shape)))
    assert not has_identical(found).any()
    assert (found[~has_identical(response)] == response[~has_identical(response)]).all()
    for p, mu in enumerate(LAW):
        both = np.outer(mu, mu) * (1 - np.eye(3))
        seen = np.zeros((3, 3))
        np.add.at(seen, tuple(found[prompt == p].T), 1.0)
        assert seen / seen.sum() == pytest.approx(both / both.sum(), abs=0.01)


def test_responses_that_never_differ_are_refused_and_not_waited_for() -> None:
    always = np.zeros((5, 2), dtype=int)
    with pytest.raises(sim.ConfigError, match=r"100 tries found no 2 different responses for 5 of 5 draws"):
        redraw_alike(always, lambda turn: always)


@pytest.mark.parametrize("kind", ["enumerable", "sampled"])
def test_distinct_data_has_no_identical_pairs_and_is_nested(kind: str) -> None:
    world = sim.make_world(small_sweep(world={"kind": kind})).simulated
    plain, distinct = (small_sweep(data={"pairs": 400, "distinct": apart}).data for apart in (False, True))
    usual, pairs = (world.candidates(data, 0, 400, "pairs") for data in (plain, distinct))
    twice = has_identical(usual.responses.numpy())
    assert twice.mean() > 0.01
    assert not has_identical(pairs.responses.numpy()).any()
    assert twice.mean() == pytest.approx(world.facts["identical_pairs"], abs=0.05)
    assert (usual.prompt == pairs.prompt).all()
    assert (usual.responses[~twice] == pairs.responses[~twice]).all()
    ranked = world.candidates(distinct, 0, 100, "pairs", responses=3)
    assert not has_identical(ranked.responses.numpy()).any()
    if kind == "enumerable":
        assert (world.candidates(distinct, 0, 30, "pairs").responses == pairs.responses[:30]).all()
