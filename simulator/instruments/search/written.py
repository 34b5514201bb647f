"""What a search writes for others: the loss as a function in a file, its shape, and the sweep that judges it."""

import io
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import tomli_w
import torch

from simulator.common.atomic_files import write_atomically
from simulator.instruments.search.family import BOUNDS, KNOTS, WIDTH, values
from simulator.instruments.search.protocol import Protocol
from simulator.objectives import OBJECTIVES
from simulator.objectives.local_shape import Loss, sample_losses

FOUND, JUDGED, SHAPES = "found.py", "judged.toml", "shapes.parquet"
NAME = f"{FOUND}:found"
DIGITS = 4

PROGRAM = '''"""A loss that `search` has found; it can stand in any sweep as loss = ["{name}"]."""

import math

from torch.nn.functional import softplus

WIDTH = {width}
MASSES = {{  # of f'', by the place of its bump
{masses}
}}


def found(z):
    """{formula}.

    Its slope at 0 is -1.
    """
    {clip}value = -z
    for place, mass in MASSES.items():
        value = value + mass * (WIDTH * softplus((z - place) / WIDTH) - z / (1 + math.exp(place / WIDTH)))
    return value
'''

Array = np.ndarray


def rounded(masses: Array) -> tuple[float, ...]:
    """Masses with 4 significant digits."""
    return tuple(float(f"{mass:.{DIGITS}g}") for mass in masses)


def formula(masses: Sequence[float], *, convex: bool) -> str:
    """The loss as one line of text."""
    each = ", ".join(f"{mass:g} at {knot:g}" for knot, mass in sorted(zip(KNOTS, masses, strict=True)))
    clip = "" if convex else f"; z is clipped to [{BOUNDS[0]:g}, {BOUNDS[1]:g}]"
    bumps = "-z + Σ_k m_k [w log(1 + exp((z - t_k)/w)) - z/(1 + exp(t_k/w))]"
    return f"{bumps} with w = {WIDTH:g} and m_k at t_k: {each}{clip}"


def program(masses: Sequence[float], *, convex: bool) -> str:
    """The file of the loss."""
    order = sorted(zip(KNOTS, masses, strict=True))
    clip = "" if convex else f"z = z.clamp({BOUNDS[0]!r}, {BOUNDS[1]!r})\n    "
    text = formula(masses, convex=convex)
    return PROGRAM.format(
        name=NAME,
        width=WIDTH,
        masses="\n".join(f"    {knot!r}: {mass!r}," for knot, mass in order),
        formula="\n    ".join(lines_of(text)),
        clip=clip,
    )


def lines_of(text: str, most: int = 110) -> list[str]:
    """Words in lines."""
    lines = [""]
    for word in text.split(" "):
        if len(lines[-1]) + len(word) >= most:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return lines


def write_found(folder: Path, masses: Array, *, convex: bool) -> None:
    """Write the loss. Raises StorageError."""
    write_atomically(folder / FOUND, program(rounded(masses), convex=convex).encode())


def write_shapes(folder: Path, masses: Array, rivals: Sequence[str], *, convex: bool) -> None:
    """Write f and f' of what was found and of the rivals, at z from -6 to 6. Raises StorageError."""
    weights = torch.tensor([rounded(masses)], dtype=torch.float64)
    losses: dict[str, Loss] = {NAME: lambda z: values(z.reshape(1, -1), weights, convex).reshape(z.shape)}
    for name in rivals:
        objective = OBJECTIVES.get(name)
        if objective is not None and objective.f is not None:
            losses[name] = with_defaults(name)
    buffer = io.BytesIO()
    pd.DataFrame(sample_losses(losses)).to_parquet(buffer, index=False)
    write_atomically(folder / SHAPES, buffer.getvalue())


def with_defaults(name: str) -> Loss:
    """f of one of our losses, at the parameters that it has unless said."""
    objective = OBJECTIVES[name]
    own = {key: parameter.default for key, parameter in objective.parameters.items()}
    f = objective.f
    assert f is not None
    return lambda z: f(z, **own)


def judged_tables(protocol: Protocol) -> Mapping[str, Any]:
    """The sweep of the judging, in the first of its worlds."""
    tables = tomllib.loads(protocol.sweep.to_toml())
    tables["sweep"] |= {
        "loss": [*protocol.rivals, NAME],
        "beta": protocol.judged_betas,
        "seeds": [*protocol.held_out_draws],
    }
    tables["keep"] = {"policies": "none"}
    for table in ("world", "gold"):
        tables[table]["seed"] = protocol.held_out[0]
    return tables


def write_judged(folder: Path, protocol: Protocol) -> None:
    """Write the sweep that judges. Raises StorageError."""
    worlds = protocol.held_out
    above = (
        "# Judges what `search` has found, in worlds and on seeds that the search never saw. It is run once for each\n"
        f"# world.seed = gold.seed from {worlds[0]} to {worlds[-1]}, into judged/world-SEED.\n\n"
    )
    write_atomically(folder / JUDGED, (above + tomli_w.dumps(judged_tables(protocol))).encode())
