"""The table of an audit: a row an estimator, with what it is in the mean and how it scatters.

Shapes: P prompts, G responses of up to T tokens, K of them to each prompt in a batch, D parameters.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from simulator.audit.batches import (
    Expectation,
    cosines,
    expectation_of,
    gradients,
    mean_and_error,
    spread,
)
from simulator.audit.catalogue import KL, OBJECTIVE, REVERSE, of_kl, of_objective, of_reuse
from simulator.audit.estimators import Estimator, Simulated
from simulator.audit.place import Drawn, Place, draw
from simulator.audit.policy import exact_gradient, kl_gradient, path, reverse_kl_gradient
from simulator.audit.scores import scores_at
from simulator.settings.tables import Train
from simulator.worlds.protocol import ListedWorld

Law = tuple[Tensor, Tensor]  # of one prompt: log-probabilities of tokens, and their log-ratios, [G, T] each
ROUNDING = 1e-12  # a norm below it is that of a gradient that is 0


@dataclass(frozen=True, kw_only=True)
class Question:
    """What is audited.

    reward [P, G]. group: K. looked_at: batches whose gradients are taken; batches: those that only add to expectations.
    reuse: steps on the same responses at which PPO's surrogates are looked at. train: the optimizer of these steps.
    """

    world: ListedWorld
    parameters: Tensor
    reward: Tensor
    penalty: float
    group: int
    clip: float
    reuse: Sequence[int]
    batches: int
    looked_at: int
    seed: int
    train: Train


def audit_table(asked: Question) -> pd.DataFrame:
    """All rows."""
    world, theta = asked.world, asked.parameters
    here = places_at(asked, theta, None)
    drawn = draw(here, batches=asked.batches, group=asked.group, seed=asked.seed)
    targets = {
        KL: kl_gradient(world, theta.double()),
        REVERSE: reverse_kl_gradient(world, theta.double()),
        OBJECTIVE: exact_gradient(world, theta.double(), asked.reward, asked.penalty),
    }
    estimators = [*of_kl(), *of_objective(ends=world.end is not None), *of_reuse(0, asked.clip)]
    rows = rows_of(estimators, here, drawn, targets, asked)
    drew, numbers = [(place.old_log_probs, place.log_ratio) for place in here], drawn.numbers
    del here, drawn  # scores of one policy are kept at a time
    later = path(world, theta, asked.reward, asked.penalty, list(asked.reuse), asked.train) if asked.reuse else []
    for reuse, moved in zip(asked.reuse, later, strict=True):
        rows += reuse_rows(asked, reuse, moved, drew, numbers)
    return pd.DataFrame(rows)


def reuse_rows(
    asked: Question, reuse: int, moved: Tensor, drew: Sequence[Law], numbers: Tensor
) -> list[dict[str, Any]]:
    """The rows of PPO's surrogates at the parameters after so many steps, on responses that were drawn before."""
    there = places_at(asked, moved, drew)
    target = {OBJECTIVE: exact_gradient(asked.world, moved.double(), asked.reward, asked.penalty)}
    again = Drawn(places=there, numbers=numbers)
    return rows_of(of_reuse(reuse, asked.clip), there, again, target, asked)


def places_at(asked: Question, parameters: Tensor, drew: Sequence[Law] | None) -> list[Place]:
    """Every prompt, with the scores of a policy [D]; drew: of the policy that draws at each, if it is another."""
    world, found = asked.world, []
    start = world.policy_class.start.double()[None]
    for row in range(len(world.prompts)):
        scores = scores_at(world, parameters, row)
        if drew is not None:
            old, ratio = drew[row]
        else:
            prompt = torch.full((1, len(world.responses)), row)
            reference = world.policy_class.token_log_probs(start, prompt, world.responses[None, :, None])[0, :, 0]
            old = scores.log_probs
            ratio = torch.where(world.responses >= 0, old - reference, 0.0)
        found.append(
            Place(
                scores=scores,
                old_log_probs=old,
                log_ratio=ratio,
                reward=asked.reward[row],
                said=world.responses >= 0,
                penalty=asked.penalty,
            )
        )
    return found


def rows_of(
    estimators: Sequence[Estimator],
    places: Sequence[Place],
    drawn: Drawn,
    targets: Mapping[str, Tensor],
    asked: Question,
) -> list[dict[str, Any]]:
    """A row of each estimator."""
    few = drawn.first(asked.looked_at)
    weights = [one.kind.weights(few) for one in estimators]
    controlled = [one.kind.control for one in estimators if isinstance(one.kind, Simulated)]
    estimates = gradients(few, [*weights, *(control.weights(few) for control in controlled)])
    of_controls = iter(estimates[len(estimators) :])
    rows = []
    for one, each in zip(estimators, estimates, strict=False):
        target = targets[one.target]
        size = float(target.norm())
        if isinstance(one.kind, Simulated):
            mean = expectation_of(one.kind, places, drawn, (each, next(of_controls)), asked.group)
            how, (variance, error) = "simulated", spread(each)
        else:
            moments = one.kind.moments(places, asked.group)
            mean, how, variance, error = Expectation(mean=moments.mean), "exact", moments.variance, 0.0
        one_batch, its_error = mean_and_error(cosines(each, target)) if size > ROUNDING else (math.nan, math.nan)
        rows.append(
            {
                "part": one.part,
                "estimator": one.name,
                "reuse": one.reuse,
                "target": one.target,
                "how": how,
                **against(mean, target),
                "variance": variance,
                "variance_se": error,
                "noise": math.sqrt(variance) / size if size > ROUNDING else math.nan,
                "one_batch_cosine": one_batch,
                "one_batch_cosine_se": its_error,
                "about": one.about,
            }
        )
    return rows


def against(found: Expectation, target: Tensor) -> dict[str, float]:
    """An expectation beside its target [D]: how long, how far off, and in which direction; NaN where that is 0."""
    size, mean = float(target.norm()), found.mean
    if size <= ROUNDING:  # as the gradient of KL is at the reference
        return dict.fromkeys(("scale", "bias", "bias_se", "cosine", "cosine_se"), math.nan)
    off = mean - target
    bias = math.sqrt(max(float(off @ off) - found.excess, 0.0))
    length = math.sqrt(max(float(mean @ mean) - found.excess, 0.0))
    known = {
        "scale": float(mean @ target) / size**2,
        "bias": bias / size,
        "bias_se": found.error_along(off / off.norm()) / size if float(off.norm()) else 0.0,
    }
    if length <= 1e-12 * size:  # there is no direction
        return known | {"cosine": math.nan, "cosine_se": math.nan}
    cosine = float(mean @ target) / (length * size)
    turn = (target / size - cosine * mean / length) / length
    return known | {"cosine": cosine, "cosine_se": found.error_along(turn)}
