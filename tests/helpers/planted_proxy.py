"""A proxy whose scores are planted: random numbers, of which networks know nothing."""

from dataclasses import replace

import numpy as np

import simulator as sim


def planted_proxy(lab: sim.World, seed: int) -> sim.Proxy:
    """Random scores of every response in a world that lists them, whose mean under the reference is 0."""
    law = lab.simulated.listing.reference_probs
    scores = np.random.default_rng(seed).normal(size=law.shape)
    centred = scores - (law * scores).sum(axis=1, keepdims=True)
    proxy = sim.train_proxy(lab, lab.preferences(48), seed=seed, width=8, steps=1)
    return replace(proxy, ensemble=replace(proxy.ensemble, table=centred, drift=0 * law))
