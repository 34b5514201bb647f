"""The Nash policy of three kinds, against a linear program over all responses."""

from dataclasses import replace

import numpy as np
import pytest

from gold_rewards import Judged, LabelRule, against_nash, nash_policy, outcome_probabilities
from tests.helpers.games import solved

RULE = LabelRule(labels="intransitive", temperature=0.7, length_bias=0.1, noise=0.2)


def preferences(judged: Judged, rule: LabelRule) -> np.ndarray:
    """Probability that each of G responses to one prompt is preferred to each, without noise, [G, G]."""
    clean = replace(rule, noise=0.0)
    return outcome_probabilities(judged.at(np.s_[:, None]), judged.at(np.s_[None, :]), clean)[0]


@pytest.mark.parametrize("cycle", [0.0, 0.3, 1.0, 3.0, 10.0])
@pytest.mark.parametrize("kinds", [(0, 1, 2), (0, 2), (1,)])
def test_it_is_what_a_linear_program_finds(cycle: float, kinds: tuple[int, ...]) -> None:
    rng, rule = np.random.default_rng(3), replace(RULE, cycle=cycle)
    gold, kind, tokens = rng.normal(size=(4, 15)), rng.choice(kinds, size=15), rng.integers(1, 5, size=15)
    responses, shares = nash_policy(Judged(gold=gold, kind=kind, tokens=tokens), rule)
    against = against_nash(Judged(gold=gold, kind=kind, tokens=tokens), rule)
    for row in range(4):
        policy = np.zeros(15)
        np.add.at(policy, responses[row], shares[row])
        chosen = preferences(Judged(gold=gold[row], kind=kind, tokens=tokens), rule)
        assert policy == pytest.approx(solved(chosen - 0.5), abs=1e-6)
        assert against[row] == pytest.approx(chosen @ policy)
        assert against[row].max() == pytest.approx(0.5)  # nothing is preferred to it


def test_without_gold_it_mixes_alike() -> None:
    _, shares = nash_policy(Judged(gold=np.zeros((1, 3)), kind=np.arange(3)), RULE)
    assert shares[0] == pytest.approx([1 / 3] * 3)
