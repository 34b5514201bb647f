"""Pairs that are dropped before anybody learns from them, since they lower the probability of their chosen response.

`data.filter` drops the `data.filter_share` of the pairs whose score at the reference is the largest: length-normalized
CHES (Razin et al. 2024, arXiv:2410.08847, Section 6, where all but 5 % are dropped), or less the displacement rate, by
which gradient flow on the pair alone moves log pi of its chosen response. Scores are in simulator/pair_scores/. Every
set of labelled pairs loses its share: what gold labelled for policies or for a proxy, a file of pairs, and the pool
that a proxy labels. A tied pair is scored in the order in which it was drawn. What is dropped follows from the pairs
and the reference alone, so a run has the same pairs alone and in any stack.

Shapes: R runs, N pairs of one run.
"""

import torch
from torch import Tensor

from simulator.pair_scores.many_pairs import PairScores, score_pairs
from simulator.preferences.pairs import Preferences, stack_preferences
from simulator.preferences.tilted_scores import tilted_scores
from simulator.settings.data_table import Data, Filter
from simulator.worlds.policy_classes.tilted import as_tilted
from simulator.worlds.protocol import World


def kept_pairs(pairs: Preferences, world: World, data: Data) -> Preferences:
    """The pairs of one run less those that the filter drops, in their order."""
    if data.filter == "none":
        return pairs
    score = displacement_by(data.filter, scores_at_reference(pairs, world))
    return pairs.at(places_kept(score, data.kept(len(score))))


def kept_of_all(pairs: Preferences, world: World, data: Data) -> Preferences:
    """The same for the pairs of several runs [R, N, …], all of which keep as many. Runs with equal pairs share them."""
    if data.filter == "none":
        return pairs
    known: dict[bytes, Tensor] = {}
    rows = []
    for number in range(len(pairs.prompt)):
        own = pairs.run(number)
        key = fingerprint_of(own)
        if key not in known:
            score = displacement_by(data.filter, scores_at_reference(own, world))
            known[key] = places_kept(score, data.kept(len(score)))
        rows.append(own.at(known[key]))
    return stack_preferences(rows)


def fingerprint_of(pairs: Preferences) -> bytes:
    """What two sets of pairs of one shape share only if they are equal."""
    return pairs.prompt.cpu().numpy().tobytes() + pairs.responses.cpu().numpy().tobytes()


def scores_at_reference(pairs: Preferences, world: World) -> PairScores:
    """The scores [N] of the pairs of one run under the reference, for policies of the world's class.

    Of several responses, those of the first and the last.
    """
    if tilted := as_tilted(world.policy_class):
        return tilted_scores(tilted, pairs.prompt, pairs.responses[:, [0, -1]])
    return score_pairs(world.reference, world.architecture, world.prompts[pairs.prompt], pairs.responses[:, [0, -1]])


def displacement_by(by: Filter, scores: PairScores) -> Tensor:
    """The score [N] whose largest values a filter drops."""
    return scores.ches_normalized if by == "ches" else -scores.displacement_rate


def places_kept(score: Tensor, count: int) -> Tensor:
    """The places of the `count` smallest scores [N], rising; of equal scores the later ones are kept."""
    order = score.argsort(descending=True, stable=True)
    return torch.sort(order[len(score) - count :]).values
