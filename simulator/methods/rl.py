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

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from simulator.methods.method import Card, Choices, Footprint, Method, Reads, Strength, needs_listing, reads_proxies
from simulator.settings.relevant_keys import REFERENCE
from simulator.settings.run import Cell, Run
from simulator.settings.tables import MethodTable, Settings

if TYPE_CHECKING:
    import pandas as pd

    from simulator.engine.loop import PolicyLearner
    from simulator.engine.recorder import Recorder
    from simulator.methods.algorithms.policy_gradients import Algorithm
    from simulator.preferences.pairs import Preferences
    from simulator.proxies.scores import Proxy
    from simulator.worlds.protocol import World


IGNORES = {"exact": ("prompts", "responses", "clip", "reuse"), "rloo": ("clip", "reuse"), "ppo": ()}  # of [rl]


class Rl(MethodTable):
    """[rl]. Policy gradients against a proxy; see simulator/methods/rl.py.

    Each step takes `responses` of the policy to each of `prompts` prompts, or to all where there are fewer. `clip` and
    `reuse`, the steps of the optimizer on the same responses, are PPO's.
    """

    key: ClassVar = "rl"
    algorithm: Literal["rloo", "ppo", "exact"] = "rloo"
    """How it climbs: "rloo" and "ppo" draw responses; "exact" sums over all of them."""
    prompts: Annotated[int, Field(ge=1, le=10**6)] = 16
    """In each step, or all where there are fewer."""
    responses: Annotated[int, Field(ge=2, le=10**4)] = 8
    """To each."""
    clip: Annotated[float, Field(gt=0, lt=1)] = 0.2
    """Of the ratio; this one and the next are those of "ppo"."""
    reuse: Annotated[int, Field(ge=1, le=1000)] = 4
    """Steps of the optimizer on the same responses."""


def grid(choices: Choices) -> Sequence[Strength]:
    """Every penalty."""
    return [(None, penalty) for penalty in choices.penalty]


def reads(cell: Cell) -> Reads:
    """Raises ValueError where the exact gradient is asked for and is not known."""
    algorithm = cell.settings.of(Rl).algorithm
    if algorithm == "exact":
        needs_listing('rl.algorithm = "exact"', cell.settings)
    ignores = {"rl": IGNORES[algorithm], "train": ("batch", "divergence", "alpha", *REFERENCE)}
    return reads_proxies(
        cell,
        "train",
        "rl",
        ignores=ignores,
        per_row={"train": ("learning_rate", "clip")},
        always_report=("policy.kind",),
    )


def footprint(cell: Cell) -> Footprint:
    """What a gradient is taken of; drawing the responses counts as half of a gradient."""
    world, own, steps = cell.settings.world, cell.settings.of(Rl), cell.settings.train.steps
    if own.algorithm == "exact":
        inner = sum(world.vocabulary**t for t in range(1, world.response_length))
        tokens = world.prompts * (world.prompt_length + inner)
        return Footprint(steps=steps, sequences=world.prompts, tokens=tokens)
    sequences = min(own.prompts, world.prompts) * own.responses
    return Footprint(
        steps=steps,
        sequences=sequences,
        tokens=sequences * (world.prompt_length + world.response_length - 1),
        gradients=(own.reuse if own.algorithm == "ppo" else 1) + 0.5,
    )


def algorithm_of(settings: Settings) -> Algorithm:
    """How a stack with these settings climbs."""
    from simulator.methods.algorithms.policy_gradients import Algorithm

    own = settings.of(Rl)
    return Algorithm(
        name=own.algorithm, prompts=own.prompts, responses=own.responses, ratio_clip=own.clip, reuse=own.reuse
    )


def learner(runs: Sequence[Run], world: World, proxies: Sequence[Proxy], pairs: Preferences | None) -> PolicyLearner:
    """The stack before its first step; it learns from proxies, and from no pairs."""
    from simulator.methods.algorithms.policy_gradients import new_learner

    return new_learner(runs, world, proxies, algorithm_of(runs[0].settings))


def run(runs: Sequence[Run], world: World, proxies: Sequence[Proxy], recorder: Recorder) -> pd.DataFrame:
    """The rows of the runs of a stack."""
    from simulator.methods.algorithms.policy_gradients import climb_and_measure

    return climb_and_measure(runs, world, proxies, recorder, algorithm_of(runs[0].settings))


METHOD = Method(
    card=Card(name="rl", label="RL", varies=("penalty",), trajectory=True, fitted=True, line="--"),
    grid=grid,
    reads=reads,
    footprint=footprint,
    run=run,
    table=Rl,
    learner=learner,
    read_where={
        "train": "",
        "rl.clip": 'and rl.algorithm = "ppo"',
        "rl.reuse": 'and rl.algorithm = "ppo"',
        "rl.prompts": 'and rl.algorithm "rloo" or "ppo"',
        "rl.responses": 'and rl.algorithm "rloo" or "ppo"',
    },
)
