"""The value of each pair and of groups of pairs, exactly, by training without them; and what dropping pairs brings.

    value = gold(all pairs) - gold(without)

is above 0 where a pair helps, and below 0 where it costs gold. Both policies have the same training seed, so that all
else is alike. Values of `ORDERS` training seeds are computed; that which they have in common is what scores can find.
What dropping brings is measured with other training seeds.

Shapes: N pairs, R policies.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from simulator.common.random_streams import random_stream
from simulator.instruments.influence.retraining import Ended, Site, ended, regret, retrained, trained

Array = np.ndarray

ORDERS = 2
SHARE = 0.05  # of the pairs, in a group and of those that are dropped
PARTITIONS = 4


@dataclass(frozen=True, kw_only=True)
class Values:
    """For each of the two training seeds, [2, …]: what pairs, or groups of them, add to gold, to regret, and to KL.

    regret is the most gold at the KL of a policy less its gold; what a pair adds to it is above 0 where it is larger
    with the pair.
    """

    gold: Array
    regret: Array
    kl: Array


@dataclass(frozen=True, kw_only=True)
class Dropped:
    """Policies of fresh training seeds, [F]: gold, regret and KL without some pairs, less those with all."""

    gold: Array
    regret: Array
    kl: Array


def values_without(site: Site, left_out: Tensor) -> Values:
    """What each set of pairs in `left_out`, bool [R, N], adds, for each training seed."""
    nobody = torch.zeros(1, site.count, dtype=torch.bool)
    gold, short, kl = [], [], []
    for order in range(ORDERS):
        found = retrained(site, torch.cat([nobody, left_out]), site.training_seed("values", order))
        missing = regret(site, found)
        gold.append(found.gold[0] - found.gold[1:])
        short.append(missing[0] - missing[1:])
        kl.append(found.kl[0] - found.kl[1:])
    return Values(gold=np.array(gold), regret=np.array(short), kl=np.array(kl))


def singles(site: Site) -> Tensor:
    """Each pair alone, bool [N, N]."""
    return torch.eye(site.count, dtype=torch.bool)


def group_size(count: int) -> int:
    """How many pairs a group has."""
    return max(1, round(SHARE * count))


def groups(site: Site) -> Tensor:
    """`PARTITIONS` random partitions of the pairs into groups of 5 %, bool [R, N]; what is left over has no group."""
    size, rng = group_size(site.count), random_stream(site.run.seed, "influence", "groups")
    rows = []
    for _ in range(PARTITIONS):
        order = rng.permutation(site.count)
        for first in range(0, site.count - size + 1, size):
            row = np.zeros(site.count, dtype=bool)
            row[order[first : first + size]] = True
            rows.append(row)
    return torch.from_numpy(np.array(rows))


def lowest(score: Array) -> Tensor:
    """The 5 % of pairs with the lowest score, bool [N]; of equal ones the first."""
    found = np.zeros(len(score), dtype=bool)
    found[np.argsort(score, kind="stable")[: group_size(len(score))]] = True
    return torch.from_numpy(found)


def dropped(site: Site, sets: Tensor, fresh: int) -> list[Dropped]:
    """What dropping each of the `sets`, bool [R, N], brings, with `fresh` training seeds that valued nothing."""
    rows = torch.cat([torch.zeros(1, site.count, dtype=torch.bool), sets])
    seeds = [site.training_seed("fresh", number) for number in range(fresh)]
    every = rows.repeat_interleave(fresh, dim=0)
    found: Ended = ended(site, trained(site, every, seeds * len(rows)))
    gold, short, kl = (each.reshape(-1, fresh) for each in (found.gold, regret(site, found), found.kl))
    return [
        Dropped(gold=gold[row] - gold[0], regret=short[row] - short[0], kl=kl[row] - kl[0])
        for row in range(1, len(rows))
    ]
