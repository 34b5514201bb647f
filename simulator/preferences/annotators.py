"""Annotators who disagree: each labels by a gold of their own, of which a part is gold.

With disagreement d, annotator k wants

    (1 - d) gold + d own_k

in standard deviations under the reference again, where own_k is a gold of the same kind, with as much fluency in it,
drawn with another seed; `gold.length` is a part of gold alone. A mixture of them prefers as none of them does: the
probability that a response is chosen is the mean of theirs, so that with d > 0 no Bradley-Terry reward is behind it
(Siththaranjan, Laidlaw & Hadfield-Menell 2023, arXiv:2312.08358, on preferences with hidden context). Policies are
measured by gold all the same.

Shapes: A annotators, B prompts, K responses to each, n prompts of the world's listing and G responses to each, T
response length.
"""

from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from gold_rewards import Gold, scale_of_samples, scale_under
from simulator.settings.data_table import Data
from simulator.worlds.components import content_of, fluency_under, language_of
from simulator.worlds.protocol import World, as_listed
from simulator.worlds.recent_draws import RecentDraws
from simulator.worlds.reference_sample import gold_score
from simulator.worlds.sampled import SampledWorld

KEPT = 256  # annotators

Array = np.ndarray


@dataclass(frozen=True, kw_only=True)
class Taste:
    """What an annotator wants beside gold: a gold on its scale, and its correlation with gold under the reference."""

    own: Gold
    agreement: float

    def deviation(self, disagreement: float) -> float:
        """The deviation under the reference of (1 - d) gold + d own."""
        d = disagreement
        return float(np.sqrt((1 - d) ** 2 + d**2 + 2 * d * (1 - d) * self.agreement))


TASTES: RecentDraws[Any, Taste] = RecentDraws(KEPT, lambda taste: 1)


def listed_texts(world: World) -> tuple[Array, Array]:
    """The prompts [n G, L] and responses [n G, T] of the world's listing."""
    prompts = world.prompts[torch.from_numpy(world.listing.rows).to(world.prompts.device)]
    if world.lists_responses:
        responses = as_listed(world).responses.expand(len(prompts), -1, -1)
    else:
        responses = cast(SampledWorld, world).measurement.baseline.responses
    asked = prompts.repeat_interleave(responses.shape[1], dim=0)
    return asked.cpu().numpy(), responses.flatten(0, 1).cpu().numpy()


def make_taste(world: World, annotator: int) -> Taste:
    """What annotator number 0, 1, … wants beside gold. Raises ConfigError where it has no scale."""
    spec, law = world.spec, world.listing.reference_probs

    def scale(scores: Array) -> float:
        found = scale_under(law, scores) if world.lists_responses else scale_of_samples(scores)
        return found.deviation

    content, fluency = content_of(spec, annotator), fluency_under(language_of(spec))
    texts = listed_texts(world)
    parts = [score(*texts).reshape(law.shape) for score in (content, fluency)]
    deviations = [scale(part) for part in parts]
    total = parts[0] / deviations[0] + spec.gold.fluency * parts[1] / deviations[1]
    whole, gold = scale(total), world.listing.gold
    both = scale(gold / scale(gold) + total / whole)
    own = Gold(
        content=content,
        fluency=fluency,
        content_deviation=deviations[0],
        fluency_deviation=deviations[1],
        fluency_weight=spec.gold.fluency,
        deviation=whole,
    )
    return Taste(own=own, agreement=both**2 / 2 - 1)


def taste_of(world: World, annotator: int) -> Taste:
    """The same, of an annotator who may be known."""
    key = world.spec, world.facts["reference_sha256"], annotator
    return TASTES.of(key, lambda: make_taste(world, annotator))


def annotated_gold(world: World, data: Data, prompt: Tensor, responses: Tensor, gold: Array) -> Array:
    """What responses [B, K, T] to prompts of these rows [B] are to each annotator, [A, B, K], from their gold [B, K].

    Without disagreement there is one, who wants gold. Where annotators disagree, only differences between responses to
    one prompt mean something.
    """
    if not data.disagreement:
        return gold[None]
    count = responses.shape[1]
    asked = world.prompts[prompt].repeat_interleave(count, dim=0).cpu().numpy()
    texts = asked, responses.flatten(0, 1).cpu().numpy()
    found = []
    for annotator in range(data.annotators):
        taste = taste_of(world, annotator)
        own = gold_score(torch.from_numpy(taste.own.score_parts(*texts))).numpy().reshape(gold.shape)
        wanted = (1 - data.disagreement) * gold + data.disagreement * own
        found.append(wanted / taste.deviation(data.disagreement))
    return np.stack(found)
