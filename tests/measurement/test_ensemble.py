"""Ensembles and units against numbers by hand and planted truths."""

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from simulator.measurement.ensemble import COMBINATIONS, LEAST, deviation_of, gold_unit, recalibration, standard_unit

SCORES = np.array([[1.0, 4.0], [3.0, 4.0], [5.0, -2.0]])  # three members, two responses


@pytest.mark.parametrize(
    ("name", "expected"),
    [("mean", [3.0, 2.0]), ("worst_case", [1.0, -2.0]), ("uncertainty_weighted", [3.0 - 0.5 * 8 / 3, 2.0 - 0.5 * 8.0])],
)
def test_combinations_by_hand(name: str, expected: list[float]) -> None:
    assert COMBINATIONS[name](SCORES, 0.5) == pytest.approx(expected)


@pytest.mark.parametrize("name", COMBINATIONS)
def test_members_that_agree_are_one(name: str) -> None:
    same = np.repeat(SCORES[:1], 4, axis=0)
    assert COMBINATIONS[name](same, 3.0) == pytest.approx(SCORES[0])


def test_the_standard_unit_has_mean_zero_at_each_prompt_and_variance_one(rng: np.random.Generator) -> None:
    law = rng.dirichlet(np.ones(30), size=4)
    scores = 7 + 3 * rng.normal(size=(4, 30)) + np.arange(4)[:, None]
    unit = standard_unit(law, scores).apply(scores)
    assert (law * unit).sum(axis=1) == pytest.approx(np.zeros(4), abs=1e-12)
    assert (law * unit**2).sum(axis=1).mean() == pytest.approx(1.0)
    assert standard_unit(law, np.ones((4, 30))).factor == 1.0


def test_recalibration_finds_a_planted_unit(rng: np.random.Generator) -> None:
    gold = 2 * rng.normal(size=4000)
    for unit in (0.01, 1.0, 250.0):
        assert recalibration(gold / unit, gold) == pytest.approx(unit, rel=1e-6)


def test_recalibration_is_the_least_cross_entropy(rng: np.random.Generator) -> None:
    gold = rng.normal(size=3000)
    noisy = 5 * (gold + rng.normal(size=3000))

    def cross_entropy(a: float) -> float:
        soft = 1 / (1 + np.exp(-gold))
        return float((soft * np.log1p(np.exp(-a * noisy)) + (1 - soft) * np.log1p(np.exp(a * noisy))).mean())

    best = minimize_scalar(cross_entropy, bounds=(0.0, 2.0), method="bounded", options={"xatol": 1e-9})
    assert recalibration(noisy, gold) == pytest.approx(best.x, abs=1e-5)


def test_a_proxy_that_knows_nothing_keeps_its_ranking_in_a_small_unit(rng: np.random.Generator) -> None:
    law = np.full((1, 1000), 1e-3)
    scores = 40 * rng.normal(size=(1, 1000))
    unit = gold_unit(law, scores, scores[0, :500] - scores[0, 500:], -(scores[0, :500] - scores[0, 500:]))
    assert recalibration(scores[0], -scores[0]) == 0.0
    assert deviation_of(law, unit.apply(scores)) == pytest.approx(LEAST)
    assert unit.factor > 0
