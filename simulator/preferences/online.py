"""Online training: pairs that are drawn from the policy as it trains, and labelled.

After every `online.refresh` steps a round of fresh data begins: each run draws prompts, its policy as it stands answers
each of them twice (K times for objectives that rank), gold or a proxy labels the answers, and training goes on with all
data or the newest. Offline training is the case of no refresh (cf. Tang et al. 2024, arXiv:2405.08448, where the same
loss sees pairs of a fixed law, or those of its own policy).

Shapes: R runs, B fresh pairs of each, K responses to a prompt, T response length, D parameters.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from simulator.common.random_streams import random_stream
from simulator.preferences.rollouts import draw_responses
from simulator.worlds.behaviour import Candidates
from simulator.worlds.protocol import World

DRAWN_TOGETHER = 64  # prompts whose answers are drawn together


def segments(begin: int, end: int, refresh: int) -> list[tuple[int, int]]:
    """The steps from `begin` to `end`, cut where a round begins, as pairs of a first step and the next one's."""
    cuts = [step for step in range(begin + 1, end) if refresh and step % refresh == 0]
    return list(zip([begin, *cuts], [*cuts, end], strict=True)) if begin < end else []


def draw_fresh(
    parameters: Tensor, world: World, *, pairs: int, responses: int, seeds: Sequence[int], turn: int
) -> list[Candidates]:
    """What the policies [R, D] answer, for each run, without labels. It follows from their seeds and the round."""
    draws = {seed: random_stream(seed, "online", turn).random((pairs, 2)) for seed in set(seeds)}
    rows = {seed: (values[:, 0] * len(world.prompts)).astype(np.int64) for seed, values in draws.items()}
    prompt = torch.from_numpy(np.stack([rows[seed] for seed in seeds])).to(parameters.device)
    length = world.architecture.context - world.prompts.shape[1] + 1
    drawn = prompt.new_empty(len(seeds), pairs, responses, length)
    for first in range(0, pairs, DRAWN_TOGETHER):
        some = slice(first, first + DRAWN_TOGETHER)
        drawn[:, some] = draw_responses(
            parameters, world, prompt[:, some], seeds=seeds, responses=responses, purpose=("online", turn, first)
        )
    reference = world.log_reference(prompt, drawn)
    return [
        Candidates(prompt=prompt[row], responses=drawn[row], reference=reference[row], draws=draws[seed][:, 1])
        for row, seed in enumerate(seeds)
    ]
