"""Preference data against the law it is drawn from and the rule it is labelled by."""

import numpy as np
import pytest
from scipy.special import expit

from gold_rewards import preference_probability
from simulator.preferences import behaviour_law, draw_preferences
from simulator.world import World

LAW = np.array([[0.5, 0.3, 0.2], [0.1, 0.1, 0.8]])
GOLD = np.array([[0.0, 1.0, 2.0], [1.0, 1.0, -1.0]])


def draw(pairs: int, seed: int = 0, **settings: object):
    rule = {"labels": "bradley_terry", "temperature": 1.0, "noise": 0.0} | settings
    return draw_preferences(LAW, GOLD, pairs=pairs, rng=np.random.default_rng(seed), **rule)


def test_responses_are_drawn_from_mu() -> None:
    data = draw(60_000)
    for p in range(2):
        here = data.prompt == p
        assert here.mean() == pytest.approx(0.5, abs=0.01)
        both = np.concatenate([data.chosen[here], data.rejected[here]])
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
    data = draw(60_000, **settings)
    gap = GOLD[data.prompt, data.chosen] - GOLD[data.prompt, data.rejected]
    one_apart = np.abs(gap) == 1.0
    assert (gap[one_apart] > 0).mean() == pytest.approx(expected, abs=0.01)


def test_a_tie_is_a_fair_coin_for_deterministic_labels() -> None:
    same = np.zeros(3)
    probability = preference_probability(same, same, labels="deterministic", temperature=1.0, noise=0.0)
    assert (probability == 0.5).all()


def test_data_of_a_seed_is_nested() -> None:
    small, large = draw(50), draw(400)
    for name in ("prompt", "chosen", "rejected"):
        assert (getattr(small, name) == getattr(large, name)[:50]).all()


def test_settings_of_labels_leave_the_drawn_pairs_alone() -> None:
    clean, noisy = draw(200), draw(200, noise=0.5, labels="deterministic")
    assert (np.sort([clean.chosen, clean.rejected], axis=0) == np.sort([noisy.chosen, noisy.rejected], axis=0)).all()
    assert (clean.chosen != noisy.chosen).any()


def test_behaviours(world: World) -> None:
    def law(name, temperature=2.0):
        return behaviour_law(name, world.reference_nodes, temperature=temperature, uniform_share=0.25)

    reference = world.yardstick.reference.exp().numpy()
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
