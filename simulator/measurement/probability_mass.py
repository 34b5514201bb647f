"""Sums that are called exact are over laws of mass 1.

A sum over responses is the expectation that it is called only where their law adds up to 1. Whoever takes one passes
the law through `whole`, so that responses that were left out, or a law that was cut off, stop the program and never
become a wrong number.
"""

from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

MASS = 1e-9  # how far from 1 the mass of a law may be

Law = TypeVar("Law", Tensor, np.ndarray)


class MassError(ArithmeticError):
    """The law under a sum that is called exact does not have mass 1."""


def checked_mass(law: Law, whose: str) -> Law:
    """The law [..., G] itself, probabilities along the last axis, if each has mass 1 to 1e-9.

    Laws that are not finite, as of policies that diverged, pass: their sums are not finite either. whose: named in the
    MassError that is raised otherwise.
    """
    check_mass(torch.as_tensor(law).detach().sum(dim=-1, dtype=torch.float64), whose)
    return law


def check_mass(mass: Tensor, whose: str) -> None:
    """Raises MassError where the mass of a law is finite and off 1 by more than 1e-9."""
    off = torch.where(mass.isfinite(), (mass - 1).abs(), 0.0).max().item() if mass.numel() else 0.0
    if off > MASS:
        raise MassError(f"the law of {whose} has a mass that is off 1 by {off:.3g}, so sums over it are not exact")
