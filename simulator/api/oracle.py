"""The best possible policy at a given KL. Shapes: P prompts, G responses to each."""

import numpy as np
import torch
from scipy.optimize import brentq
from torch import Tensor

from simulator.measurement.gibbs import gibbs

COLDEST, HOTTEST = 1e-6, 1e6  # temperatures between which the right one is looked for


def most_gold(reference: Tensor, gold: Tensor, kl: float) -> float:
    """The most gold that a policy with this KL, in nats, can have, from log pi_ref and gold [P, G].

    It is that of the Gibbs policy pi_ref exp(gold / tau) / Z whose KL is this; see simulator/measurement/gibbs.py. From
    the KL of the policy that always gives the best response on, it is that policy's.
    """

    def at(log_tau: float) -> tuple[float, float]:
        """KL and gold of the Gibbs policy at a temperature."""
        temperature = torch.tensor([np.exp(log_tau)], dtype=torch.float64, device=gold.device)
        log_probs = gibbs(reference, gold, temperature)[0]
        law = log_probs.exp()
        return float((law * (log_probs - reference)).sum(dim=-1).mean()), float((law * gold).sum(dim=-1).mean())

    if kl == 0:
        return float((reference.exp() * gold).sum(dim=-1).mean())
    coldest, hottest = np.log(COLDEST), np.log(HOTTEST)
    for end, is_beyond in ((coldest, kl >= at(coldest)[0]), (hottest, kl <= at(hottest)[0])):
        if is_beyond:
            return at(end)[1]
    return at(brentq(lambda log_tau: at(log_tau)[0] - kl, coldest, hottest, xtol=1e-12, rtol=1e-12))[1]
