"""Reinforcement learning against a proxy: policy gradients on E_pi r - tau KL(pi || pi_ref), with tau in `beta`.

Shapes: R runs, B prompts, K responses to each, T response length, P prompts of the world, D parameters, V vocabulary.

r is the proxy's score in gold's unit. Every run starts from the reference; three ways to climb:

    exact   the gradient of the objective itself, summed over every response to every prompt. Enumerable worlds only.
    rloo    REINFORCE with a leave-one-out baseline (Ahmadian et al. 2024, arXiv:2402.14740, Eq. 8): of K responses to a
            prompt, each with the return G = r - tau log(pi / pi_ref), the gradient is that of
            -mean (G_k - mean of the other G) log pi(y_k)
    ppo     the clipped surrogate (Schulman et al. 2017, arXiv:1707.06347, Eq. 7) at every token, with the same
            advantage for all tokens of a response, and `reuse` steps of the optimizer on the same responses:
            -mean sum_t min(u_t A, clip(u_t, 1 - c, 1 + c) A), u_t = pi(y_t) / pi_old(y_t)

There is no critic: the leave-one-out baseline takes its place, as usual where an episode is one response (GAE with
lambda = gamma = 1). The mean gradient of rloo, and of ppo's first step on its responses, is the exact one.

The score of log(pi / pi_ref) inside G has mean zero, so that the penalty's gradient is right although G is not
differentiated.
"""

from collections.abc import Sequence

from simulator.methods.method import LABELS, Choices, Keys, Method, always, needs_listing, no_labelling, reads_proxies
from simulator.methods.policy_gradients import trace
from simulator.settings.run import Cell


def places(cell: Cell) -> tuple[int, int]:
    """Sequences, and tokens of all, that a gradient is taken of."""
    world, rl = cell.settings.world, cell.settings.rl
    if rl.algorithm == "exact":
        inner = sum(world.vocabulary**t for t in range(1, world.response_length))
        return world.prompts, world.prompts * (world.prompt_length + inner)
    sequences = min(rl.prompts, world.prompts) * rl.responses
    return sequences, sequences * (world.prompt_length + world.response_length - 1)


def passes(cell: Cell) -> float:
    """How many gradients are taken in a step; drawing the responses counts as half of one."""
    rl = cell.settings.rl
    return {"exact": 1.0, "rloo": 1.5, "ppo": rl.reuse + 0.5}[rl.algorithm]


def check(cell: Cell) -> None:
    """Raises ValueError where the exact gradient is asked for and is not known."""
    if cell.settings.rl.algorithm == "exact":
        needs_listing('rl.algorithm = "exact"', cell.settings)


def strengths(grid: Choices) -> Sequence[tuple[None, float]]:
    """Every penalty."""
    return [(None, penalty) for penalty in grid.penalty]


def ignores(cell: Cell) -> Keys:
    """What an algorithm does not look at."""
    drawn = {"exact": ("prompts", "responses", "clip", "reuse"), "rloo": ("clip", "reuse"), "ppo": ()}
    return {**no_labelling(cell), "rl": drawn[cell.settings.rl.algorithm], "train": ("batch",)}


RL = Method(
    strengths=strengths,
    proxies=always,
    reads=reads_proxies("train", "rl"),
    ignores=ignores,
    per_row=lambda cell: {"data": (*LABELS, "pairs"), "proxy": None, "train": ("learning_rate", "clip")},
    check=check,
    steps=lambda cell: cell.settings.train.steps,
    network=places,
    passes=passes,
    trace=trace,
)
