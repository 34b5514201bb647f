"""The best possible policy at a given KL. Shapes: P prompts, G responses to each."""

from collections.abc import Callable

import numpy as np
from scipy.optimize import brentq

COLDEST, HOTTEST = 1e-6, 1e6  # temperatures between which the right one is looked for

Array = np.ndarray


def best_possible(reference: Array, gold: Array) -> Callable[[float], float]:
    """The most gold that a policy with a given KL, in nats, can have, from pi_ref and gold [P, G].

    It is that of the Gibbs policy pi_ref exp(gold / tau) / Z whose KL is this; see simulator/measurement/gibbs.py. From
    the KL of the policy that always gives the best response on, it is that policy's.
    """
    best = gold.max(axis=1, keepdims=True)
    less = gold - best

    def at(log_tau: float) -> tuple[float, float]:
        """KL and gold of the Gibbs policy at a temperature."""
        scale = np.exp(-log_tau)
        weights = reference * np.exp(scale * less)
        mass = weights.sum(axis=1)
        mean = (weights * less).sum(axis=1) / mass
        return float((scale * mean - np.log(mass)).mean()), float((mean + best[:, 0]).mean())

    coldest, hottest = np.log(COLDEST), np.log(HOTTEST)
    most, least = at(coldest), at(hottest)

    def most_gold(kl: float) -> float:
        """At one KL."""
        if kl == 0:
            return float((reference * gold).sum(axis=1).mean())
        if kl >= most[0]:
            return most[1]
        if kl <= least[0]:
            return least[1]
        return at(brentq(lambda log_tau: at(log_tau)[0] - kl, coldest, hottest, xtol=1e-12, rtol=1e-12))[1]

    return most_gold
