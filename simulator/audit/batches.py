"""What drawn batches say of estimators, with standard errors.

Shapes: N batches, P prompts, K responses to each of up to T tokens, E estimators, D parameters.

An expectation over batches needs no gradient of any of them: the weights of all batches are added up at each token,
and multiplied by its score once. It is taken of the estimate less a multiple of its control, whose expectation is
known; the multiple makes their expectations as long along that.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from simulator.audit.estimators import Simulated
from simulator.audit.place import Drawn, Place

CHUNK = 8  # batches whose gradients are taken at once
LOOKED_AT = 4096  # batches whose weights are held at once


@dataclass(frozen=True, kw_only=True)
class Expectation:
    """An expectation [D], over `count` batches; residues [n, D] of some of them are independent, with mean 0.

    Its errors are those of a mean of `count` such residues.
    """

    mean: Tensor
    count: int = 0
    residues: Tensor | None = None

    def error_along(self, direction: Tensor) -> float:
        """The standard error of its product with a direction [D]."""
        if self.residues is None:
            return 0.0
        return float((self.residues @ direction).std()) / math.sqrt(self.count)

    @property
    def excess(self) -> float:
        """What chance adds to the squared norm of its difference from any fixed vector."""
        return 0.0 if self.residues is None else float(self.residues.var(dim=0).sum()) / self.count


def gradients(drawn: Drawn, weights: Sequence[Tensor]) -> Tensor:
    """Estimates [E, N, D] of batches from their weights [N, P, K, T], one tensor for each estimator."""
    paths = drawn.of(lambda place: place.scores.path)
    every = torch.stack([one.flatten(2) for one in weights], dim=2)  # [N, P, E, K T]
    found = every.new_zeros(len(paths), len(weights), drawn.places[0].scores.tokens.shape[1])
    for first in range(0, len(paths), CHUNK):
        some = slice(first, first + CHUNK)
        for row, place in enumerate(drawn.places):
            found[some].baddbmm_(every[some, row], place.scores.tokens[paths[some, row].flatten(1)])
    return found.transpose(0, 1)


def sum_of(drawn: Drawn, weights: Tensor) -> Tensor:
    """The sum of the estimates of all batches, [D], from their weights [N, P, K, T]."""
    paths = drawn.of(lambda place: place.scores.path)
    total = torch.zeros(drawn.places[0].scores.tokens.shape[1], dtype=torch.float64)
    for row, place in enumerate(drawn.places):
        each = torch.zeros(len(place.scores.tokens), dtype=torch.float64)
        each.index_add_(0, paths[:, row].flatten(), weights[:, row].flatten())
        total += each @ place.scores.tokens
    return total


def expectation_of(
    kind: Simulated, places: Sequence[Place], drawn: Drawn, residues: tuple[Tensor, Tensor], group: int
) -> Expectation:
    """The expectation of an estimator over batches. residues [n, D]: estimates of some batches, and of the control."""
    estimates, controls = residues
    known = kind.control.moments(places, group).mean
    factor = float(estimates.mean(dim=0) @ known / (controls.mean(dim=0) @ known))
    total, count = torch.zeros_like(known), len(drawn.numbers)
    for first in range(0, count, LOOKED_AT):
        some = Drawn(places=drawn.places, numbers=drawn.numbers[first : first + LOOKED_AT])
        total += sum_of(some, kind.weights(some) - factor * kind.control.weights(some))
    apart = estimates - factor * controls
    return Expectation(mean=factor * known + total / count, count=count, residues=apart - apart.mean(dim=0))


def mean_and_error(values: Tensor) -> tuple[float, float]:
    """The mean of independent values [n], with its standard error."""
    return float(values.mean()), float(values.std()) / math.sqrt(len(values))


def cosines(estimates: Tensor, target: Tensor) -> Tensor:
    """Of estimates [n, D] to a target [D], [n]; 0 where an estimate is 0."""
    norms = estimates.norm(dim=-1) * target.norm()
    return (estimates @ target) / norms.clamp(min=torch.finfo(norms.dtype).tiny)


def spread(estimates: Tensor) -> tuple[float, float]:
    """The trace of the covariance of estimates [n, D], with its standard error."""
    squares = (estimates - estimates.mean(dim=0)).square().sum(dim=-1) * (len(estimates) / (len(estimates) - 1))
    return mean_and_error(squares)
