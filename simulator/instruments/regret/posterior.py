"""What labelled pairs tell of gold: the mean of gold over all golds that there may be, given the labels.

For one who does not know gold, the policy with the most expected gold at a budget of KL is pi_ref exp(r / tau) / Z with
r the posterior mean of gold: gold comes into E_pi[gold] linearly. The mean is over draws of Markov chains: elliptical
slice sampling (Murray, Adams & MacKay 2010, arXiv:1001.0175), which has no step size. Its normal law is the prior, or,
where labels are by chance, the normal law that fits the posterior at its peak (Laplace's), with the likelihood changed
so that the target stays the posterior. Where only some weights are not 0, steps between exchange one of them for
another, and keep or redraw its value (Metropolis; both offers are symmetric under the prior).

Half of the chains begin at the world's own weights, which are a draw from the posterior as far as the prior holds, and
half at a draw of the normal law, so that chains that have not met show in `spread`. Shapes: C chains, F features, N
pairs, P prompts, G responses.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from gold_rewards import Judged, LabelRule, outcome_probabilities
from simulator.common.errors import ConfigError
from simulator.instruments.regret.golds import GoldFamily

Array = np.ndarray
Value = Callable[[Array], Array]

CHAINS = 8
ROUNDS, EXCHANGING_ROUNDS, EXCHANGES = 1000, 2000, 8
NEWTON = 12
APART = 1e-3  # gaps between which the slope of a label's probability is taken


@dataclass(frozen=True, kw_only=True)
class LabelledPairs:
    """Pairs of a data set: rows of prompts [N]; numbers of the responses [N, 2], chosen first; which are tied, [N]."""

    prompt: Array
    number: Array
    tied: Array


@dataclass(frozen=True, kw_only=True)
class PosteriorMean:
    """mean: of gold, [P, G]. spread: of the chains' means over what is expected of chains that have met, 1 at best:
    R-hat of the log-likelihood, over halves of chains (Gelman & Rubin 1992).
    """

    mean: Array
    spread: float


@dataclass(frozen=True, kw_only=True)
class Normal:
    """A normal law of weights: centre [F], and a root of its covariance, [F, F], or None for the identity."""

    centre: Array
    root: Array | None = None

    def spread_out(self, standard: Array) -> Array:
        """Draws less the centre, [C, F], from standard normal numbers."""
        return standard if self.root is None else standard @ self.root.T


class Scale:
    """The deviations d_c(w) and d(w) of a family, from moments of its features under the reference."""

    def __init__(self, family: GoldFamily) -> None:
        """Take the moments."""
        features = family.features.shape[-1]
        second, cross = np.zeros((features + 1, features + 1)), np.zeros(features + 1)
        for row, (law, fixed, side) in enumerate(zip(family.law, family.fixed, family.side, strict=True)):
            both = np.column_stack([family.features[row if len(family.features) > 1 else 0], fixed])
            centred = both - law @ both
            second += centred.T @ (law[:, None] * centred)
            cross += centred.T @ (law * side)
        self.second, self.cross = second / len(family.law), cross / len(family.law)
        self.side = float((family.law * family.side**2).sum(axis=1).mean())

    def of(self, weights: Array) -> tuple[Array, Array]:
        """d_c and d, [C] each, for weights [C, F]."""
        whole = np.column_stack([weights, np.ones(len(weights))])
        content = np.sqrt(np.maximum(np.einsum("cf,cf->c", whole @ self.second, whole), 1e-300))
        return content, np.sqrt(np.maximum(1 + 2 * (whole @ self.cross) / content + self.side, 1e-300))


class Labels:
    """The probability of all labels, as a function of the weights of gold."""

    def __init__(self, family: GoldFamily, pairs: LabelledPairs, rule: LabelRule) -> None:
        """Look up what the responses of pairs have."""
        self.scale, self.pairs, self.rule = Scale(family), pairs, rule
        row = pairs.prompt if len(family.features) > 1 else np.zeros_like(pairs.prompt)
        chosen, rejected = pairs.number.T
        self.difference = (family.features[row, chosen] - family.features[row, rejected]).astype(float).T.copy()
        self.fixed = family.fixed[pairs.prompt, chosen] - family.fixed[pairs.prompt, rejected]
        self.side = family.side[pairs.prompt, chosen] - family.side[pairs.prompt, rejected]

    def gaps(self, weights: Array, content: Array, total: Array) -> Array:
        """Gold of the chosen response less that of the rejected one, [C, N]."""
        return ((weights @ self.difference + self.fixed) / content[:, None] + self.side) / total[:, None]

    def log_probability(self, gaps: Array) -> Array:
        """Of each label, [C, N]."""
        chosen, tied = outcome_probabilities(Judged(gold=gaps), Judged(gold=np.zeros_like(gaps)), self.rule)
        with np.errstate(divide="ignore"):
            return np.log(np.where(self.pairs.tied, tied, chosen))

    def log_likelihood(self, weights: Array) -> Array:
        """Of all labels, [C]."""
        return self.log_probability(self.gaps(weights, *self.scale.of(weights))).sum(axis=1)

    def laplace(self) -> Normal:
        """The normal law around the peak of the posterior, with deviations of gold as weights of the prior have them.

        A rough law is enough, for the sampler corrects for it.
        """
        features = len(self.difference)
        content = np.sqrt(max(np.trace(self.scale.second), 1e-300))
        total = np.sqrt(1 + self.scale.side)
        at, root, rows = np.zeros(features), np.eye(features), self.difference / (content * total)
        for _ in range(NEWTON):
            gaps = self.gaps(at[None], np.array([content]), np.array([total]))
            here, more, less = (self.log_probability(gaps + shift)[0] for shift in (0, APART, -APART))
            slope, bend = (more - less) / (2 * APART), np.maximum((2 * here - more - less) / APART**2, 1e-6)
            precision = np.eye(features) + (rows * bend) @ rows.T
            step = np.linalg.solve(precision, rows @ slope - at)
            at = at + step * min(1.0, 3.0 / max(np.abs(step).max(), 1e-300))
            root = np.linalg.inv(np.linalg.cholesky(precision)).T
        return Normal(centre=at, root=root)


def slice_step(weights: Array, level: Array, normal: Normal, value: Value, rng: np.random.Generator) -> None:
    """One elliptical slice step of every chain, of the weights that are not 0; changes weights and their value."""
    other = normal.spread_out(rng.normal(size=weights.shape)) * (weights != 0)
    bound = level + np.log(rng.random(len(weights)))
    angle = rng.uniform(0, 2 * np.pi, size=len(weights))
    low, high = angle - 2 * np.pi, angle.copy()
    waiting, start = np.arange(len(weights)), weights - normal.centre
    while len(waiting):
        turned = start[waiting] * np.cos(angle[waiting, None]) + other[waiting] * np.sin(angle[waiting, None])
        offered = turned + normal.centre
        found = value(offered)
        inside = found > bound[waiting]
        weights[waiting[inside]], level[waiting[inside]] = offered[inside], found[inside]
        waiting = waiting[~inside]
        below = angle[waiting] < 0
        low[waiting[below]], high[waiting[~below]] = angle[waiting[below]], angle[waiting[~below]]
        angle[waiting] = rng.uniform(low[waiting], high[waiting])


def exchange(weights: Array, level: Array, value: Value, rng: np.random.Generator) -> None:
    """Offer every chain to move one weight to a feature that has none, as it is or drawn again."""
    chains, keys = np.arange(len(weights)), rng.random(weights.shape)
    leaving = np.where(weights != 0, keys, -1).argmax(axis=1)
    coming = np.where(weights == 0, keys, -1).argmax(axis=1)
    offered, kept = weights.copy(), rng.random(len(weights)) < 0.5
    offered[chains, coming] = np.where(kept, weights[chains, leaving], rng.normal(size=len(weights)))
    offered[chains, leaving] = 0
    found = value(offered)
    taken = np.log(rng.random(len(weights))) < found - level
    weights[taken], level[taken] = offered[taken], found[taken]


def posterior_mean(
    family: GoldFamily, pairs: LabelledPairs, rule: LabelRule, rng: np.random.Generator
) -> PosteriorMean:
    """The mean of gold over all golds of the family, given the labels."""
    labels = Labels(family, pairs, rule)
    by_chance = rule.labels != "deterministic" or rule.noise > 0
    fitted = by_chance and family.active is None
    normal = labels.laplace() if fitted else Normal(centre=np.zeros(family.features.shape[-1]))
    inverse = np.linalg.inv(normal.root) if normal.root is not None else None

    def value(weights: Array) -> Array:
        found = labels.log_likelihood(weights)
        if inverse is not None:
            standard = (weights - normal.centre) @ inverse.T
            found = found - (weights**2).sum(axis=1) / 2 + (standard**2).sum(axis=1) / 2
        return found

    weights = starts(family, normal, value, rng)
    level = value(weights)
    if not np.isfinite(level).all():
        raise ConfigError(
            "regret: labels are so sure that chains over golds find no place to begin; is a temperature near 0?"
        )
    rounds = ROUNDS if family.active is None else EXCHANGING_ROUNDS
    kept, trace = [], []
    for turn in range(rounds):
        slice_step(weights, level, normal, value, rng)
        for _ in range(0 if family.active is None else EXCHANGES):
            exchange(weights, level, value, rng)
        if turn >= rounds // 4:
            content, total = labels.scale.of(weights)
            kept.append(np.column_stack([weights, np.ones(CHAINS), content]) / (content * total)[:, None])
            trace.append(labels.log_likelihood(weights))
    mean = np.array(kept).mean(axis=(0, 1))
    gold = family.features @ mean[:-2] + family.fixed * mean[-2] + family.side * mean[-1]
    gold -= (family.law * gold).sum(axis=1, keepdims=True)
    return PosteriorMean(mean=gold, spread=spread_of(np.array(trace)))


def starts(family: GoldFamily, normal: Normal, value: Value, rng: np.random.Generator) -> Array:
    """Where chains begin, [C, F]: half of them at the world's own weights, half at draws of the normal law."""
    found = normal.centre + normal.spread_out(rng.normal(size=(CHAINS, len(normal.centre))))
    if family.active is not None:
        order = rng.random(found.shape).argsort(axis=1).argsort(axis=1)
        found = np.where(order < family.active, found, 0.0)
    if family.truth is not None:
        found[: CHAINS // 2] = family.truth
        found[~np.isfinite(value(found))] = family.truth  # where labels are sure, most draws cannot be
    return found


def spread_of(trace: Array) -> float:
    """R-hat of values [S, C], over halves of chains."""
    half = len(trace) // 2
    parts = np.concatenate([trace[:half], trace[half : 2 * half]], axis=1)
    within = parts.var(axis=0, ddof=1).mean()
    between = parts.mean(axis=0).var(ddof=1)
    return float(np.sqrt((half - 1) / half + between / within)) if within > 0 else 1.0
