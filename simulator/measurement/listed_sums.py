"""Expectations of policies over all responses, each law read once by the compiled engine where it is there.

Shapes: R runs, P prompts, G responses, K tables.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from simulator.native import calls, library


@dataclass(frozen=True, kw_only=True)
class Sums:
    """Of each policy at each prompt, [R, P], with s = log pi - log pi_ref in nats.

    mass of pi; kl: E_pi s; log_prob: E_pi log pi; at_reference and at_behaviour: E s under pi_ref and mu; their
    variances of s; tables: E_pi of each.
    """

    mass: Tensor
    kl: Tensor
    log_prob: Tensor
    at_reference: Tensor
    reference_variance: Tensor
    at_behaviour: Tensor
    behaviour_variance: Tensor
    tables: tuple[Tensor, ...]


def sums_over_responses(
    log_probs: Tensor, log_reference: Tensor, reference: Tensor, behaviour: Tensor, tables: Tensor
) -> Sums:
    """The sums of policies with log pi = `log_probs` [R, P, G], for log pi_ref, pi_ref and mu, [P, G] each, and tables
    [K, P, G]; mu may be of each policy, [R, P, G].
    """
    plain = behaviour.dim() == 2 and log_probs.device.type == "cpu" and log_probs.dtype == torch.float64
    if plain and not log_probs.requires_grad and library.in_use():
        found = calls.moments(
            log_probs.contiguous(),
            log_reference.contiguous(),
            reference.contiguous(),
            behaviour.contiguous(),
            tables.contiguous(),
        ).unbind(dim=-1)
        return Sums(
            mass=found[0],
            kl=found[1],
            log_prob=found[2],
            at_reference=found[3],
            reference_variance=found[4],
            at_behaviour=found[5],
            behaviour_variance=found[6],
            tables=tuple(found[7:]),
        )
    probability, ratio = log_probs.exp(), log_probs - log_reference

    def variance(weights: Tensor, centre: Tensor) -> Tensor:
        return (weights * (ratio - centre.unsqueeze(-1)).square_()).sum(dim=-1)

    at_reference, at_behaviour = ((weights * ratio).sum(dim=-1) for weights in (reference, behaviour))
    return Sums(
        mass=probability.sum(dim=-1),
        kl=(probability * ratio).sum(dim=-1),
        log_prob=(probability * log_probs).sum(dim=-1),
        at_reference=at_reference,
        reference_variance=variance(reference, at_reference),
        at_behaviour=at_behaviour,
        behaviour_variance=variance(behaviour, at_behaviour),
        tables=tuple((probability * table).sum(dim=-1) for table in tables),
    )
