"""Hill's estimator on laws whose index is known."""

import math

import numpy as np
import pytest

from simulator.planted.draws import normal, student
from simulator.planted.tail_index import tail_index

PROMPTS = np.array([[0]])
TOKENS = np.arange(200_000)[None, :, None]
EQUAL = np.ones((1, 200_000))


@pytest.mark.parametrize("degrees", [1.0, 2.0, 3.0])
def test_the_index_of_a_planted_student_is_its_degrees_of_freedom(degrees: float) -> None:
    found = tail_index(student(11, PROMPTS, TOKENS, degrees), EQUAL, share=0.002)
    assert found == pytest.approx(degrees, rel=0.15)  # 400 numbers: an error of 5 %, and a bias that is smaller


def test_a_light_tail_has_a_larger_estimate_the_farther_out() -> None:
    z = normal(11, PROMPTS, TOKENS)
    assert 4 < tail_index(z, EQUAL, share=0.02) < tail_index(z, EQUAL, share=0.0005)


def test_weights_are_counts(rng: np.random.Generator) -> None:
    values, counts = rng.pareto(1.5, size=3000) + 1, rng.integers(1, 4, size=3000)
    assert tail_index(values, counts) == pytest.approx(tail_index(np.repeat(values, counts), np.ones(counts.sum())))
    assert tail_index(-values, 7.0 * counts) == pytest.approx(tail_index(values, counts))


def test_few_different_values_have_no_index() -> None:
    assert math.isnan(tail_index(np.arange(1000) % 3.0, np.ones(1000)))
    assert math.isnan(tail_index(np.zeros(1000), np.ones(1000)))
