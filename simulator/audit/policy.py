"""The policy that is audited, exact gradients there, and steps along them.

Shapes: P prompts, G responses, D parameters.
"""

import math

import torch
from torch import Tensor

from simulator.networks.optimizer import clipped_adam_step, start_adam
from simulator.settings.tables import Train
from simulator.worlds.protocol import ListedWorld


def log_reference(world: ListedWorld) -> Tensor:
    """log pi_ref [P, G], as the class of policies has it at its start; the world's own table is rounded as float32."""
    return world.policy_class.laws(world.policy_class.start.double()[None])[0]


def exact_gradient(world: ListedWorld, parameters: Tensor, reward: Tensor, penalty: float) -> Tensor:
    """The gradient [D] of E r - tau KL(pi || pi_ref) for r = `reward` [P, G], by autograd through all laws.

    parameters [D]; in their precision.
    """
    leaf, reference = parameters.detach()[None].requires_grad_(), log_reference(world)
    with torch.enable_grad():
        log_probs = world.policy_class.laws(leaf)[0]
        value = (log_probs.exp() * (reward - penalty * (log_probs - reference))).sum(dim=-1).mean()
        (found,) = torch.autograd.grad(value, leaf)
    return found[0]


def kl_gradient(world: ListedWorld, parameters: Tensor) -> Tensor:
    """The gradient [D] of KL(pi || pi_ref), a mean over prompts."""
    return -exact_gradient(world, parameters, torch.zeros_like(world.reference_log_probs), 1.0)


def reverse_kl_gradient(world: ListedWorld, parameters: Tensor) -> Tensor:
    """The gradient [D] of KL(pi_ref || pi), a mean over prompts."""
    leaf, reference = parameters.detach()[None].requires_grad_(), log_reference(world)
    with torch.enable_grad():
        gap = reference - world.policy_class.laws(leaf)[0]
        (found,) = torch.autograd.grad((reference.exp() * gap).sum(dim=-1).mean(), leaf)
    return found[0]


def path(
    world: ListedWorld, parameters: Tensor, reward: Tensor, penalty: float, stops: list[int], train: Train
) -> list[Tensor]:
    """The parameters [D] after so many steps along the exact gradient, for each of `stops`, from parameters [D].

    With the optimizer of `train`, at its peak learning rate, from new moments.
    """
    here, state = parameters.clone()[None], start_adam(parameters[None])
    rate, limit = torch.full((1, 1), train.learning_rate), torch.full((1, 1), train.clip or math.inf)
    decay = train.weight_decay if train.optimizer == "adamw" else 0.0
    found = {0: here[0].clone()}
    for step in range(1, max(stops) + 1):
        gradient = -exact_gradient(world, here[0], reward, penalty)[None]
        clipped_adam_step(here, gradient, state, step=step, rate=rate, limit=limit, weight_decay=decay)
        if step in stops:
            found[step] = here[0].clone()
    return [found[step] for step in stops]
