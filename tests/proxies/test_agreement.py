"""How scores agree with gold, by planted scores."""

import math

import numpy as np
import pytest
from scipy.stats import pearsonr

from simulator.proxies.agreement import against_gold, correlation
from simulator.worlds.listing import Listing


def test_correlation_is_that_of_scores_about_the_mean_of_their_prompt(rng: np.random.Generator) -> None:
    first = rng.normal(size=(3, 500)) + np.arange(3)[:, None]
    second = first + rng.normal(size=(3, 500)) - 5 * np.arange(3)[:, None]
    law = np.full((3, 500), 1 / 500)
    centred = [(scores - scores.mean(axis=1, keepdims=True)).ravel() for scores in (first, second)]
    assert correlation(law, first, second) == pytest.approx(pearsonr(*centred).statistic)
    assert math.isnan(correlation(law, first, np.ones((3, 500))))


def test_against_gold_by_planted_scores(rng: np.random.Generator) -> None:
    gold = rng.normal(size=(2, 400))
    pairs = np.column_stack([np.repeat([0, 1], 200), rng.integers(400, size=(400, 2))])
    listing = Listing(rows=np.arange(2), reference_probs=np.full((2, 400), 1 / 400), gold=gold, pairs=pairs)
    perfect = against_gold(listing, 8 * gold + 3)
    assert perfect["correlation"] == pytest.approx(1.0)
    assert perfect["shifted_correlation"] == pytest.approx(1.0)
    assert perfect["scale"] == pytest.approx(1 / 8)
    same = pairs[:, 1] == pairs[:, 2]
    assert perfect["gold_accuracy"] == pytest.approx(1.0 - same.mean() / 2)
    noise = against_gold(listing, rng.normal(size=(2, 400)))
    assert abs(noise["correlation"]) < 0.15
    assert noise["gold_loss"] == pytest.approx(math.log(2), abs=0.01)
    odd = against_gold(listing, np.minimum(gold, 1.0))  # knows nothing of what is best
    assert odd["shifted_correlation"] < odd["correlation"] - 0.1
