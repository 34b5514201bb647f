"""Small worlds whose policies tilt the reference's law, and what is known of them."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

import simulator as sim

SIZES: dict[str, Any] = {
    "world.vocabulary": 3,
    "world.response_length": 2,
    "world.prompts": 2,
    "policy.width": 16,
    "reference.steps": 60,
    "train.checkpoints": 2,
    "train.clip": 0.0,
    "train.schedule": "cosine",
}


def tilted_world(kind: str, gold: Callable[..., Any] | None = None, **changes: Any) -> sim.World:
    """A world of policies of a kind; other keys are written with two underscores for the dot."""
    others = {name.replace("__", "."): value for name, value in changes.items()}
    return sim.make_world("quickstart", {**SIZES, "policy.kind": kind, **others}, gold=gold)


def every_response(world: sim.World) -> torch.Tensor:
    """All responses to each prompt, [P, G, T]."""
    return world.responses.expand(len(world.prompts), -1, -1)


def laws(world: sim.World, policies: sim.Policies) -> np.ndarray:
    """log pi of every response, [R, P, G]."""
    return policies.log_prob(world.prompts, every_response(world)).numpy()


def gold_table(world: sim.World) -> np.ndarray:
    """Gold of every response, [P, G]."""
    return world.gold(world.prompts, every_response(world)).numpy()


def differences(values: np.ndarray) -> np.ndarray:
    """Of every response less every other, [..., G, G], for values [..., G]."""
    return values[..., :, None] - values[..., None, :]
