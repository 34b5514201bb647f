"""Population data: the exact expectation over pairs in place of drawn ones, where every response is listed.

A drawn pair is a prompt, drawn uniformly, two independent responses of the behaviour policy μ, and a label. The mean of
a loss ℓ(chosen, rejected) over infinitely many of them is

    1/P Σ_x Σ_{y, y'} μ(y|x) μ(y'|x) [ p(y ≻ y'|x) ℓ(y, y') + p(y' ≻ y|x) ℓ(y', y) ]

and each unordered pair is listed once, with a weight for each of its orders; a tie counts half in each. Pairs of a
response with itself are among them, with both orders alike; with `data.distinct` they are not, and the rest follow μ
given that responses differ.

Shapes: P prompts, G responses of T tokens, U unordered pairs at one prompt, N = P U pairs.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from simulator.preferences.comparisons import judge, label_probabilities
from simulator.preferences.pairs import Preferences, stack_preferences
from simulator.settings.data_table import Data
from simulator.settings.labels import LABELS
from simulator.settings.run import Run, objective_of
from simulator.worlds.protocol import World, as_listed

Array = np.ndarray


@dataclass(frozen=True, kw_only=True)
class Listed:
    """All responses to every prompt: rows of the prompts [P], token ids [P, G, T], and log pi_ref [P, G]."""

    prompt: Tensor
    responses: Tensor
    reference: Tensor


def pair_law(sides: tuple[Array, Array], *, distinct: bool) -> tuple[Array, Array, Array]:
    """Numbers of both responses of every unordered pair, [U] each, and its probability at each prompt, [P, U].

    sides: the laws of the two responses, [P, G] each. distinct: whether responses of a pair differ.
    """
    one, other = sides
    first, second = np.triu_indices(one.shape[1], k=int(distinct))
    mass = one[:, first] * other[:, second] + np.where(first == second, 0.0, one[:, second] * other[:, first])
    return first, second, mass / mass.sum(axis=1, keepdims=True)


def population(world: World, data: Data) -> Preferences:
    """Every pair at every prompt, as gold labels them, with weights of which the mean loss is the expectation."""
    listed, prompts = as_listed(world), torch.arange(len(world.prompts), device=world.prompts.device)
    first, second, mass = pair_law(listed.side_distributions(data), distinct=data.distinct)
    everything = Listed(
        prompt=prompts,
        responses=listed.responses.expand(len(prompts), -1, -1),
        reference=listed.reference_log_probs,
    )
    gold = world.gold_of(prompts[None], everything.responses[None])[0]
    judged = judge(world, data, everything, gold.cpu().numpy())
    chosen, tied = label_probabilities(judged.at(np.s_[..., first]), judged.at(np.s_[..., second]), data)
    stands = chosen + tied / 2
    each = len(first)  # N / P, since the loss is a mean over N pairs, and each prompt has 1 / P
    weights = each * mass[..., None] * np.stack([stands, 1 - stands], axis=-1)
    row = prompts.repeat_interleave(each)
    number = torch.from_numpy(np.stack([first, second], axis=1)).to(row.device).repeat(len(prompts), 1)
    return Preferences(
        prompt=row,
        responses=listed.responses[number],
        reference=listed.reference_log_probs[row.unsqueeze(1), number],
        scores=gold[row.unsqueeze(1), number],
        weights=torch.from_numpy(weights.reshape(-1, 2)).to(row.device),
    )


def population_of(runs: Sequence[Run], world: World) -> Preferences:
    """The pairs of every run, [R, N, …], as its labels are; with gold where the objective of some run reads rewards."""
    known: dict[tuple[object, ...], Preferences] = {}
    for run in runs:
        data = run.settings.data
        if (key := labels_of(run)) not in known:
            known[key] = population(world, data)
    pairs = [known[labels_of(run)] for run in runs]
    scored = any(objective_of(run).scored for run in runs)
    return stack_preferences(pairs if scored else [each.without_scores() for each in pairs])


def labels_of(run: Run) -> tuple[object, ...]:
    """What pairs follow from that may differ within a stack."""
    return tuple(getattr(run.settings.data, name) for name in LABELS)
