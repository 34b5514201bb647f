"""A stack of small transformers as rows of parameters: sizes, names of weights, and how they lie in a row.

Shapes: R runs, d width, D numbers of one run's row.

The parameters of R networks of one architecture are the rows of one matrix [R, D]; each weight is a view
of it with a leading run axis, so that every layer is one batched product over all runs, and no number of
one run ever meets another's. Rows are filled up with zeros to whole vector registers: elementwise operations then
treat a run's numbers alike wherever it lies in the stack, and its results are the same to the last bit.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

Blocks = dict[str, Tensor]

ALIGNMENT = 64  # numbers; a whole step of any vectorized loop on today's machines


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """Sizes of one network. `context` is the number of input positions: L + T - 1 for a policy, L + T for a judge.

    outputs: numbers that are read at a place; 0 for one for each token of the vocabulary.
    """

    vocabulary: int
    context: int
    layers: int
    width: int
    heads: int
    outputs: int = 0

    @property
    def shapes(self) -> dict[str, tuple[int, int]]:
        """Name and shape of every weight, in the order in which they lie in a row."""
        d = self.width
        shapes = {"token": (self.vocabulary, d), "position": (self.context, d)}
        for layer in range(self.layers):
            shapes |= {
                f"{layer}.attend": (d, 3 * d),
                f"{layer}.merge": (d, d),
                f"{layer}.up": (d, 4 * d),
                f"{layer}.down": (4 * d, d),
            }
        return shapes | {"unembed": (d, self.outputs or self.vocabulary)}

    @property
    def parameters(self) -> int:
        """How many parameters the network has."""
        return sum(rows * columns for rows, columns in self.shapes.values())

    @property
    def row(self) -> int:
        """D: `parameters` filled up to a multiple of ALIGNMENT."""
        return -(-self.parameters // ALIGNMENT) * ALIGNMENT


def initial_parameters(architecture: Architecture, rng: np.random.Generator) -> Tensor:
    """One row of random parameters, float32 [D]: variance 1/fan-in, residual writes scaled by depth."""
    rows = []
    for name, shape in architecture.shapes.items():
        scale = 0.1 if name in ("token", "position") else shape[0] ** -0.5
        if name.endswith(("merge", "down")):
            scale /= math.sqrt(2 * architecture.layers)
        rows.append(rng.normal(scale=scale, size=math.prod(shape)))
    rows.append(np.zeros(architecture.row - architecture.parameters))
    return torch.from_numpy(np.concatenate(rows)).float()


def unstack(parameters: Tensor, architecture: Architecture) -> Blocks:
    """Views of the rows [R, D] as named weights [R, rows, columns]; they share the matrix's memory."""
    sizes = [rows * columns for rows, columns in architecture.shapes.values()]
    parts = parameters[:, : architecture.parameters].split(sizes, dim=1)
    return {
        name: part.unflatten(1, shape) for part, (name, shape) in zip(parts, architecture.shapes.items(), strict=True)
    }


def restack(blocks: Blocks, architecture: Architecture) -> Tensor:
    """Named weights, or their gradients, as rows [R, D]: what `unstack` takes apart."""
    flat = [blocks[name].flatten(1) for name in architecture.shapes]
    filling = flat[0].new_zeros(len(flat[0]), architecture.row - architecture.parameters)
    return torch.cat([*flat, filling], dim=1)
