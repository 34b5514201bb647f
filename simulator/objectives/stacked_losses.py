"""The losses of a stack whose neighbouring rows have one objective.

Shapes: R runs, r of one objective, B pairs of a batch, N of them filled up to whole vector registers, K responses.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from simulator.common.lazy import functional, torch
from simulator.networks.architecture import ALIGNMENT

if TYPE_CHECKING:
    from torch import Tensor

from simulator.objectives.objective import Hyperparameters, Objective, Pairs


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
    """Values [r, B, K] as [r, K, N], N being B filled up to a multiple of ALIGNMENT."""
    return functional.pad(values.transpose(1, 2), (0, -values.shape[1] % ALIGNMENT), value=filling).contiguous()


@dataclass(frozen=True, kw_only=True)
class StackedPairs:
    """What the parts of a stack are given of their pairs, as in Pairs but with pairs before responses.

    policy, reference, lengths, scores [R, B, K]; beta [R, 1]. mismatched: that of each part that reads it, by its
    number.
    """

    policy: Tensor
    reference: Tensor
    lengths: Tensor
    beta: Tensor
    scores: Tensor | None = None
    mismatched: Mapping[int, Tensor] = field(default_factory=dict)
    online: bool = False

    def pairs(self, part: ObjectiveSlice, number: int, rows: slice) -> Pairs:
        """The pairs of one part."""
        policy, other = self.policy, self.mismatched.get(number)
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
        )


def pair_losses(given: StackedPairs, parts: Sequence[ObjectiveSlice]) -> Tensor:
    """The loss of each pair, [R, B], without terms."""
    count = given.policy.shape[1]
    found = [
        part.objective.loss(given.pairs(part, number, rows))[:, :count]
        for number, (part, rows) in enumerate(zip(parts, slices(parts), strict=True))
    ]
    return torch.cat(found)


def diagnostics(given: StackedPairs, parts: Sequence[ObjectiveSlice]) -> dict[str, Tensor]:
    """What objectives watch inside themselves, [R] each; 0 in the rows of those that do not."""
    found: dict[str, Tensor] = {}
    for number, (part, rows) in enumerate(zip(parts, slices(parts), strict=True)):
        for one in part.objective.diagnostics:
            column = found.setdefault(one.column.name, given.policy.new_zeros(len(given.policy)))
            column[rows] = one.value(given.pairs(part, number, rows))
    return found
