"""Scores of labelled pairs. The lowest are those that are expected to cost gold, and are dropped first.

The sign of each was fixed before any was computed. A score is a function of what can be seen without retraining; to add
one, write it and name it in SCORES. Shapes: N pairs.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from simulator.common.random_streams import random_stream
from simulator.instruments.influence.derivatives import influence
from simulator.instruments.influence.seen import Seen
from simulator.pair_scores.ches import ches


@dataclass(frozen=True, kw_only=True)
class Score:
    """A score [N] of what is seen. about: what it is, in a sentence."""

    name: str
    about: str
    values: Callable[[Seen], Tensor]
    needs_gold: bool = False


def influence_gold(seen: Seen) -> Tensor:
    """-(1/N) ∇goldᵀ H⁻¹ g_i."""
    return influence(seen.slope, seen.gold_gradient, seen.damping)


def influence_held_out(seen: Seen) -> Tensor:
    """(1/N) ∇Lᵀ H⁻¹ g_i, L being the loss of held-out pairs: by how much it grows without the pair."""
    return influence(seen.slope, -seen.held_out_gradient, seen.damping)


def gradient_product(seen: Seen) -> Tensor:
    """∇L · g_i."""
    return seen.slope.gradients @ seen.held_out_gradient


def gradient_norm(seen: Seen) -> Tensor:
    """-|g_i|: pairs that pull most come first."""
    return -seen.slope.gradients.norm(dim=1)


def normalized_ches(seen: Seen) -> Tensor:
    """-CHES at the reference, by means over tokens."""
    world, pairs = seen.site.world, seen.site.pairs
    found = ches(world.reference, world.architecture, world.prompts[pairs.prompt], pairs.responses, normalized=True)
    return -found.double()


def reference_margin(seen: Seen) -> Tensor:
    """log pi_ref of the chosen response less that of the rejected one."""
    return seen.site.pairs.reference[:, 0] - seen.site.pairs.reference[:, 1]


def by_chance(seen: Seen) -> Tensor:
    """Uniform numbers."""
    site = seen.site
    return torch.from_numpy(random_stream(site.run.seed, "influence", "random").random(site.count))


SCORES = (
    Score(
        name="influence_gold",
        about="influence function on gold (Koh & Liang 2017)",
        values=influence_gold,
        needs_gold=True,
    ),
    Score(
        name="gold_margin",
        about="gold of the chosen response less that of the rejected one",
        values=lambda seen: seen.gold_gap,
        needs_gold=True,
    ),
    Score(
        name="influence_held_out",
        about="influence function on the loss of held-out pairs (Koh & Liang 2017)",
        values=influence_held_out,
    ),
    Score(
        name="gradient_product",
        about="gradient of the held-out loss times that of the pair, at the last step (TracIn, Pruthi et al. 2020)",
        values=gradient_product,
    ),
    Score(
        name="disagreement",
        about="probability of the label by policies that have not seen the pair, the mean over an ensemble",
        values=lambda seen: seen.agreement,
    ),
    Score(
        name="margin",
        about="margin of the trained policy; it ranks pairs as their loss does",
        values=lambda seen: seen.slope.margins,
    ),
    Score(
        name="gradient_norm",
        about="length of the gradient of the pair's loss, the longest first (GraNd, Paul et al. 2021)",
        values=gradient_norm,
    ),
    Score(
        name="ches",
        about="CHES, normalized, at the reference, the largest first (Razin et al. 2024)",
        values=normalized_ches,
    ),
    Score(name="reference_margin", about="log-ratio of the two responses under the reference", values=reference_margin),
    Score(name="random", about="random numbers, for comparison", values=by_chance),
)
