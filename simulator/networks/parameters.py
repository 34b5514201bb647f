"""A stack of small transformers as rows of parameters: sizes, names of weights, and how they lie in a row.

Shapes: R runs, d width, D numbers of one run's row.

The parameters of R networks of one architecture are the rows of one matrix [R, D]; each weight is a view
of it with a leading run axis, so that every layer is one batched product over all runs, and no number of
one run ever meets another's. Rows are filled up with zeros to whole vector registers: elementwise operations then
treat a run's numbers alike wherever it lies in the stack, and its results are the same to the last bit.
"""

import math

import numpy as np
import torch
from torch import Tensor

from simulator.networks.architecture import Architecture

Blocks = dict[str, Tensor]


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
    *parts, _ = parameters.split([*sizes, architecture.row - architecture.parameters], dim=1)
    return {
        name: part.unflatten(1, shape) for part, (name, shape) in zip(parts, architecture.shapes.items(), strict=True)
    }
