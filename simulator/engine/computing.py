"""How the passes of a run's policy are computed, as its [train] and [policy] say; see networks/compute_mode.py."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulator.networks.compute_mode import Computing, computing_on, engine_name
from simulator.settings.tables import Settings

if TYPE_CHECKING:
    import torch


def computing_of(settings: Settings, device: torch.device) -> Computing:
    """How passes for gradients are computed on a device. Raises ValueError where it cannot be so.

    Policies that are no networks have none, and are computed in one way.
    """
    train = settings.train
    if settings.policy.kind != "transformer":
        return Computing(engine=train.engine)
    return computing_on(
        train.precision,
        train.compile,
        train.engine,
        width=settings.policy.width,
        steps=train.steps,
        device=device,
    )


def engine_of(settings: Settings, device: torch.device) -> str:
    """What computes the passes, as records have it."""
    train = settings.train
    return engine_name(train.engine, train.precision, train.compile, width=settings.policy.width, device=device)
