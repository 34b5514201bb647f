"""The losses of a stack whose neighbouring rows have one objective.

Shapes: R runs, r of one objective, B pairs of a batch, N of them filled up to whole vector registers, K responses.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from simulator.common.lazy import functional, torch
from simulator.networks.architecture import ALIGNMENT

if TYPE_CHECKING:
    from torch import Tensor

from simulator.objectives.objective import Hyperparameters, Objective, Pairs, RegularizerState


@dataclass(frozen=True, kw_only=True)
class ObjectiveSlice:
    """Neighbouring rows of a stack with one objective.

    hyperparameters: numbers [rows, 1] each; words and whole numbers are those of all rows.
    """

    objective: Objective
    rows: int
    hyperparameters: Hyperparameters


def slices(parts: Sequence[ObjectiveSlice]) -> list[slice]:
    """The rows of each part in their stack."""
    ends, found = 0, []
    for part in parts:
        found.append(slice(ends, ends + part.rows))
        ends += part.rows
    return found


def tokens_of(responses: Tensor) -> Tensor:
    """How many tokens responses [..., T] have, int64 [...]; they are -1 behind their end."""
    return (responses >= 0).sum(dim=-1)


def filled(values: Tensor, filling: float) -> Tensor:
    """Values [r, B, K, …] as [r, K, N, …], N being B filled up to a multiple of ALIGNMENT."""
    behind = (0, 0) * (values.dim() - 3) + (0, -values.shape[1] % ALIGNMENT)
    return functional.pad(values.transpose(1, 2), behind, value=filling).contiguous()


@dataclass(frozen=True, kw_only=True)
class StackedPairs:
    """What the parts of a stack are given of their pairs, as in Pairs but with pairs before responses.

    policy, reference, lengths, scores [R, B, K]; beta [R, 1]. mismatched: that of each part that reads it, by its
    number. tokens [r, B, K, T] each: what each part reads of single tokens, by its number and the names in Pairs.
    weights [R, B, 2]: of the loss of each pair of two as it stands, and of that with its responses exchanged; 1 and 0
    where there are none. remembered: of earlier batches, by the number of the part.
    """

    policy: Tensor
    reference: Tensor
    lengths: Tensor
    beta: Tensor
    scores: Tensor | None = None
    mismatched: Mapping[int, Tensor] = field(default_factory=dict)
    tokens: Mapping[int, Mapping[str, Tensor]] = field(default_factory=dict)
    online: bool = False
    weights: Tensor | None = None
    remembered: Mapping[int, RegularizerState] = field(default_factory=dict)

    def pairs(self, part: ObjectiveSlice, number: int, rows: slice) -> Pairs:
        """The pairs of one part."""
        policy, other = self.policy, self.mismatched.get(number)
        tokens: dict[str, Any] = {
            name: filled(read.to(policy.dtype), 0.0) for name, read in self.tokens.get(number, {}).items()
        }
        return Pairs(
            policy=filled(policy[rows], -1.0),
            reference=filled(self.reference[rows], -1.0),
            lengths=filled(self.lengths[rows].to(policy.dtype), 1.0),
            beta=self.beta[rows],
            hyperparameters=part.hyperparameters,
            count=policy.shape[1],
            scores=None if self.scores is None else filled(self.scores[rows].to(policy.dtype), 0.0),
            mismatched=None if other is None else filled(other, 0.0),
            online=self.online,
            weights=None if self.weights is None else self.weights[rows].flatten(1).to(policy.dtype),
            remembered=self.remembered.get(number, {}),
            **tokens,
        )


def both_orders(given: StackedPairs, parts: Sequence[ObjectiveSlice]) -> StackedPairs:
    """The 2B pairs of each run that B pairs with weights are: all as they stand, and all with responses exchanged.

    Their weights are [R, 2B, 1]. Where an order has weight 0 the other one stands in its place, so that no loss
    overflows there.
    """
    if given.weights is None:
        return given
    stands, exchanged = given.weights.unbind(dim=2)
    turned = torch.cat([(stands == 0) & (exchanged != 0), exchanged != 0], dim=1).unsqueeze(2)

    def both(values: Tensor, rows: slice = slice(None)) -> Tensor:
        twice = torch.cat([values, values], dim=1)
        return torch.where(turned[rows][(..., *(None,) * (values.dim() - 3))], twice.flip(2), twice)

    places = slices(parts)
    return replace(
        given,
        policy=both(given.policy),
        reference=both(given.reference),
        lengths=both(given.lengths),
        scores=None if given.scores is None else both(given.scores),
        mismatched={number: both(values, places[number]) for number, values in given.mismatched.items()},
        tokens={
            number: {name: both(values, places[number]) for name, values in read.items()}
            for number, read in given.tokens.items()
        },
        weights=torch.cat([stands, exchanged], dim=1).unsqueeze(2),
    )


def pair_losses(given: StackedPairs, parts: Sequence[ObjectiveSlice]) -> Tensor:
    """The loss of each pair, [R, B], without terms; that of a pair with weights is w0 ℓ(pair) + w1 ℓ(exchanged)."""
    each = both_orders(given, parts)
    count = each.policy.shape[1]
    found = [
        part.objective.loss(each.pairs(part, number, rows))[:, :count]
        for number, (part, rows) in enumerate(zip(parts, slices(parts), strict=True))
    ]
    losses = torch.cat(found)
    if each.weights is None:
        return losses
    stands, exchanged = (losses * each.weights[..., 0].to(losses.dtype)).chunk(2, dim=1)
    return stands + exchanged


def remember(given: StackedPairs, parts: Sequence[ObjectiveSlice]) -> None:
    """Take a batch into what parts remember, in place and without a gradient."""
    memories = [part.objective.remembers(part.hyperparameters) for part in parts]
    if not any(memories):
        return
    with torch.no_grad():
        each = both_orders(given, parts)
        for number, (memory, part, rows) in enumerate(zip(memories, parts, slices(parts), strict=True)):
            if memory is not None:
                memory.update(each.pairs(part, number, rows))


def diagnostics(given: StackedPairs, parts: Sequence[ObjectiveSlice]) -> dict[str, Tensor]:
    """What objectives watch inside themselves, [R] each; 0 in the rows of those that do not."""
    found: dict[str, Tensor] = {}
    given = both_orders(given, parts)
    for number, (part, rows) in enumerate(zip(parts, slices(parts), strict=True)):
        for one in part.objective.diagnostics:
            column = found.setdefault(one.column.name, given.policy.new_zeros(len(given.policy)))
            column[rows] = one.value(given.pairs(part, number, rows))
    return found
