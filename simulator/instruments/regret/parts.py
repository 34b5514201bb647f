"""What took the gold that a policy falls short of the best by: the parts of its regret.

At the KL k of a trained policy, with G(s) the gold of the policy along a direction s that has this KL (see tilt.py):

    total        G(gold) - gold of the policy
    labels       G(gold) - G(r)      r: the posterior mean of gold given the pairs; see posterior.py
    loss         G(r) - G(t)         t: the population optimum of the loss for labels by r; see optimum.py
    policy_class G(t) - G(c)         c: the best of the class for that population loss; see best_of_class.py
    optimizer    G(c) - gold of the policy

and the last, with f the policy that the same training comes to on fresh pairs that are labelled by r, and l the one
that so many times as many steps come to on such pairs, is the sum of

    optimizer_beta   G(c) - G(l)     another beta would have gained it
    optimizer_steps  G(l) - G(f)     longer training would have gained it
    optimizer_pairs  G(f) - gold of the policy     what comes of learning from these pairs, again and again

The parts sum to the total, each whatever its sign: only the total and `labels` cannot be negative. From `labels` on,
gold is replaced by what one can believe of it after the labels, or a loss over all pairs would give back what the
labels took. Of the policies of the class for all beta of the grid, c is the one with the most believed gold at k: no
direction has a beta, and gold itself chooses nothing. Shapes: R runs, P prompts, G responses.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import groupby

import numpy as np
import torch
from torch import Tensor

from simulator.common.random_streams import random_stream
from simulator.instruments.regret.best_of_class import LONGER, trained_on_fresh_pairs
from simulator.instruments.regret.golds import GoldFamily
from simulator.instruments.regret.optimum import FlatError, population_optimum
from simulator.instruments.regret.posterior import LabelledPairs, PosteriorMean, posterior_mean
from simulator.instruments.regret.tilt import at_kl
from simulator.preferences.draw import draw_labelled
from simulator.settings.labels import rule_of
from simulator.settings.run import Run, hyperparameters_of, objective_of
from simulator.worlds.protocol import ListedWorld

Array = np.ndarray

PARTS = ("labels", "loss", "policy_class", "optimizer")
Parts = dict[str, float | str]


@dataclass(frozen=True, kw_only=True)
class Ended:
    """A run, with KL and gold of its policy at the end of training."""

    run: Run
    kl: float
    gold: float


@dataclass(frozen=True, kw_only=True)
class Judge:
    """Gold, and what one believes of it, of policies along directions. Float64 tensors [P, G]."""

    log_reference: Tensor
    gold: Tensor
    belief: Tensor

    def at(self, direction: Tensor, kl: float) -> tuple[float, float]:
        """Gold and believed gold of the policy along a direction that has this KL, as means over prompts."""
        law = at_kl(self.log_reference, direction, kl).exp()
        return float((law * self.gold).sum(dim=-1).mean()), float((law * self.belief).sum(dim=-1).mean())


def parts_of(world: ListedWorld, family: GoldFamily, ended: Sequence[Ended]) -> dict[str, Parts]:
    """The parts of the regret of runs that share seed and pairs, by the name of the run.

    Runs whose loss has no minimum over all pairs are left out.
    """
    believed = belief_of(world, family, ended[0].run)
    reference, every = world.reference_log_probs.cpu(), torch.from_numpy(world.listing.gold)
    judge = Judge(log_reference=reference, gold=every, belief=torch.from_numpy(believed.mean))
    optima = optima_of(world, [one.run for one in ended], believed.mean)
    split = [one for one in ended if one.run.run_id in optima]
    runs = [one.run for one in split]
    once = trained_on_fresh_pairs(world, runs, believed.mean, 1)
    longer = trained_on_fresh_pairs(world, runs, believed.mean, LONGER)
    best = {key: [longer[run.run_id] for run in some if may_miss(run)] for key, some in by_class(runs)}
    found: dict[str, Parts] = {}
    for one in split:
        name = one.run.run_id
        stages = [judge.at(direction, one.kl)[0] for direction in (every, judge.belief, optima[name])]
        candidates = best[of_one_class(one.run)] or [optima[name]]
        stages.append(max((judge.at(each, one.kl) for each in candidates), key=lambda found: found[1])[0])
        parts = [before - after for before, after in zip(stages, [*stages[1:], one.gold], strict=True)]
        own, fresh = (judge.at(trained[name], one.kl)[0] for trained in (longer, once))
        found[name] = {
            "oracle": stages[0],
            "total": stages[0] - one.gold,
            **dict(zip(PARTS, parts, strict=True)),
            "optimizer_beta": stages[-1] - own,
            "optimizer_steps": own - fresh,
            "optimizer_pairs": fresh - one.gold,
            "gold_family": family.how,
            "chains_spread": believed.spread,
        }
    return found


def optima_of(world: ListedWorld, runs: Sequence[Run], belief: Array) -> dict[str, Tensor]:
    """The population optimum of each run's loss, [P, G], by the name of the run; none where there is no minimum."""
    known: dict[tuple[object, ...], Tensor] = {}
    for run in runs:
        if loss_key(run) not in known:
            with suppress(FlatError):
                known[loss_key(run)] = optimum_of(world, run, belief)
    return {run.run_id: known[loss_key(run)] for run in runs if loss_key(run) in known}


def loss_key(run: Run) -> tuple[object, ...]:
    """What a population optimum depends on besides the data: the loss and its parameters."""
    return run.loss, *sorted(hyperparameters_of(run).items())


def by_class(runs: Sequence[Run]) -> list[tuple[tuple[str, str], list[Run]]]:
    """The runs of each loss and class of policies."""
    ordered = sorted(runs, key=of_one_class)
    return [(key, list(some)) for key, some in groupby(ordered, key=of_one_class)]


def of_one_class(run: Run) -> tuple[str, str]:
    """What runs share that differ in beta alone."""
    return run.stack_key, run.cell.settings_digest + str(run.loss)


def belief_of(world: ListedWorld, family: GoldFamily, run: Run) -> PosteriorMean:
    """The posterior mean of gold given the pairs of a run."""
    data = run.settings.data
    pairs = draw_labelled(world, data, run.seed)
    number = world.response_list.number(pairs.responses).cpu().numpy()
    tied = (
        np.zeros(len(number), bool) if pairs.weights is None else (pairs.weights[:, 0] == pairs.weights[:, 1]).numpy()
    )
    given = LabelledPairs(prompt=pairs.prompt.cpu().numpy(), number=number, tied=tied)
    return posterior_mean(family, given, rule_of(data), random_stream(run.seed, "regret"))


def optimum_of(world: ListedWorld, run: Run, belief: Array) -> Tensor:
    """The population optimum of a run's loss, with labels by what is believed of gold, [P, G]."""
    objective, data = objective_of(run), run.settings.data
    assert objective.f is not None
    loss = partial(objective.f, **hyperparameters_of(run))
    return torch.from_numpy(population_optimum(loss, belief, world.side_distributions(data), rule_of(data)))


def may_miss(run: Run) -> bool:
    """Whether policies of its class cannot be just anything."""
    return run.settings.policy.kind != "tabular"
