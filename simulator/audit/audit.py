"""The audit as users ask for it."""

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from simulator.api.arguments import count_of, numbers_of, seed_of
from simulator.api.policies import Policies
from simulator.api.proxy import Proxy, check_proxy
from simulator.api.stack import check_world
from simulator.api.world import World
from simulator.audit.policy import path
from simulator.audit.scores import places_of
from simulator.audit.table import Question, audit_table
from simulator.common.errors import ConfigError
from simulator.networks.compute_mode import one_thread
from simulator.worlds.protocol import as_listed

LARGEST = 3 * 2**30  # bytes of scores
DRAWN_BYTES = 24  # of one drawn response: a uniform number, its place, and that place in a stack
LOOKED_AT = 500  # batches whose gradients are taken


def audit_estimators(
    world: World,
    *,
    policies: Policies | None = None,
    proxy: Proxy | None = None,
    penalty: float = 0.1,
    steps: int = 10,
    responses: int = 8,
    clip: float = 0.2,
    reuse: int | Sequence[int] = (1, 2, 4),
    batches: int = 20_000,
    seed: int = 0,
) -> pd.DataFrame:
    """Bias, variance and direction of estimators of policy gradients, a row each; exact where that can be.

    world: one that lists its responses. policies: the policy where gradients are compared; without it, the one after
    `steps` steps along the exact gradient of E r - penalty KL(pi || pi_ref), with the optimizer of the world's sweep.
    proxy: gives r, which is gold without it. penalty: deviations of gold to a nat. responses: of a batch, to each
    prompt. clip: PPO's. reuse: numbers of steps of the optimizer after which PPO's surrogates are compared. batches:
    how many are drawn where an expectation is not exact. seed: of these.

    Columns: `part`, "kl" (of the penalty alone), "objective", or "reuse" (PPO's surrogates); `estimator`; `reuse`;
    `target`, the gradient that the row is compared with; `how`, whether expectation and variance are "exact" or
    "simulated"; `scale`, the expectation along the target, 1 where it is right; `bias`, how far it is off, in norms of
    the target; `cosine` of the expectation to the target; `variance`, the trace of the covariance of one batch;
    `noise`, its root in norms of the target; `one_batch_cosine`, the mean over batches of their cosine to the target,
    always simulated; standard errors `_se`; `about`, a sentence; and what was asked for, with the policy's `kl` and
    `gold`. Raises ConfigError.
    """
    check_listed(world)
    (tau,) = numbers_of(penalty, "penalty", "a number of at least 0", lambda value: 0 <= value < math.inf)
    (bound,) = numbers_of(clip, "clip", "a number above 0, below 1", lambda value: 0 < value < 1)
    taken, count = count_of(steps, "steps", 0), count_of(batches, "batches", 2)
    group = count_of(responses, "responses", 2)
    later = sorted({count_of(each, "reuse") for each in ([reuse] if isinstance(reuse, int | float) else reuse)})
    check_room(len(world.prompts), group, count)
    with one_thread(), torch.no_grad():
        reward = reward_of(world, proxy)
        policy = climbed(world, reward, tau, taken) if policies is None else only(policies)
        measured = world.measure(policy).iloc[0]
        asked = Question(
            world=as_listed(world.simulated),
            parameters=policy.parameters[0],
            reward=reward,
            penalty=tau,
            group=group,
            clip=bound,
            reuse=later,
            batches=count,
            looked_at=min(count, LOOKED_AT),
            seed=seed_of(seed),
            train=world.settings.train,
        )
        table = audit_table(asked)
    given: dict[str, Any] = {"prompts": len(world.prompts), "responses": asked.group, "penalty": tau, "batches": count}
    given |= {"steps": taken if policies is None else math.nan, "kl": measured["kl"], "gold": measured["gold"]}
    return table.assign(**given)


def only(policies: object) -> Policies:
    """The one policy. Raises ConfigError where there are several, or something else."""
    if not isinstance(policies, Policies):
        raise ConfigError(f"policies: must be Policies, as sim.train(…) gives them, not {type(policies).__name__}")
    if len(policies) != 1:
        raise ConfigError(f"policies: must be one, not {len(policies)}; policies[0] is the first of them")
    return policies


def climbed(world: World, reward: Tensor, penalty: float, steps: int) -> Policies:
    """The policy after so many steps along the exact gradient, from the reference."""
    listed = as_listed(world.simulated)
    (theta,) = path(listed, listed.policy_class.start, reward, penalty, [steps], world.settings.train)
    return world.policies(theta[None], pd.DataFrame({"method": ["exact"], "step": [steps]}))


def reward_of(world: World, proxy: Proxy | None) -> Tensor:
    """r of every response, float64 [P, G]: gold, or the scores of a proxy. Raises ConfigError."""
    if proxy is None:
        return torch.from_numpy(world.simulated.listing.gold)
    check_proxy(proxy, world.simulated, "proxy")
    return torch.from_numpy(proxy.ensemble.table)


def check_listed(world: World) -> None:
    """Raises ConfigError where responses are not listed, or the scores of all tokens take too much memory."""
    check_world(world)
    if not world.simulated.lists_responses:
        raise ConfigError('audit_estimators: needs world.kind = "enumerable", where every response is listed')
    if world.prompts.device.type != "cpu":
        raise ConfigError('audit_estimators: needs a world on the CPU, make_world(…, device="cpu")')
    places = len(places_of(as_listed(world.simulated))[0])
    need = 8 * len(world.prompts) * places * len(world.simulated.policy_class.start)
    if need > LARGEST:
        raise ConfigError(
            f"audit_estimators: gradients of all tokens would take {need / 2**30:,.1f} GiB, more than "
            f"{LARGEST / 2**30:g} GiB; lower world.prompts, world.response_length, world.vocabulary or policy.width"
        )


def check_room(prompts: int, group: int, batches: int) -> None:
    """Raises ConfigError where the responses of all batches take too much memory."""
    need = DRAWN_BYTES * prompts * group * batches
    if need > LARGEST:
        raise ConfigError(
            f"audit_estimators: {batches:,} batches of {group:,} responses to each of {prompts:,} prompts would take "
            f"{need / 2**30:,.1f} GiB, more than {LARGEST / 2**30:g} GiB; lower batches or responses"
        )
