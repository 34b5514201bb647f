"""Policies trained again on the same pairs, with some of them left out.

A pair is left out by putting its chosen response in the place of the rejected one. The margin of a response against
itself is 0 whatever the policy is, and so is its gradient: the mean over the batch is as if the pair had the weight 0.
All else stays: the batches, their size, the steps. And the engine takes such pairs as it takes all others, while
weights would keep it from its fastest way.

A training seed is the order of batches. Policies start at the reference, so that nothing else is by chance.

Shapes: R policies, N pairs, D parameters, P prompts, G responses.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.interpolate import CubicSpline
from torch import Tensor

from simulator.common.errors import ConfigError
from simulator.common.random_streams import random_stream
from simulator.instruments.regret.tilt import gold_at
from simulator.methods.algorithms.pairwise_training import new_learner
from simulator.preferences.pairs import Preferences
from simulator.settings.run import Run
from simulator.worlds.protocol import ListedWorld

Array = np.ndarray

NUMBERS = 2**24  # that a stack may hold of pairs, laws and parameters
ORACLES = 33  # KLs at which the oracle is computed; between them it is a cubic spline


@dataclass(frozen=True, kw_only=True)
class Site:
    """One data set under one class of policies: pairs [N, …] of the seed of `run`, chosen first."""

    run: Run
    world: ListedWorld
    pairs: Preferences

    @property
    def count(self) -> int:
        """N."""
        return len(self.pairs.prompt)

    @property
    def gold(self) -> Tensor:
        """Of every response, float64 [P, G]."""
        return torch.from_numpy(self.world.listing.gold)

    def training_seed(self, purpose: str, number: int = 0) -> int:
        """The seed of an order of batches; of other names, other orders."""
        return int(random_stream(self.run.seed, "influence", purpose, number).integers(2**62))


@dataclass(frozen=True, kw_only=True)
class Ended:
    """Trained policies: gold [R], in deviations under the reference, and KL [R], nats; both exact."""

    gold: Array
    kl: Array


def without(pairs: Preferences, left_out: Tensor) -> Preferences:
    """Pairs [R, N, …] made of pairs [N, …], without those in `left_out`, bool [R, N]."""
    runs, silent = len(left_out), left_out[..., None]
    chosen, rejected = pairs.responses[:, 0].expand(runs, -1, -1), pairs.responses[:, 1].expand(runs, -1, -1)
    one, other = pairs.reference[:, 0].expand(runs, -1), pairs.reference[:, 1].expand(runs, -1)
    return Preferences(
        prompt=pairs.prompt.expand(runs, -1).contiguous(),
        responses=torch.stack([chosen, torch.where(silent, chosen, rejected)], dim=2),
        reference=torch.stack([one, torch.where(left_out, one, other)], dim=2),
    )


def trained(site: Site, left_out: Tensor, seeds: Sequence[int]) -> Tensor:
    """Parameters [R, D] of policies without the pairs `left_out`, bool [R, N], one of each training seed.

    They are trained in stacks of bounded memory. Raises ConfigError where one of them diverges.
    """
    found = []
    for some in stacks(site, len(left_out)):
        runs = [replace(site.run, seed=seed) for seed in seeds[some]]
        learner = new_learner(runs, site.world, [], without(site.pairs, left_out[some]))
        learner.advance(site.run.steps)
        found.append(learner.state.parameters)
    parameters = torch.cat(found)
    if not bool(parameters.isfinite().all()):
        rate = site.run.settings.train.learning_rate
        raise ConfigError(f"train.learning_rate (={rate:g}): a policy diverged; influence needs a lower one")
    return parameters


def stacks(site: Site, runs: int) -> Iterable[slice]:
    """Parts of so many runs, each of which fits into memory."""
    pairs, laws = site.pairs.responses.numel(), 4 * site.world.reference_log_probs.numel()
    most = max(1, NUMBERS // (pairs + laws + 8 * site.world.policy_class.start.numel()))
    return [slice(first, min(first + most, runs)) for first in range(0, runs, most)]


def ended(site: Site, parameters: Tensor) -> Ended:
    """Gold and KL of policies [R, D]."""
    gold, kl = [], []
    for some in stacks(site, len(parameters)):
        laws = site.world.policy_class.measured_laws(parameters[some], alone=False)
        probability = laws.exp()
        gold.append((probability * site.gold).sum(dim=-1).mean(dim=-1))
        kl.append((probability * (laws - site.world.reference_log_probs)).sum(dim=-1).mean(dim=-1))
    return Ended(gold=torch.cat(gold).numpy(), kl=torch.cat(kl).numpy())


def retrained(site: Site, left_out: Tensor, seed: int) -> Ended:
    """Gold and KL of policies without the pairs `left_out`, bool [R, N], all of one training seed."""
    return ended(site, trained(site, left_out, [seed] * len(left_out)))


def regret(site: Site, policies: Ended) -> Array:
    """The most gold at the KL of each policy less its own, [R]; that is a spline through `ORACLES` exact points."""
    low, high = float(policies.kl.min()), float(policies.kl.max())
    if high - low < 1e-9:
        oracle = np.full(len(policies.kl), oracle_at(site, [low])[0])
    else:
        budgets = np.linspace(low, high, ORACLES)
        oracle = CubicSpline(budgets, oracle_at(site, budgets))(policies.kl)
    return np.asarray(oracle - policies.gold)


def oracle_at(site: Site, budgets: Sequence[float] | Array) -> list[float]:
    """The most gold at each KL."""
    with np.errstate(over="ignore"):  # a budget near the largest KL there is
        return gold_at(site.world.reference_log_probs, site.gold, site.gold, list(budgets))
