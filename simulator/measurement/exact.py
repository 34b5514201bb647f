"""What is measured of a policy, and how by summing over every response.

Shapes: R runs, P prompts, G responses, N pairs of one run. With s = log pi - log pi_ref in nats, and every
mean over prompts unweighted:

    kl           KL(pi || pi_ref) = E_pi s, nats per response
    gold         E_pi gold, in standard deviations of gold under the reference, whose mean is 0
    fluency      what fluency gives of it, in the same unit; gold less this is what content gives
    proxy        the implicit reward s, recentred and rescaled like gold: (E_pi s - E_ref s) / sd_ref(s); beta
                 cancels, and the reference itself has 0
    proxy_variance  variance of the proxy, in the same unit, under pi at each prompt
    win_rate     probability that gold prefers pi's response to the reference's, ties counting half
    mu_squared   1/2 E_mu rho^2 = Var_mu(s), nats^2, for two independent draws from mu
    entropy      -E_pi log pi, nats
    length       tokens of a response, its end token included
    kl_k1, k2, k3  what estimators of KL from single samples expect (Schulman 2020, "Approximating KL divergence"):
                 with u = pi_ref / pi at a draw from pi, -log u, 1/2 log^2 u, and u - 1 - log u. The first and the third
                 have KL as their mean, the second has not, and only the first can be negative.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from simulator.measurement.columns import QUANTILES, QUANTITIES
from simulator.measurement.ledger import ledger
from simulator.measurement.listed_sums import Sums, listed_sums, sums_of
from simulator.measurement.probability_mass import check_mass, checked_mass
from simulator.measurement.quantity import PolicyDistribution

Columns = dict[str, Tensor]

TABLES = 3  # of a ReferenceLaw
TIE_NATS = 1e-5  # nats; margins below it are rounding errors of the network


@dataclass(frozen=True, kw_only=True)
class ReferenceLaw:
    """What policies are measured against; float64 tensors [P, G], for responses of `length` tokens at most.

    reference: log pi_ref. gold: standardized. fluency: what it gives of gold. gold_rank: probability that a response of
    the reference has less gold, plus half the probability that it has as much. lengths [G]: tokens of each response,
    where they are not all of `length`.
    """

    reference: Tensor
    gold: Tensor
    fluency: Tensor
    gold_rank: Tensor
    length: int
    lengths: Tensor | None = None

    @cached_property
    def probability(self) -> Tensor:
        """pi_ref, [P, G]. Raises MassError where it is not of mass 1."""
        return checked_mass(self.reference.exp(), "the reference")

    @cached_property
    def tables(self) -> Tensor:
        """Gold, its rank, and what fluency gives of it, [3, P, G]."""
        return torch.stack([self.gold, self.gold_rank, self.fluency])

    def to(self, device: torch.device) -> "ReferenceLaw":
        """The same tensors on `device`."""
        names = ("reference", "gold", "fluency", "gold_rank", *(() if self.lengths is None else ("lengths",)))
        return replace(self, **{name: getattr(self, name).to(device) for name in names})


def gold_rank(reference: Tensor, gold: Tensor) -> Tensor:
    """P_ref(gold < g) + P_ref(gold = g) / 2 for each response's g, [P, G], from log pi_ref and gold [P, G]."""
    rows = []
    for probability, score in zip(checked_mass(reference.exp(), "the reference"), gold, strict=True):
        level, where = score.unique(return_inverse=True)
        mass = probability.new_zeros(len(level)).index_add_(0, where, probability)
        rows.append((mass.cumsum(0) - mass / 2)[where])
    return torch.stack(rows)


def kl_estimates(ratio: Tensor, names: Sequence[str]) -> Columns:
    """The estimators of these names at draws with s = `ratio`, same shape."""
    values = {"k1": ratio, "k2": ratio.square() / 2, "k3": torch.expm1(-ratio) + ratio}
    return {f"kl_{name}": values[name] for name in names}


def measure_distribution(
    log_probs: Tensor,
    reference_law: ReferenceLaw,
    behaviour: Tensor,
    kl_estimators: Sequence[str] = (),
    parts: Tensor | None = None,
) -> Columns:
    """Every measurement of policies with log pi = `log_probs` [R, P, G] that needs no loss, [R] each.

    behaviour: mu, [P, G] or [R, P, G]. kl_estimators: those whose expectations are wanted too. parts uint8 [R, P, G]:
    where the ledger counts each response, see ledger.py. Raises MassError where one of the laws is not of mass 1.
    """
    behaviour = checked_mass(behaviour, "the behaviour policy")
    sums = sums_of(sums_under(log_probs, reference_law, behaviour, parts), TABLES)
    return columns_of_sums(sums) | columns_of_law(log_probs, reference_law, kl_estimators)


def sums_under(
    log_probs: Tensor, reference_law: ReferenceLaw, behaviour: Tensor, parts: Tensor | None = None
) -> Tensor:
    """The sums that `columns_of_sums` reads, as `listed_sums` has them; arguments as of `measure_distribution`."""
    reference, tables = reference_law.probability, reference_law.tables
    return listed_sums(log_probs, reference_law.reference, reference, behaviour, tables, parts)


def columns_of_sums(sums: Sums) -> Columns:
    """What follows from sums over responses, [R] each, the ledger with it. Raises MassError."""
    check_mass(sums.mass, "a policy")
    spread = sums.reference_variance.mean(dim=-1).sqrt()
    gain = (sums.kl - sums.at_reference).mean(dim=-1)
    gold, win_rate, fluency = (each.mean(dim=-1) for each in sums.tables)
    return {
        "kl": sums.kl.mean(dim=-1),
        "gold": gold,
        "fluency": fluency,
        "proxy": torch.where(spread == 0, 0.0, gain / spread),
        "proxy_variance": torch.where(
            spread == 0, 0.0, (sums.square - sums.kl.square()).mean(dim=-1) / spread.square()
        ),
        "win_rate": win_rate,
        "mu_squared": sums.behaviour_variance.mean(dim=-1),
        **{name: one.of_sums(sums) for name, one in QUANTITIES.items() if one.of_sums is not None},
        **({} if sums.parts is None else ledger(sums.parts)),
    }


def columns_of_law(log_probs: Tensor, reference_law: ReferenceLaw, kl_estimators: Sequence[str] = ()) -> Columns:
    """What needs the laws of policies themselves, [R] each; arguments as of `measure_distribution`."""
    reference = reference_law.probability
    law = PolicyDistribution(
        log_probs=log_probs,
        log_reference=reference_law.reference,
        gold=reference_law.gold,
        length=reference_law.length,
        lengths=reference_law.lengths,
    )
    expected = {
        "k1": lambda: law.mean(law.ratio),
        "k2": lambda: law.mean(law.ratio.square() / 2),
        "k3": lambda: (reference - law.probability + law.probability * law.ratio).sum(dim=-1),  # also where pi is 0
    }
    found = {name: one.exact(law) for name, one in QUANTITIES.items() if one.exact is not None}
    there = {name: value for name, value in found.items() if value is not None}
    return there | {f"kl_{name}": expected[name]().mean(dim=-1) for name in kl_estimators}


def quantile(ordered: Tensor, level: float) -> Tensor:
    """The quantile [R] of rising values [R, N]: linear between neighbours (Hyndman & Fan 1996, definition 7)."""
    place = level * (ordered.shape[1] - 1)
    below = int(place)
    above = min(below + 1, ordered.shape[1] - 1)
    return torch.lerp(ordered[:, below], ordered[:, above], place - below)


def weighted_quantile(values: Tensor, weights: Tensor, level: float) -> Tensor:
    """The quantile [R] of values [R, N] with weights [R, N]: the least whose share, with all below it, is `level`."""
    ordered, place = values.sort(dim=1)
    share = weights.gather(1, place).cumsum(dim=1)
    reached = (share < level * share[:, -1:]).sum(dim=1, keepdim=True)
    return ordered.gather(1, reached)[:, 0]


def measure_weighted(log_ratios: Tensor, losses: Tensor, weights: Tensor) -> Columns:
    """As `measure_pairs`, of pairs [R, N, 2] that count with `weights` [R, N, 2] as they stand, and exchanged.

    Weights of all runs alike may be [N, 2].
    """
    each = weights.expand(len(log_ratios), -1, -1)
    share = (each / each.sum(dim=(1, 2), keepdim=True)).transpose(1, 2).flatten(1)
    both = torch.stack([log_ratios, log_ratios.flip(2)], dim=1).flatten(1, 2)  # [R, 2N, 2]
    margin = both[..., 0] - both[..., 1]
    ahead = torch.where(margin.abs() < TIE_NATS, 0.5, (margin > 0).double())
    quantiles = {name: weighted_quantile(margin, share, level) for name, level in QUANTILES.items()}
    return quantiles | {
        "train_loss": losses,
        "train_accuracy": (share * ahead).sum(dim=1),
        "chosen_logratio": (share * both[..., 0]).sum(dim=1),
        "rejected_logratio": (share * both[..., 1]).sum(dim=1),
        "displaced": (share * (both[..., 0] < -TIE_NATS)).sum(dim=1),
    }


def measure_pairs(log_ratios: Tensor, losses: Tensor, weights: Tensor | None = None) -> Columns:
    """What a policy does on its own pairs, [R] each, from their log-ratios [R, N, K] and its loss on them [R].

    train_accuracy is the share of pairs whose margin rho is positive, an equal pair counting half. margin_q05 and so on
    are quantiles of rho, in nats, see `quantile`. displaced is the share of pairs whose chosen response is less likely
    than under the reference (likelihood displacement, Razin et al. 2024, arXiv:2410.08847). With weights [R, N, 2],
    shares, means and quantiles are over both orders of each pair, with the weight of each; quantiles are then those of
    `weighted_quantile`.
    """
    if weights is not None:
        return measure_weighted(log_ratios, losses, weights)
    chosen, rejected = log_ratios[..., 0], log_ratios[..., -1]
    margin = chosen - rejected
    ahead = torch.where(margin.abs() < TIE_NATS, 0.5, (margin > 0).double())
    ordered = margin.sort(dim=1).values
    quantiles = {name: quantile(ordered, level) for name, level in QUANTILES.items()}
    return quantiles | {
        "train_loss": losses,
        "train_accuracy": ahead.mean(dim=1),
        "chosen_logratio": chosen.mean(dim=1),
        "rejected_logratio": rejected.mean(dim=1),
        "displaced": (chosen < -TIE_NATS).double().mean(dim=1),
    }
