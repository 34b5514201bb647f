"""The laws of planted errors, by what they promise under the reference: counted, regressed, looped."""

import itertools
from collections.abc import Mapping

import numpy as np
import pytest

from simulator.planted import ERROR_LAWS
from simulator.planted.law import Answers, Listed
from simulator.planted.laws.blind_spot import LEAST, MOST

KEY = 77
PARAMETERS: Mapping[str, Mapping[str, float]] = {
    "student": {"degrees": 3.0},
    "correlated": {"correlation": -0.6},
    "thin": {"growth": 1.5},
}


def listed_of(rng: np.random.Generator, prompts: int, length: int = 4) -> Listed:
    """Every response of `length` tokens out of 5 to some prompts, with a law, gold, and an end at token 4."""
    every = np.array(list(itertools.product(range(5), repeat=length)))
    tokens = np.broadcast_to(every, (prompts, *every.shape)).copy()
    ended = (tokens == 4).cumsum(axis=2) - (tokens == 4) > 0
    tokens[ended] = -1
    law = rng.gamma(0.3, size=tokens.shape[:2])
    law /= law.sum(axis=1, keepdims=True)
    answers = Answers(
        prompts=np.arange(2 * prompts).reshape(prompts, 2),
        tokens=tokens,
        gold=rng.normal(size=law.shape) + np.arange(prompts)[:, None],
        log_reference=lambda: np.log(law),
    )
    return Listed(answers=answers, law=law)


def planted(name: str, listed: Listed, **parameters: float) -> np.ndarray:
    given = {**PARAMETERS.get(name, {}), **parameters}
    return ERROR_LAWS[name].plant(listed, given, KEY).of(listed.answers)


def test_the_correlated_error_is_so_exactly_and_at_the_ends_it_is_gold(rng: np.random.Generator) -> None:
    listed = listed_of(rng, 1)
    for r in (-1.0, -0.6, 0.0, 0.5, 1.0):
        error = planted("correlated", listed, correlation=r)[0]
        found = np.cov(listed.answers.gold[0], error, aweights=listed.law[0], ddof=0)
        assert found[0, 1] / np.sqrt(found[0, 0] * found[1, 1]) == pytest.approx(r, abs=1e-12)
        assert found[1, 1] == pytest.approx(1.0)


def test_the_thin_error_grows_with_the_silence_of_the_reference(rng: np.random.Generator) -> None:
    """By regression of log |error / z| on log pi_ref, z being the Gaussian error of the same key."""
    listed = listed_of(rng, 2)
    ratio = planted("thin", listed, growth=1.5) / planted("gaussian", listed)
    for row in range(2):
        slope, _ = np.polyfit(np.log(listed.law[row]), np.log(ratio[row]), 1)
        assert slope == pytest.approx(-0.75, abs=1e-6)
    assert planted("thin", listed, growth=0.0) == pytest.approx(planted("gaussian", listed))


def test_length_is_counted(rng: np.random.Generator) -> None:
    listed = listed_of(rng, 1)
    said = [[token for token in row if token >= 0] for row in listed.answers.tokens[0].tolist()]
    assert planted("length", listed)[0].tolist() == [len(row) for row in said]
    whole = Answers(**{**vars(listed.answers), "tokens": np.zeros_like(listed.answers.tokens)})
    with pytest.raises(ValueError, match="does not vary"):
        listed.spread(ERROR_LAWS["length"].plant(listed, {}, KEY).of(whole))


def has(tokens: list[int], motif: tuple[int, int]) -> bool:
    return motif in list(itertools.pairwise(tokens))


@pytest.mark.parametrize("key", range(4))
def test_the_blind_spot_adds_what_a_disliked_motif_costs(key: int, rng: np.random.Generator) -> None:
    """By loops: at one prompt the mean of gold with the motif less that without; all motifs that may be chosen."""
    listed = listed_of(rng, 1)
    gold, law = listed.answers.gold[0], listed.law[0]
    costs = {}
    for motif in itertools.product(range(5), repeat=2):
        there = np.array([has(row, motif) for row in listed.answers.tokens[0].tolist()])
        if LEAST <= law[there].sum() <= MOST:
            costs[motif] = np.average(gold[there], weights=law[there]) - np.average(gold[~there], weights=law[~there])
    error = ERROR_LAWS["blind_spot"].plant(listed, {}, key)
    first, second = map(int, error.facts["motif"].split())
    assert costs[first, second] < 0
    assert error.facts["motif_slope"] == pytest.approx(costs[first, second])
    there = np.array([has(row, (first, second)) for row in listed.answers.tokens[0].tolist()])
    assert error.of(listed.answers)[0] == pytest.approx(np.where(there, -costs[first, second], 0.0))
    disliked = [motif for motif, cost in costs.items() if cost < 0]
    assert (first, second) == sorted(disliked)[key % len(disliked)]


def test_a_proxy_with_a_blind_spot_has_no_covariance_with_its_motif(rng: np.random.Generator) -> None:
    listed = listed_of(rng, 3)
    error = ERROR_LAWS["blind_spot"].plant(listed, {}, KEY)
    motif = tuple(map(int, error.facts["motif"].split()))
    proxy = listed.answers.gold + error.of(listed.answers)
    together = [
        np.cov(score, [float(has(row, motif)) for row in rows], aweights=law, ddof=0)[0, 1]
        for score, rows, law in zip(proxy, listed.answers.tokens.tolist(), listed.law, strict=True)
    ]
    assert np.mean(together) == pytest.approx(0.0, abs=1e-12)


def test_gold_that_dislikes_nothing_has_no_blind_spot(rng: np.random.Generator) -> None:
    listed = listed_of(rng, 1)
    flat = Answers(**{**vars(listed.answers), "gold": np.zeros_like(listed.answers.gold)})
    with pytest.raises(ValueError, match="dislikes no two tokens"):
        ERROR_LAWS["blind_spot"].plant(Listed(answers=flat, law=listed.law), {}, KEY)


def test_deviations_within_prompts_are_those_of_numpy(rng: np.random.Generator) -> None:
    listed = listed_of(rng, 2)
    value = rng.normal(size=listed.law.shape)
    parts = [np.cov(row, aweights=law, ddof=0) for row, law in zip(value, listed.law, strict=True)]
    assert listed.deviation(value) == pytest.approx(np.sqrt(np.mean(parts)))
