"""Reinforcement learning against a proxy: policy gradients on E_pi r - tau KL(pi || pi_ref), with tau in `beta`.

Shapes: R runs, B prompts, K responses to each, T response length, P prompts of the world, D parameters, V vocabulary.

r is the proxy's score in gold's unit. Every run starts from the reference; six ways to climb:

    exact         the gradient of the objective itself, summed over every response to every prompt. Enumerable worlds
                  only.
    rloo          REINFORCE with a leave-one-out baseline (Ahmadian et al. 2024, arXiv:2402.14740, Eq. 8): of K
                  responses to a prompt, each with the return G = r - tau log(pi / pi_ref), the gradient is that of
                  -mean (G_k - mean of the other G) log pi(y_k)
    ppo           the clipped surrogate (Schulman et al. 2017, arXiv:1707.06347, Eq. 7) at every token, with the same
                  advantage for all tokens of a response, and `reuse` steps of the optimizer on the same responses:
                  -mean sum_t min(u_t A, clip(u_t, 1 - c, 1 + c) A), u_t = pi(y_t) / pi_old(y_t)
    grpo          that surrogate averaged over the tokens of each response, with the advantage in deviations of the
                  group of K (Shao et al. 2024, arXiv:2402.03300)
    dr_grpo       without the deviation, and without a division by the length (Liu et al. 2025, arXiv:2503.20783)
    reinforce_pp  that surrogate with the return to go of each token, in deviations of all tokens of the batch (Hu et
                  al. 2025, arXiv:2501.03262)

simulator/methods/algorithms/surrogates.py has their formulas, and says where conventions differ. There is no critic:
the other responses of a group, or of a batch, take its place. The mean gradient of rloo, and of ppo's first step on its
responses, is the exact one where the penalty is in the reward by k1.

`kl` says where the penalty is, and `kl_estimator` by which estimate of KL. "auto" is what the algorithm was published
with: in the reward by k1 for rloo, ppo and reinforce_pp; in the loss by k3 for grpo, and for dr_grpo, which mends grpo
and was published without a penalty. Where `kl` alone is given, "auto" is k1 in the reward and k3 in the loss. In the
reward, the penalty's gradient is right with k1, although none is taken of G: the score of log(pi / pi_ref) has mean
zero. In the loss, none of the three has the gradient of KL(pi || pi_ref) in the mean; see
docs/explanation/estimators.md, and `python run.py audit`.
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
    from simulator.methods.algorithms.surrogates import Algorithm
    from simulator.preferences.pairs import Preferences
    from simulator.proxies.scores import Proxy
    from simulator.worlds.protocol import World


IGNORES = {
    "exact": ("prompts", "responses", "clip", "reuse", "kl", "kl_estimator"),
    "rloo": ("clip", "reuse"),
}  # of [rl]
KL_KEYS = ("kl", "kl_estimator")
IN_LOSS = ("grpo", "dr_grpo")  # published with the penalty in the loss
CLIPS = ("ppo", "grpo", "dr_grpo", "reinforce_pp")
PASS = 1 / 3  # of a gradient, that log pi of given responses takes


class Rl(MethodTable):
    """[rl]. Policy gradients against a proxy; see simulator/methods/rl.py.

    Each step takes `responses` of the policy to each of `prompts` prompts, or to all where there are fewer. `clip` and
    `reuse`, the steps of the optimizer on the same responses, are of the algorithms with ratios: all but "rloo" and
    "exact".
    """

    key: ClassVar = "rl"
    algorithm: Literal["rloo", "ppo", "grpo", "dr_grpo", "reinforce_pp", "exact"] = "rloo"
    """How it climbs: "exact" sums over all responses; the others draw some."""
    kl: Literal["auto", "reward", "loss"] = "auto"
    """Where the penalty on KL is; "auto" is as published: in the loss for "grpo" and "dr_grpo", else in the reward."""
    kl_estimator: Literal["auto", "k1", "k2", "k3"] = "auto"
    """The estimate of KL that is the penalty; "auto" is k1 in the reward and k3 in the loss. "k1" in the loss has the
    gradient 0 in the mean."""
    prompts: Annotated[int, Field(ge=1, le=10**6)] = 16
    """In each step, or all where there are fewer."""
    responses: Annotated[int, Field(ge=2, le=10**4)] = 8
    """To each."""
    clip: Annotated[float, Field(gt=0, lt=1)] = 0.2
    """Of the ratio; this one and the next are of all algorithms but "rloo" and "exact"."""
    reuse: Annotated[int, Field(ge=1, le=1000)] = 4
    """Steps of the optimizer on the same responses."""


def grid(choices: Choices) -> Sequence[Strength]:
    """Every penalty."""
    return [(None, penalty) for penalty in choices.penalty]


def reads(cell: Cell) -> Reads:
    """Raises ValueError where the exact gradient is asked for and is not known."""
    own = cell.settings.of(Rl)
    exact = own.algorithm == "exact"
    if exact:
        needs_listing('rl.algorithm = "exact"', cell.settings)
    usual = [key for key in KL_KEYS if getattr(own, key) == "auto"]  # so that runs have the names they had before
    unread = (*IGNORES.get(own.algorithm, ()), *usual)
    ignores = {"rl": unread, "train": ("batch", "divergence", "alpha", *REFERENCE)}
    return reads_proxies(
        cell,
        "train",
        "rl",
        ignores=ignores,
        per_row={"train": ("learning_rate", "clip")},
        always_report=("policy.kind", *(() if exact else tuple(f"rl.{key}" for key in KL_KEYS))),
    )


def footprint(cell: Cell) -> Footprint:
    """What a gradient is taken of; drawing responses counts as half of a gradient, a pass of the reference as PASS."""
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
        gradients=(own.reuse if own.algorithm in CLIPS else 1) + 0.5 + PASS * reads_reference(own),
    )


def penalty_of(own: Rl) -> tuple[str, str]:
    """Where the penalty is, "reward" or "loss", and its estimate, "k1", "k2" or "k3"."""
    where = own.kl if own.kl != "auto" else "loss" if own.algorithm in IN_LOSS else "reward"
    return where, own.kl_estimator if own.kl_estimator != "auto" else {"reward": "k1", "loss": "k3"}[where]


def reads_reference(own: Rl) -> bool:
    """Whether log pi_ref of each token is needed, and not of whole responses alone."""
    return own.algorithm == "reinforce_pp" or penalty_of(own) != ("reward", "k1")


def algorithm_of(settings: Settings) -> Algorithm:
    """How a stack with these settings climbs."""
    from simulator.methods.algorithms.surrogates import Algorithm

    own = settings.of(Rl)
    where, estimator = penalty_of(own)
    return Algorithm(
        name=own.algorithm,
        prompts=own.prompts,
        responses=own.responses,
        ratio_clip=own.clip,
        reuse=own.reuse,
        kl=where,
        kl_estimator=estimator,
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
        **dict.fromkeys(("rl.clip", "rl.reuse"), f"and rl.algorithm {', '.join(CLIPS[:-1])} or {CLIPS[-1]}"),
        **dict.fromkeys(
            ("rl.prompts", "rl.responses", "rl.kl", "rl.kl_estimator"), 'and another rl.algorithm than "exact"'
        ),
    },
)
