"""Expectations of policies over all responses, each law read once by the compiled engine where it is there.

Shapes: R runs, P prompts, G responses, K tables.
"""

from dataclasses import dataclass, fields

import torch
from torch import Tensor

from simulator.native import library
from simulator.native.listed import SUMS, moments

PARTS = ("unseen", "ungrammatical", "chosen", "rejected", "seen")  # as native/source/listed.hpp counts them


@dataclass(frozen=True, kw_only=True)
class PartSums:
    """Of each part of the responses, [R, P, 5] each: mass of pi and of pi_ref, gold under each, and E_ref s there."""

    mass: Tensor
    reference_mass: Tensor
    gold: Tensor
    reference_gold: Tensor
    ratio: Tensor


@dataclass(frozen=True, kw_only=True)
class Sums:
    """Of each policy at each prompt, [R, P], with s = log pi - log pi_ref in nats.

    mass of pi; kl: E_pi s; log_prob: E_pi log pi; at_reference and at_behaviour: E s under pi_ref and mu; their
    variances of s; chi2: sum of (pi - pi_ref)^2 / pi_ref; total_variation; square: E_pi s^2; raised: what responses
    with s > 0 give of the variance under mu; tables: E_pi of each. parts: by part of the responses, where wanted.
    """

    mass: Tensor
    kl: Tensor
    log_prob: Tensor
    at_reference: Tensor
    reference_variance: Tensor
    at_behaviour: Tensor
    behaviour_variance: Tensor
    chi2: Tensor
    total_variation: Tensor
    square: Tensor
    raised: Tensor
    tables: tuple[Tensor, ...]
    parts: PartSums | None = None


def sums_of(found: Tensor, tables: int) -> Sums:
    """What `listed_sums` [R, P, W] has found, with so many tables."""
    own, of_parts = found[..., :SUMS].unbind(dim=-1), found[..., SUMS + tables :]
    parts = of_parts.unflatten(-1, (5, len(PARTS))).unbind(dim=-2) if of_parts.shape[-1] else None
    return Sums(
        **dict(zip(NAMES, own, strict=True)),
        tables=found[..., SUMS : SUMS + tables].unbind(dim=-1),
        parts=PartSums(**dict(zip(PART_NAMES, parts, strict=True))) if parts else None,
    )


NAMES = tuple(each.name for each in fields(Sums))[:SUMS]
PART_NAMES = tuple(each.name for each in fields(PartSums))


def listed_sums(
    log_probs: Tensor,
    log_reference: Tensor,
    reference: Tensor,
    behaviour: Tensor,
    tables: Tensor,
    parts: Tensor | None = None,
) -> Tensor:
    """The sums of policies with log pi = `log_probs` [R, P, G], one tensor [R, P, 11 + K], or [R, P, 11 + K + 25].

    log pi_ref, pi_ref and mu are [P, G] each, and tables [K, P, G], gold first; mu may be of each policy, [R, P, G].
    parts uint8 [R, P, G], of the larger one: places in PARTS. `sums_of` gives them names.
    """
    plain = behaviour.dim() == 2 and log_probs.device.type == "cpu" and log_probs.dtype == torch.float64
    if plain and not log_probs.requires_grad and library.in_use():
        return moments(
            log_probs.contiguous(),
            log_reference.contiguous(),
            reference.contiguous(),
            behaviour.contiguous(),
            tables.contiguous(),
            parts,
            0 if parts is None else len(PARTS),
        )
    probability, ratio = log_probs.exp(), log_probs - log_reference

    def variance(weights: Tensor, centre: Tensor) -> Tensor:
        return weights * (ratio - centre.unsqueeze(-1)).square_()

    at_reference, at_behaviour = ((weights * ratio).sum(dim=-1) for weights in (reference, behaviour))
    behaviour_variance, gap = variance(behaviour, at_behaviour), probability - reference
    values = {
        "mass": probability.sum(dim=-1),
        "kl": (probability * ratio).sum(dim=-1),
        "log_prob": (probability * log_probs).sum(dim=-1),
        "at_reference": at_reference,
        "reference_variance": variance(reference, at_reference).sum(dim=-1),
        "at_behaviour": at_behaviour,
        "behaviour_variance": behaviour_variance.sum(dim=-1),
        "chi2": (gap * (gap / reference)).sum(dim=-1),
        "total_variation": gap.abs().sum(dim=-1) / 2,
        "square": (probability * ratio.square()).sum(dim=-1),
        "raised": torch.where(ratio > 0, behaviour_variance, 0.0).sum(dim=-1),
    }
    of_tables = [(probability * table).sum(dim=-1) for table in tables]
    found = torch.stack([*(values[name] for name in NAMES), *of_tables], dim=-1)
    return (
        found if parts is None else torch.cat([found, *_by_part(probability, ratio, reference, tables[0], parts)], -1)
    )


def _by_part(probability: Tensor, ratio: Tensor, reference: Tensor, gold: Tensor, parts: Tensor) -> tuple[Tensor, ...]:
    where, weights = parts.long(), reference.expand_as(probability)

    def by_part(values: Tensor) -> Tensor:
        return values.new_zeros(*values.shape[:2], len(PARTS)).scatter_add_(-1, where, values)

    return tuple(map(by_part, (probability, weights, probability * gold, weights * gold, weights * ratio)))
