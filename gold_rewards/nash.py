"""The Nash policy of preferences in a circle: what nothing is preferred to.

Shapes: P prompts, G responses to each, of the K = 3 kinds of `kinds_of`.

Two players give a response each, and who gives the preferred one wins (Munos et al. 2023, arXiv:2312.00886, Sec. 3).
Of two responses of one kind, that with more gold is at least as good against every other, so that a Nash policy mixes
the best one of each kind, with the shares of the game of these three. Its payoffs are antisymmetric,

    p - ½ = [[0, a, -c], [-a, 0, b], [c, -b, 0]],

so that the value is 0, and (b, c, a), whose product with them is 0, is the mixture where all three have one sign.
Where they have not, one response is at least as good as each of the others, and is the policy.
"""

import numpy as np

from gold_rewards.labels import KINDS_OF_RESPONSES, Judged, LabelRule, outcome_probabilities

Array = np.ndarray


def mixture_of_three(payoffs: Array) -> Array:
    """The shares [P, 3] of a Nash policy of antisymmetric payoffs [P, 3, 3]."""
    shares = np.stack([payoffs[:, 1, 2], payoffs[:, 2, 0], payoffs[:, 0, 1]], axis=1)
    signed = (shares >= 0).all(axis=1) | (shares <= 0).all(axis=1)
    mass = np.abs(shares).sum(axis=1)
    best = np.eye(KINDS_OF_RESPONSES)[payoffs.min(axis=2).argmax(axis=1)]
    mixed = np.abs(shares) / np.where(mass > 0, mass, 1.0)[:, None]
    return np.where((signed & (mass > 0))[:, None], mixed, best)


def nash_policy(judged: Judged, rule: LabelRule) -> tuple[Array, Array]:
    """Which responses a Nash policy gives, as numbers [P, 3], and with which probabilities [P, 3].

    judged: all responses, gold [P, G], and tokens and kind [G] or [P, G]. Labels are those of the rule without noise.
    A kind of which there is no response has probability 0.
    """
    wanted = judged.gold + rule.length_bias * np.broadcast_to(judged.tokens, judged.gold.shape)
    kind = np.broadcast_to(judged.kind, judged.gold.shape)
    of_kind = [np.where(kind == each, wanted, -np.inf) for each in range(KINDS_OF_RESPONSES)]
    there = np.stack([np.isfinite(values).any(axis=1) for values in of_kind], axis=1)
    best = np.stack([values.argmax(axis=1) for values in of_kind], axis=1)
    few = spread(judged).at((np.arange(len(best))[:, None], best))
    chosen, tied = outcome_probabilities(few.at(np.s_[:, :, None]), few.at(np.s_[:, None, :]), noiseless(rule))
    payoffs = chosen + tied / 2 - 0.5
    payoffs = np.where(there[:, None, :], payoffs, 1.0)  # a kind without responses is beaten by all, and beats none
    payoffs = np.where(there[:, :, None], payoffs, np.where(there[:, None, :], -1.0, 0.0))
    return best, mixture_of_three(payoffs)


def against_nash(judged: Judged, rule: LabelRule) -> Array:
    """Probability that each response is preferred to that of the Nash policy, [P, G]; a tie counts half."""
    best, shares = nash_policy(judged, rule)
    whole, row = spread(judged), np.arange(len(best))
    found = np.zeros(judged.gold.shape)
    for number, share in zip(best.T, shares.T, strict=True):
        chosen, tied = outcome_probabilities(whole, whole.at((row, number)).at(np.s_[:, None]), noiseless(rule))
        found += share[:, None] * (chosen + tied / 2)
    return found


def spread(judged: Judged) -> Judged:
    """The same with all of its arrays [P, G]."""
    shape = judged.gold.shape
    return Judged(**{name: np.broadcast_to(value, shape) for name, value in vars(judged).items()})


def noiseless(rule: LabelRule) -> LabelRule:
    """The rule without flipped labels."""
    return LabelRule(**{**vars(rule), "noise": 0.0, "flip_toward": "any"})
