"""Responses that the policies of a stack give while they train.

Shapes: R runs, B prompts of each, K responses to a prompt, T response length, D parameters.
"""

from collections.abc import Sequence

from torch import Tensor

from simulator.worlds.protocol import World


def draw_responses(
    parameters: Tensor,
    world: World,
    prompt: Tensor,
    *,
    seeds: Sequence[int],
    responses: int,
    purpose: Sequence[str | int],
) -> Tensor:
    """Responses [R, B, K, T] of the policies [R, D] to the prompts of these rows [R, B].

    A run's noise is that of (its seed, *purpose), whatever else is in the stack.
    """
    return world.policy_class.draw(parameters, prompt, seeds=seeds, responses=responses, purpose=purpose)
