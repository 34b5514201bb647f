"""What best-of-n ranks by: each proxy, ensembles of several, and gold itself; and the units of scores.

Coste et al. 2023 (arXiv:2310.02743, Sec. 3) rank by the mean over m proxies, by the least of them (worst case), and by
mean - lambda * variance, the variance being sum (r - mean)^2 / m. Reward models are trained on comparisons at equal
prompts, so a constant of each prompt and a unit are arbitrary: before they are compared, each is recentred at every
prompt and divided by its standard deviation around these means, as in our own ensembles. Shapes: R responses, P
prompts.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from analysis.generations.read import Generations
from analysis.records.load import ResultsError

Array = np.ndarray
Kind = Literal["proxy", "ensemble", "gold"]
COMBINATIONS: Mapping[str, Callable[[Array, float], Array]] = {
    "mean": lambda members, uncertainty: members.mean(axis=0),
    "worst_case": lambda members, uncertainty: members.min(axis=0),
    "uncertainty_weighted": lambda members, uncertainty: members.mean(axis=0) - uncertainty * members.var(axis=0),
}
ENSEMBLE = "ensemble_"  # what the names of ensembles begin with
ENSEMBLES = tuple(f"{ENSEMBLE}{name}" for name in COMBINATIONS)
ROUNDING = 1e-12  # a deviation below this part of the scores is none


@dataclass(frozen=True, kw_only=True)
class Score:
    """What responses are ranked by: numbers [R], its name, and whether it is a proxy, an ensemble or gold."""

    name: str
    kind: Kind
    numbers: Array


@dataclass(frozen=True, kw_only=True)
class Pools:
    """The responses of prompts that have enough of them.

    groups: for each number of responses N, the rows of its prompts in the flat arrays, [P, N]. left_out: how many
    prompts have fewer than `most` responses.
    """

    groups: tuple[Array, ...]
    most: int
    left_out: int
    fewest_of_all: int

    @property
    def prompts(self) -> int:
        """How many prompts there are."""
        return sum(len(group) for group in self.groups)

    @property
    def rows(self) -> Array:
        """The rows of all responses, [R]."""
        return np.concatenate([group.ravel() for group in self.groups])

    @property
    def sizes(self) -> tuple[int, int]:
        """The fewest and the most responses of a prompt."""
        return min(group.shape[1] for group in self.groups), max(group.shape[1] for group in self.groups)

    def means(self, values: Array) -> Array:
        """The mean of values [R] at each prompt, [P]."""
        return np.concatenate([values[group].mean(axis=1) for group in self.groups])

    def spread(self, values: Array) -> Array:
        """Values [R] less the mean at their prompt; 0 for prompts that are left out."""
        found = np.zeros(len(values))
        for group in self.groups:
            found[group] = values[group] - values[group].mean(axis=1, keepdims=True)
        return found


def pools_of(found: Generations, largest_n: int | None, kept: float) -> Pools:
    """The prompts that best-of-n is measured on, and how large n may be.

    n goes as far as a share `kept` of the prompts has responses, or to `largest_n`; prompts with fewer are left out, so
    that every n has the same prompts. Raises ResultsError.
    """
    order = np.argsort(found.prompt, kind="stable")
    counts = np.bincount(found.prompt)
    counts = counts[counts > 0]
    falling = np.sort(counts)[::-1]
    most = int(falling[int(np.ceil(kept * len(falling))) - 1]) if largest_n is None else int(largest_n)
    longest = int(falling[0])
    if largest_n is not None and not 2 <= largest_n <= longest:
        raise ResultsError(
            f"{found.source}: --largest-n {largest_n}: must be from 2 to {longest:,}, the most responses of a prompt"
        )
    if most < 2:
        one, all_of = int((counts < 2).sum()), len(counts)
        prompt = " and ".join(found.columns.prompt)
        raise ResultsError(
            f"{found.source}: {one:,} of {all_of:,} prompts have one response, and best-of-n chooses among several; "
            f"rows of one prompt must have the same {prompt}"
        )
    rows = np.split(order, np.cumsum(counts)[:-1])
    kept_rows = [each for each in rows if len(each) >= most]
    by_size: dict[int, list[Array]] = {}
    for each in kept_rows:
        by_size.setdefault(len(each), []).append(each)
    return Pools(
        groups=tuple(np.stack(by_size[size]) for size in sorted(by_size)),
        most=most,
        left_out=len(rows) - len(kept_rows),
        fewest_of_all=int(counts.min()),
    )


def scores_to_rank_by(found: Generations, pools: Pools, uncertainty: float) -> list[Score]:
    """The proxies, ensembles where there are several, and gold. Raises ResultsError where one ranks nothing."""
    for name, values in {**found.proxies, found.columns.gold: found.gold}.items():
        if deviation(pools.spread(values)[pools.rows], values) == 0.0:
            raise ResultsError(
                f"{found.source}: {name} is the same for all responses to a prompt, at every prompt, so it ranks none"
            )
    for name in {*ENSEMBLES} & {*found.proxies, found.columns.gold}:
        raise ResultsError(
            f"{found.source}: column {name} has the name of an ensemble that is computed here; rename it"
        )
    scores = [Score(name=name, kind="proxy", numbers=values) for name, values in found.proxies.items()]
    if len(scores) > 1:
        around = [pools.spread(score.numbers) for score in scores]
        members = np.stack([each / each[pools.rows].std() for each in around])
        for name, combine in zip(ENSEMBLES, COMBINATIONS.values(), strict=True):
            values = combine(members, uncertainty)
            scores.append(Score(name=name, kind="ensemble", numbers=values))
    return [*scores, Score(name=found.columns.gold, kind="gold", numbers=found.gold)]


def deviation(around: Array, values: Array) -> float:
    """The standard deviation of values around their means; 0 where it is rounding."""
    found = float(around.std())
    return found if found > ROUNDING * float(np.abs(values).max()) else 0.0
