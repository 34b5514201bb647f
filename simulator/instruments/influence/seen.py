"""What scores may look at: one trained policy, its derivatives, held-out pairs, and an ensemble.

The policy has a training seed of its own, which no policy that values or judges pairs has. Held-out pairs are as many
as the pairs, drawn and labelled alike, wrong labels included. The ensemble are `MODELS` policies, each trained on a
random half of the pairs; the next one has the other half. So half of them have not seen a pair.

Shapes: N pairs, M policies, D parameters.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from simulator.common.random_streams import random_stream
from simulator.instruments.influence.derivatives import (
    Slopes,
    damping_of,
    gold_gradient,
    margins_and_jacobian,
    slopes,
)
from simulator.instruments.influence.retraining import Site, trained
from simulator.preferences.labelling import arrange_pairs
from simulator.preferences.pairs import Preferences

Array = np.ndarray

MODELS = 16


@dataclass(frozen=True, kw_only=True)
class Seen:
    """Float64. gold_gap [N]: gold of the chosen response less that of the rejected one, for scores that need gold.

    agreement [N]: the mean probability that policies of the ensemble which have not seen a pair give to its label.
    """

    site: Site
    slope: Slopes
    damping: float
    gold_gradient: Tensor
    held_out_gradient: Tensor
    agreement: Tensor
    gold_gap: Tensor


def look(site: Site) -> Seen:
    """What there is to see of one data set and class of policies."""
    nobody = torch.zeros(1, site.count, dtype=torch.bool)
    policy = trained(site, nobody, [site.training_seed("scored")])[0]
    slope = slopes(site.run, site.world, site.pairs, policy)
    others = slopes(site.run, site.world, held_out_pairs(site), policy)
    gold = site.world.gold_of(site.pairs.prompt[None], site.pairs.responses[None])[0]
    return Seen(
        site=site,
        slope=slope,
        damping=damping_of(slope.roots),
        gold_gradient=gold_gradient(site.world, policy),
        held_out_gradient=others.gradients.mean(dim=0),
        agreement=unseen_agreement(site),
        gold_gap=gold[:, 0] - gold[:, 1],
    )


def held_out_pairs(site: Site) -> Preferences:
    """As many pairs as there are, drawn and labelled alike, from a stream of their own."""
    drawn = site.world.candidates(site.run.settings.data, site.run.seed, site.count, "influence")
    run = replace(site.run, seed=site.training_seed("held out"))
    return arrange_pairs([drawn], [run], site.world, None, "gold").run(0)


def halves(site: Site) -> Tensor:
    """Which pairs each policy of the ensemble does not see, bool [M, N]."""
    rng = random_stream(site.run.seed, "influence", "halves")
    rows = []
    for _ in range(MODELS // 2):
        unseen = np.zeros(site.count, dtype=bool)
        unseen[rng.permutation(site.count)[: site.count // 2]] = True
        rows += [unseen, ~unseen]
    return torch.from_numpy(np.array(rows))


def unseen_agreement(site: Site) -> Tensor:
    """The mean of σ(β ρ_i) over policies that have not seen pair i, [N]."""
    unseen = halves(site)
    ensemble = trained(site, unseen, [site.training_seed("ensemble", number) for number in range(MODELS)])
    assert site.run.beta is not None
    margins = torch.stack([margins_and_jacobian(site.world, site.pairs, each)[0] for each in ensemble])
    chance = torch.sigmoid(site.run.beta * margins)
    return (chance * unseen).sum(dim=0) / unseen.sum(dim=0)
