"""Posterior means of gold, against sums over all golds there may be."""

import itertools

import numpy as np
import pytest

from gold_rewards import LabelRule
from simulator.instruments.regret.golds import GoldFamily
from simulator.instruments.regret.posterior import LabelledPairs, Labels, Scale, posterior_mean, spread_of

Array = np.ndarray
PROMPTS, RESPONSES, PAIRS = 2, 12, 40


def family(rng: np.random.Generator, features: int, active: int | None, *, fixed: bool = False) -> GoldFamily:
    law = rng.dirichlet(np.ones(RESPONSES), size=PROMPTS)
    side = rng.normal(size=(PROMPTS, RESPONSES))
    weights = rng.normal(size=features)
    if active is not None:
        weights[rng.permutation(features)[active:]] = 0
    return GoldFamily(
        features=rng.normal(size=(1, RESPONSES, features)),
        fixed=rng.normal(size=law.shape) if fixed else np.zeros(law.shape),
        law=law,
        side=side - (law * side).sum(axis=1, keepdims=True),
        active=active,
        truth=weights,
        how="made",
    )


def gold_of(made: GoldFamily, weights: Array) -> Array:
    """Gold [C, P, G] of weights [C, F], as gold_rewards/gold.py makes it."""
    content = np.einsum("pgf,cf->cpg", np.broadcast_to(made.features, (PROMPTS, RESPONSES, weights.shape[1])), weights)
    content = content + made.fixed
    for _ in range(2):  # content over its deviation, then the sum over its own
        content = content - (made.law * content).sum(axis=2, keepdims=True)
        content = content / np.sqrt((made.law * content**2).sum(axis=2).mean(axis=1))[:, None, None]
        content = content + made.side if _ == 0 else content
    return content


def labelled(made: GoldFamily, rng: np.random.Generator, rule: LabelRule, count: int = PAIRS) -> LabelledPairs:
    prompt = rng.integers(PROMPTS, size=count)
    number = np.array([rng.choice(RESPONSES, size=2, p=made.law[row]) for row in prompt])
    gold = gold_of(made, made.truth[None])[0]
    gap = gold[prompt, number[:, 0]] - gold[prompt, number[:, 1]]
    chance = (gap > 0) * 1.0 if rule.labels == "deterministic" else 1 / (1 + np.exp(-gap))
    chance = (1 - rule.noise) * chance + rule.noise * (1 - chance)
    number = np.where((rng.random(count) < chance)[:, None], number, number[:, ::-1])
    return LabelledPairs(prompt=prompt, number=number, tied=np.zeros(count, bool))


def summed(made: GoldFamily, weights: Array, prior: Array, pairs: LabelledPairs, rule: LabelRule) -> Array:
    """The mean of gold over so many golds with prior probabilities, given the labels."""
    gold = gold_of(made, weights)
    gap = gold[:, pairs.prompt, pairs.number[:, 0]] - gold[:, pairs.prompt, pairs.number[:, 1]]
    chance = (np.sign(gap) + 1) / 2 if rule.labels == "deterministic" else 1 / (1 + np.exp(-gap))
    with np.errstate(divide="ignore"):
        log = np.log((1 - rule.noise) * chance + rule.noise * (1 - chance)).sum(axis=1) + np.log(prior)
    share = np.exp(log - log.max())
    return np.einsum("c,cpg->pg", share / share.sum(), gold)


def test_gold_is_that_of_its_weights(rng: np.random.Generator) -> None:
    made = family(rng, 3, None, fixed=True)
    weights = rng.normal(size=(4, 3))
    content, total = Scale(made).of(weights)
    raw = np.einsum("pgf,cf->cpg", np.broadcast_to(made.features, (PROMPTS, RESPONSES, 3)), weights) + made.fixed
    gold = (raw / content[:, None, None] + made.side) / total[:, None, None]
    gold -= (made.law * gold).sum(axis=2, keepdims=True)
    np.testing.assert_allclose(gold, gold_of(made, weights), atol=1e-12)


RULES = {
    "by chance": LabelRule(),
    "flipped": LabelRule(noise=0.2),
    "sure": LabelRule(labels="deterministic"),
    "sure, flipped": LabelRule(labels="deterministic", noise=0.1),
}


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_of_two_weights_it_is_the_mean_over_their_angle(rule: LabelRule, rng: np.random.Generator) -> None:
    """Without a fixed part gold depends on the angle of the weights alone, which is uniform beforehand."""
    made = family(rng, 2, None)
    pairs = labelled(made, rng, rule)
    angle = np.linspace(0, 2 * np.pi, 4000, endpoint=False)
    weights = np.column_stack([np.cos(angle), np.sin(angle)])
    exact = summed(made, weights, np.ones(len(angle)), pairs, rule)
    found = posterior_mean(made, pairs, rule, rng)
    assert found.spread < 1.1
    np.testing.assert_allclose(found.mean, exact, atol=0.08)


def test_where_only_some_weights_count_it_is_the_mean_over_which(rng: np.random.Generator) -> None:
    made, rule = family(rng, 5, 2, fixed=True), LabelRule()
    pairs = labelled(made, rng, rule)
    nodes, weight = np.polynomial.hermite_e.hermegauss(60)
    weights, prior = [], []
    for one, other in itertools.combinations(range(5), 2):
        for (a, p), (b, q) in itertools.product(zip(nodes, weight, strict=True), repeat=2):
            weights.append(np.zeros(5))
            weights[-1][[one, other]] = a, b
            prior.append(p * q)
    exact = summed(made, np.array(weights), np.array(prior), pairs, rule)
    found = posterior_mean(made, pairs, rule, rng)
    np.testing.assert_allclose(found.mean, exact, atol=0.06)


def test_many_labels_tell_gold(rng: np.random.Generator) -> None:
    made = family(rng, 4, None)
    found = posterior_mean(made, labelled(made, rng, LabelRule(), 4_000), LabelRule(), rng)
    gold = gold_of(made, made.truth[None])[0]
    assert np.sqrt((made.law * (found.mean - gold) ** 2).sum(axis=1).mean()) < 0.12


def test_no_label_tells_nothing_but_what_all_golds_share(rng: np.random.Generator) -> None:
    """Labels that are all flipped half of the time say nothing: the mean is that over the prior."""
    made, rule = family(rng, 3, None), LabelRule(noise=0.5)
    found = posterior_mean(made, labelled(made, rng, rule), rule, rng)
    prior = gold_of(made, rng.normal(size=(40_000, 3))).mean(axis=0)
    np.testing.assert_allclose(found.mean, prior, atol=0.06)


def test_ties_are_heeded(rng: np.random.Generator) -> None:
    made, rule = family(rng, 2, None), LabelRule(labels="ties")
    pairs = labelled(made, rng, LabelRule())
    tied = LabelledPairs(prompt=pairs.prompt, number=pairs.number, tied=np.ones(PAIRS, bool))
    gap = Labels(made, pairs, rule).gaps(made.truth[None], *Scale(made).of(made.truth[None]))
    both = np.exp(gap / 2) + np.exp(-gap / 2) + 1
    np.testing.assert_allclose(Labels(made, tied, rule).log_probability(gap), -np.log(both))
    np.testing.assert_allclose(Labels(made, pairs, rule).log_probability(gap), gap / 2 - np.log(both))


def test_chains_that_have_not_met_show(rng: np.random.Generator) -> None:
    assert spread_of(rng.normal(size=(500, 4))) == pytest.approx(1, abs=0.02)
    assert spread_of(rng.normal(size=(500, 4)) + np.arange(4)) > 1.5
