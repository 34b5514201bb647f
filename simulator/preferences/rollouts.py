"""Responses that the policies of a stack give while they train.

Shapes: R runs, B prompts of each, K responses to a prompt, T response length, V vocabulary, D parameters.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from simulator.common.random_streams import random_stream
from simulator.networks.sampling import LEAST, SampleBlocks, sample
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
    lots = SampleBlocks(prompts=prompt.shape[1], responses=responses)
    rows = torch.arange(lots.count * lots.size, device=prompt.device).clamp(max=lots.prompts - 1)
    length = world.architecture.context - world.prompts.shape[1] + 1
    shape = (length, len(rows), lots.responses, world.architecture.vocabulary)
    waiting = {seed: random_stream(seed, *purpose).standard_exponential(shape, dtype=np.float32) for seed in set(seeds)}
    noise = torch.from_numpy(np.stack([waiting[seed] for seed in seeds], axis=1)).to(prompt.device)
    tokens = iter(noise.clamp_(min=LEAST).log_().neg_())
    drawn = sample(
        parameters,
        world.architecture,
        world.prompts[prompt[:, rows]],
        responses=lots.responses,
        length=length,
        noise=lambda: next(tokens),
        end=world.end,
    )
    return drawn[:, : lots.prompts]
