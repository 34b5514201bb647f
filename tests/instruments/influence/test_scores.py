"""Scores and values, on labels that were planted."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from simulator.instruments.influence.judging import ceiling_of, spearman
from simulator.instruments.influence.retraining import Site
from simulator.instruments.influence.scores import SCORES
from simulator.instruments.influence.seen import MODELS, halves, held_out_pairs, look
from simulator.instruments.influence.values import (
    PARTITIONS,
    dropped,
    group_size,
    groups,
    lowest,
    singles,
    values_without,
)
from simulator.preferences.pairs import Preferences
from tests.instruments.influence.conftest import MakeSite

CLEAN = ('data.labels="deterministic"', "data.label_noise=0.0", "train.steps=150", "train.learning_rate=0.02")
SHORT = ("train.steps=30", "train.batch=8")


def exchanged(pairs: Preferences, flipped: torch.Tensor) -> Preferences:
    """The pairs with the labels of some, bool [N], turned round."""
    return replace(
        pairs,
        responses=torch.where(flipped[:, None, None], pairs.responses.flip(1), pairs.responses),
        reference=torch.where(flipped[:, None], pairs.reference.flip(1), pairs.reference),
    )


@pytest.mark.parametrize("kind", ["linear", "transformer"])
def test_flipped_labels_are_those_of_least_gold_margin(kind: str, make_site: MakeSite) -> None:
    site = make_site(*CLEAN, kind=kind)
    flipped = torch.zeros(site.count, dtype=torch.bool)
    flipped[[4, 31]] = True
    seen = look(replace(site, pairs=exchanged(site.pairs, flipped)))
    (score,) = (score for score in SCORES if score.name == "gold_margin")
    assert group_size(site.count) == 2
    assert torch.equal(lowest(score.values(seen).numpy()), flipped)


def hugely_wrong(site: Site, place: int) -> Site:
    """The site with the worst response chosen before the best one, in one pair."""
    prompt = int(site.pairs.prompt[place])
    order, law = site.gold[prompt].argsort(), site.world.reference_log_probs[prompt]
    numbers = torch.stack([order[0], order[-1]])
    responses, reference = site.pairs.responses.clone(), site.pairs.reference.clone()
    responses[place], reference[place] = site.world.responses[numbers], law[numbers]
    return replace(site, pairs=replace(site.pairs, responses=responses, reference=reference))


@pytest.mark.parametrize("features", ["tokens", "positions"])
def test_a_hugely_wrong_label_has_the_least_value_and_influence(features: str, make_site: MakeSite) -> None:
    site = hugely_wrong(make_site(*CLEAN, f"policy.features={features}"), 17)
    value = values_without(site, singles(site)).gold.mean(axis=0)
    assert value.argmin() == 17
    assert value[17] < 0
    seen = look(site)
    for name in ("influence_gold", "gold_margin", "margin", "disagreement"):
        (score,) = (score for score in SCORES if score.name == name)
        assert int(score.values(seen).argmin()) == 17, name


def test_dropping_a_hugely_wrong_label_gains_its_value(make_site: MakeSite) -> None:
    """All pairs are a batch, so that training seeds make no difference: fresh ones find the value itself."""
    site = hugely_wrong(make_site(*CLEAN), 17)
    alone = singles(site)[17:18]
    value, (found,) = values_without(site, alone), dropped(site, alone, 3)
    np.testing.assert_allclose(found.gold, -value.gold.mean(), atol=1e-9)
    np.testing.assert_allclose(found.regret, -value.regret.mean(), atol=1e-6)
    np.testing.assert_allclose(found.kl, -value.kl.mean(), atol=1e-9)


def test_every_score_is_of_every_pair(make_site: MakeSite) -> None:
    seen = look(make_site(*SHORT, kind="transformer"))
    assert len({score.name for score in SCORES}) == len(SCORES)
    for score in SCORES:
        values = score.values(seen)
        assert values.shape == (40,)
        assert bool(values.isfinite().all()), score.name
    assert [score.name for score in SCORES if score.needs_gold] == ["influence_gold", "gold_margin"]


def test_an_ensemble_judges_pairs_that_it_has_not_seen(make_site: MakeSite) -> None:
    unseen = halves(make_site())
    assert unseen.shape == (MODELS, 40)
    assert (unseen.sum(dim=0) == MODELS // 2).all()
    assert (unseen.sum(dim=1) == 20).all()


def test_held_out_pairs_are_others(make_site: MakeSite) -> None:
    site = make_site()
    other = held_out_pairs(site)
    assert other.responses.shape == site.pairs.responses.shape
    assert not torch.equal(other.responses, site.pairs.responses)


def test_groups_are_partitions(make_site: MakeSite) -> None:
    found = groups(make_site("data.pairs=41"))
    assert found.shape == (PARTITIONS * 20, 41)
    assert (found.sum(dim=1) == 2).all()
    parts = found.view(PARTITIONS, 20, 41)
    assert int(parts.sum(dim=1).max()) == 1
    assert not torch.equal(parts[0], parts[1])


def test_the_lowest_are_dropped() -> None:
    score = np.arange(60.0)[::-1].copy()
    assert np.flatnonzero(lowest(score).numpy()).tolist() == [57, 58, 59]
    assert np.flatnonzero(lowest(np.zeros(60)).numpy()).tolist() == [0, 1, 2]


def test_rank_correlations(rng: np.random.Generator) -> None:
    values = rng.normal(size=30)
    assert spearman(values, np.exp(values)) == pytest.approx(1)
    assert spearman(values, -(values**3)) == pytest.approx(-1)
    tied = rng.integers(4, size=30).astype(float)
    assert spearman(values, tied) == pytest.approx(spearmanr(values, tied).statistic)
    assert np.isnan(spearman(values, np.ones(30)))


def test_no_score_passes_the_ceiling(rng: np.random.Generator) -> None:
    """A score that is what two noisy values share correlates with their mean as the ceiling says."""
    shared = rng.normal(size=200_000)
    one, other = shared + rng.normal(size=(2, len(shared)))
    ceiling = ceiling_of(float(np.corrcoef(one, other)[0, 1]))
    assert np.corrcoef(shared, one + other)[0, 1] == pytest.approx(ceiling, abs=0.01)
    assert ceiling_of(-0.2) == 0
