"""Probabilities of labels against their closed forms, and against how often labels come."""

import itertools

import numpy as np
import pytest
from scipy.special import expit

from gold_rewards import Judged, LabelRule, kinds_of, outcome_probabilities, preference_probability
from gold_rewards.labels import beats
from simulator.preferences.pairs import chosen_first

GOLD = np.array([0.3, -1.2, 0.3, 2.0, 0.0])
TOKENS = np.array([4, 2, 7, 7, 1])
LIKELY = np.array([-3.0, -1.0, -2.0, -9.0, -2.0])
RESPONSES = Judged(gold=GOLD, tokens=TOKENS, log_reference=LIKELY, kind=np.array([0, 1, 2, 0, 1]))
ROWS, COLUMNS = RESPONSES.at(np.s_[:, None]), RESPONSES.at(np.s_[None, :])


def table(**rule: object) -> tuple[np.ndarray, np.ndarray]:
    """What is chosen over what, and tied, [5, 5]."""
    return outcome_probabilities(ROWS, COLUMNS, LabelRule(**rule))


@pytest.mark.parametrize("labels", ["deterministic", "bradley_terry", "ties", "intransitive"])
@pytest.mark.parametrize("direction", ["any", "likelier", "less_likely", "longer", "shorter"])
def test_both_orders_of_a_pair_agree(labels: str, direction: str) -> None:
    chosen, tied = table(labels=labels, noise=0.3, flip_toward=direction, length_bias=0.2, temperature=0.7)
    assert (chosen + tied + chosen.T).ravel() == pytest.approx(1.0)
    assert tied == pytest.approx(tied.T)
    assert (chosen >= 0).all()
    assert np.diag(chosen + tied / 2) == pytest.approx(0.5)


@pytest.mark.parametrize("strength", [0.2, 1.0, 5.0])
def test_ties_are_davidson(strength: float) -> None:
    """Davidson 1970, Eq. 2.2 and 2.3: worth p, tied in proportion to ν √(p q); the odds of the others stay."""
    chosen, tied = table(labels="ties", tie_strength=strength, temperature=0.5)
    p, q = np.exp(GOLD / 0.5)[:, None], np.exp(GOLD / 0.5)[None, :]
    total = p + q + strength * np.sqrt(p * q)
    assert chosen == pytest.approx(p / total)
    assert tied == pytest.approx(strength * np.sqrt(p * q) / total)
    assert np.diag(tied) == pytest.approx(strength / (2 + strength))
    assert chosen / chosen.T == pytest.approx(p / q)
    far, equal = outcome_probabilities(
        Judged(gold=np.array([1e5])), Judged(gold=np.array([-1e5])), LabelRule(labels="ties")
    )
    assert (far, equal) == (1.0, 0.0)


def test_without_ties_davidson_is_bradley_terry() -> None:
    few, _ = table(labels="ties", tie_strength=1e-12)
    assert few == pytest.approx(table()[0])


def test_every_kind_beats_the_one_before_it() -> None:
    kinds = np.arange(3)
    assert beats(kinds[:, None], kinds[None]).tolist() == [[0, -1, 1], [1, 0, -1], [-1, 1, 0]]
    assert kinds_of(np.array([[4, 0], [3, 1], [8, -1]])).tolist() == [1, 0, 2]


def test_preferences_in_a_circle_have_no_reward() -> None:
    chosen, _ = table(labels="intransitive", cycle=5.0, temperature=2.0)
    assert chosen[1, 0] == pytest.approx(expit((GOLD[1] - GOLD[0] + 5) / 2))
    assert chosen[0, 3] == pytest.approx(expit((GOLD[0] - GOLD[3]) / 2))
    assert min(chosen[1, 0], chosen[2, 1], chosen[0, 2]) > 0.5
    assert table(labels="intransitive", cycle=0.0)[0].tolist() == table()[0].tolist()


def test_a_token_more_counts_as_much_gold() -> None:
    longer = Judged(gold=GOLD + 0.25 * TOKENS)
    expected, _ = outcome_probabilities(longer.at(np.s_[:, None]), longer.at(np.s_[None]), LabelRule())
    assert table(length_bias=0.25)[0] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("direction", "value"),
    [("likelier", LIKELY), ("less_likely", -LIKELY), ("longer", TOKENS), ("shorter", -TOKENS)],
)
@pytest.mark.parametrize("labels", ["deterministic", "bradley_terry", "ties"])
def test_flips_go_one_way(direction: str, value: np.ndarray, labels: str) -> None:
    clean, tied = table(labels=labels)
    found, still = table(labels=labels, noise=0.3, flip_toward=direction)
    assert (still == tied).all()
    for one, other in itertools.product(range(5), repeat=2):
        gained = 0.3 * clean[other, one] if value[one] > value[other] else 0.0
        lost = 0.3 * clean[one, other] if value[one] < value[other] else 0.0
        assert found[one, other] == pytest.approx(clean[one, other] + gained - lost)


def test_flips_any_way_are_those_of_before() -> None:
    first, second = GOLD[:, None], GOLD[None, :]
    known = preference_probability(first, second, labels="bradley_terry", temperature=0.7, noise=0.2)
    clean = expit((first - second) / 0.7)
    assert (known == (1 - 0.2) * clean + 0.2 * (1 - clean)).all()
    assert (table(temperature=0.7, noise=0.2)[0] == known).all()


@pytest.mark.parametrize(
    "rule",
    [
        LabelRule(labels="ties", tie_strength=2.0, noise=0.2),
        LabelRule(labels="intransitive", cycle=2.0),
        LabelRule(labels="deterministic", noise=0.4, flip_toward="likelier"),
        LabelRule(length_bias=0.3, noise=0.1, flip_toward="longer"),
    ],
)
def test_labels_come_as_often_as_their_probabilities_say(rule: LabelRule) -> None:
    draws = np.random.default_rng(0).random(20_000)
    for one, other in ((0, 1), (3, 2), (2, 0)):
        pair = RESPONSES.at(np.array([one, other]))
        repeated = Judged(**{name: np.tile(values, (len(draws), 1)) for name, values in vars(pair).items()})
        order, tied = chosen_first(repeated, draws, rule)
        chosen, tie = outcome_probabilities(pair.at(0), pair.at(1), rule)
        assert tied.mean() == pytest.approx(float(tie), abs=0.015)
        assert ((order[:, 0] == 0) & ~tied).mean() == pytest.approx(float(chosen), abs=0.015)
        assert (order[tied] == [0, 1]).all()
