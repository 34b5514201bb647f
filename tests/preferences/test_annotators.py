"""Labels by annotators who disagree, in worlds that list responses and in those that draw them."""

from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import expit

import simulator as sim
from gold_rewards import GOLD_REWARDS, scale_under
from simulator.common.random_streams import random_stream
from simulator.preferences.annotators import annotated_gold, taste_of
from simulator.preferences.comparisons import judge, label_probabilities
from simulator.preferences.pairs import one_annotator
from simulator.worlds.components import fluency_under, language_of
from simulator.worlds.listing import scores_of_all
from tests.conftest import small_sweep


def with_data(world: sim.World, **data: Any) -> Any:
    return world.settings.data.model_copy(update=data)


def own_gold(world: sim.World, annotator: int) -> np.ndarray:
    """The gold that an annotator has beside gold, standardized by hand over all responses, [P, G]."""
    spec, listed = world.settings.spec, world.simulated
    reward = GOLD_REWARDS[spec.gold.reward](
        vocabulary=spec.world.vocabulary,
        prompt_length=spec.world.prompt_length,
        response_length=spec.world.response_length,
        rng=random_stream(spec.gold.seed, "annotator", annotator, spec.gold.reward),
    )
    prompts, responses, law = listed.prompts.numpy(), listed.responses.numpy(), listed.listing.reference_probs
    parts = [scores_of_all(score, prompts, responses) for score in (reward, fluency_under(language_of(spec)))]
    content, fluency = (scale_under(law, part).apply(part) for part in parts)
    return scale_under(law, content + spec.gold.fluency * fluency).apply(content + spec.gold.fluency * fluency)


def test_annotators_want_a_mixture_on_the_scale_of_gold(lab: sim.World) -> None:
    listed, d = lab.simulated, 0.4
    law, gold = listed.listing.reference_probs, listed.listing.gold
    every = listed.responses.expand(len(gold), -1, -1)
    found = annotated_gold(listed, with_data(lab, annotators=2, disagreement=d), torch.arange(len(gold)), every, gold)
    for annotator in range(2):
        own = own_gold(lab, annotator)
        mixed = (1 - d) * gold + d * own
        expected = scale_under(law, mixed).apply(mixed)
        here = found[annotator] - (law * found[annotator]).sum(axis=1, keepdims=True)
        assert here == pytest.approx(expected, abs=1e-4)
        correlation = (law * gold * own).sum(axis=1).mean()
        assert taste_of(listed, annotator).agreement == pytest.approx(correlation, abs=1e-6)
    assert not np.allclose(found[0], found[1])


def test_a_mixture_of_annotators_prefers_as_their_mean(lab: sim.World) -> None:
    data = with_data(lab, annotators=3, disagreement=0.7, label_noise=0.1)
    pairs = lab.simulated.candidates(data, 0, 200, "pairs")
    gold = lab.gold(lab.prompts[pairs.prompt], pairs.responses).numpy()
    judged = judge(lab.simulated, data, pairs, gold)
    chosen, tied = label_probabilities(judged.at(np.s_[..., 0]), judged.at(np.s_[..., 1]), data)
    clean = expit(judged.gold[..., 0] - judged.gold[..., 1])
    assert chosen == pytest.approx((0.9 * clean + 0.1 * (1 - clean)).mean(axis=0))
    assert (tied == 0).all()


def test_who_labels_is_drawn_apart_from_what_they_say(lab: sim.World) -> None:
    pairs = lab.simulated.candidates(lab.settings.data, 0, 30_000, "pairs")
    gold = np.arange(3.0)[:, None, None] * np.ones((3, 30_000, 2))
    judged = judge(lab.simulated, lab.settings.data, pairs, gold[0])
    seen, draws = one_annotator(type(judged)(**{**vars(judged), "gold": gold}), pairs.draws)
    who = seen.gold[:, 0]
    for annotator in range(3):
        here = draws[who == annotator]
        assert len(here) / 30_000 == pytest.approx(1 / 3, abs=0.01)
        assert np.quantile(here, [0.1, 0.5, 0.9]) == pytest.approx([0.1, 0.5, 0.9], abs=0.02)
    alone, same = one_annotator(judged, pairs.draws)
    assert (same == pairs.draws).all()
    assert (alone.gold == gold[0]).all()


def test_one_who_agrees_labels_as_gold_does(lab: sim.World) -> None:
    plain, alike = (lab.preferences(48, seed=3, **more) for more in ({}, {"annotators": 5, "disagreement": 0.0}))
    assert torch.equal(plain.chosen, alike.chosen)
    others = lab.preferences(48, seed=3, annotators=5, disagreement=1.0)
    assert not torch.equal(plain.chosen, others.chosen)
    for first, second in ((plain, others), (others, plain)):  # other labels of the same pairs
        found = torch.stack([first.chosen, first.rejected]).sort(dim=0).values
        assert torch.equal(found, torch.stack([second.chosen, second.rejected]).sort(dim=0).values)


def test_annotators_of_sampled_worlds_are_on_the_scale_of_the_baseline() -> None:
    world = sim.make_world(small_sweep(world={"kind": "sampled"}, measure={"baseline": 64, "samples": 8}))
    drawn, d = world.simulated, 0.5
    responses, rows = drawn.measurement.baseline.responses, torch.from_numpy(drawn.listing.rows)
    gold = drawn.listing.gold
    data = with_data(world, annotators=2, disagreement=d)
    found = annotated_gold(drawn, data, rows, responses, gold)
    centred = found - found.mean(axis=2, keepdims=True)
    assert np.sqrt((centred**2).sum(axis=(1, 2)) / (gold.size - len(gold))) == pytest.approx(1.0, abs=1e-3)
    assert len(world.preferences(16, annotators=2, disagreement=d)) == 16
