"""Preference data against the law it is drawn from and the rule it is labelled by."""

import numpy as np
import pytest
from scipy.special import expit

from gold_rewards import preference_probability
from simulator.preferences import behaviour_law, behaviour_temperature, chosen_first, draw_pairs
from simulator.world import World

LAW = np.array([[0.5, 0.3, 0.2], [0.1, 0.1, 0.8]])
GOLD = np.array([[0.0, 1.0, 2.0], [1.0, 1.0, -1.0]])


def draw(pairs: int, seed: int = 0, **settings: object) -> tuple[np.ndarray, np.ndarray]:
    """Prompts [N], and responses [N, 2] with the chosen one first."""
    rule = {"labels": "bradley_terry", "temperature": 1.0, "noise": 0.0} | settings
    prompt, response, draws = draw_pairs(LAW, pairs=pairs, rng=np.random.default_rng(seed))
    order = chosen_first(GOLD[prompt[:, None], response], draws, **rule)
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


def test_behaviours_as_temperatures_of_sampling() -> None:
    draws = np.array([[0.1, 0.3], [0.24, 0.9]])

    def at(name):
        return behaviour_temperature(name, draws, temperature=2.0, uniform_share=0.25).tolist()

    assert at("reference") == [[1, 1], [1, 1]]
    assert at("tempered") == [[2, 2], [2, 2]]
    assert at("uniform") == [[np.inf, np.inf], [np.inf, np.inf]]
    assert at("mixture") == [[np.inf, 1], [np.inf, 1]]
