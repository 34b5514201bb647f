"""A function of the user's own as an objective: what it is given, and the trial that it stands before a sweep.

Shapes: r runs, N pairs. See simulator/objectives/own_loss.py.
"""

import inspect
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from simulator.common.errors import nearest
from simulator.objectives import OBJECTIVES
from simulator.objectives.local_shape import local_shape
from simulator.objectives.objective import Hyperparameters, Objective, Pairs, first_sentence
from simulator.objectives.stacked_losses import filled
from simulator.user_code.isolation import isolated, seed_global_generators
from simulator.user_code.loading import UserFunction

GIVEN: dict[str, Callable[[Pairs], Tensor]] = {
    "chosen": lambda pairs: pairs.chosen,
    "rejected": lambda pairs: pairs.rejected,
    "beta": lambda pairs: pairs.beta,
    "rho": lambda pairs: pairs.chosen - pairs.rejected,
    "z": lambda pairs: pairs.z,
    "chosen_log_prob": lambda pairs: pairs.policy[:, 0],
    "rejected_log_prob": lambda pairs: pairs.policy[:, -1],
    "chosen_length": lambda pairs: pairs.lengths[:, 0],
    "rejected_length": lambda pairs: pairs.lengths[:, -1],
}
WITH_BETA = {"beta", "z"}
LARGEST_Z = 6.0  # z at which losses are drawn
REPEATS = 3  # times that a trial is made again


def objective_of(user: UserFunction) -> Objective:
    """The objective that a function is: f(z), or one of what it names of the pairs. Raises ConfigError."""
    name, function = user.name, user.function
    formula = first_sentence(function) or f"by {name}"
    named = arguments(function)
    needed = [at.name for at in named or () if at.default is at.empty]
    given = [at.name for at in named or () if at.name in GIVEN]
    if named is None or (len(needed) == 1 and set(given) <= {"z"} & set(needed)):
        f = with_errors_named(user, lambda z: function(z))
        return Objective(name=name, loss=lambda pairs: f(pairs.z), f=f, formula=formula)
    unknown = [wanted for wanted in needed if wanted not in GIVEN]
    if unknown or not given:
        what = f"cannot be given {unknown[0]}{nearest(unknown[0], GIVEN)}" if unknown else "takes no argument"
        raise user.error(f"{what}; it must be f(z), or a function of several of {', '.join(GIVEN)}")
    by_name = with_errors_named(user, lambda pairs: function(**{wanted: value_of(pairs, wanted) for wanted in given}))

    def loss(pairs: Pairs) -> Tensor:
        value = by_name(pairs)
        right = isinstance(value, Tensor) and value.shape == (len(pairs.policy), pairs.count)
        return pad(value, (0, pairs.policy.shape[2] - pairs.count)) if right else value

    return Objective(name=name, loss=loss, formula=formula, has_beta=bool(WITH_BETA & set(given)))


def arguments(function: Callable[..., Any]) -> list[inspect.Parameter] | None:
    """What a function can be given by name; None for one that takes anything, or that does not say."""
    try:
        every = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # written in C
        return None
    named = [at for at in every if at.kind not in (at.VAR_POSITIONAL, at.VAR_KEYWORD)]
    return None if not named and any(at.kind is at.VAR_POSITIONAL for at in every) else named


def value_of(pairs: Pairs, name: str) -> Tensor:
    """What a function is given: of the pairs alone, without what fills them up."""
    value = GIVEN[name](pairs)
    return value if name == "beta" else value[:, : pairs.count].contiguous()


def with_errors_named(user: UserFunction, function: Callable[[Any], Any]) -> Callable[[Any], Tensor]:
    """The function with its errors as those of the user's loss."""

    def call(given: Any) -> Tensor:
        with user.errors_named("raises"), isolated():
            return function(given)

    return call


def trial_pairs(ratios: Tensor, beta: Tensor) -> Pairs:
    """Pairs with log-ratios [r, N, 2] and any reference, filled up as in training."""
    reference = torch.linspace(-9, -2, ratios.numel()).view(ratios.shape)
    return Pairs(
        policy=filled(reference + ratios, -1.0),
        reference=filled(reference, -1.0),
        lengths=filled(torch.full_like(reference, 4.0), 1.0),
        beta=beta,
        hyperparameters={},
        count=ratios.shape[1],
    )


def examine(objective: Objective, user: UserFunction) -> None:
    """Raises ConfigError where a loss cannot be trained with."""

    def of(pairs: Pairs) -> Tensor:
        values: Any = objective.loss(pairs)
        if not isinstance(values, Tensor):
            raise user.error(f"must return a tensor, not {type(values).__name__}")
        runs, whole = len(pairs.policy), pairs.policy.shape[2]
        if values.shape != (runs, whole):
            right = f"shape [{runs}, {whole if objective.f else pairs.count}] here"
            raise user.error(f"must return a value for each pair, {right}, not {list(values.shape)}")
        return values[:, : pairs.count]

    with torch.enable_grad():
        ratios = torch.stack([torch.zeros(8, 2), 2 * torch.sin(2.4 * torch.arange(16)).view(8, 2)]).requires_grad_()
        pairs = trial_pairs(ratios, torch.tensor([[0.1], [1.0]]))
        values = of(pairs)
        for row, where in ((0, "where the policy is the reference"), (1, "for log-ratios of at most 2 nats")):
            wrong = values[row][~values[row].isfinite()]
            if len(wrong):
                raise user.error(f"must be finite {where}, not {wrong[0]:g}")
        if not values.requires_grad:
            raise user.error("must let a gradient flow from its value to the log-ratios; it is detached")
        (slope,) = torch.autograd.grad(values.sum(), ratios, allow_unused=True)
        if slope is None or not slope.isfinite().all() or not slope.any():
            raise user.error("must have a finite gradient that is not zero everywhere")
        if not all(
            torch.equal(value_at_other_random_state(lambda: of(pairs), number), values) for number in range(REPEATS)
        ):
            raise user.error(
                "must give the same values for the same pairs each time: it keeps state between calls, or draws random "
                "numbers"
            )
        with torch.no_grad():
            alone = torch.cat([of(pairs.select_runs(slice(row, row + 1))) for row in (0, 1)])
    if not torch.allclose(alone, values.detach(), rtol=1e-5, atol=1e-6):
        raise user.error("must keep runs apart: reduce over the last axis, the pairs, and not over all")
    if objective.f is not None:
        f, z = objective.f, torch.linspace(-LARGEST_Z, LARGEST_Z, 16, dtype=torch.float64).unsqueeze(0)
        whole, each = f(z), [f(part) for part in z.split(1, dim=1)]
        shapes = whole.shape == z.shape and all(part.shape == (1, 1) for part in each)
        if not shapes or not torch.allclose(torch.cat(each, dim=1), whole, rtol=1e-5, atol=1e-6, equal_nan=True):
            raise user.error("must be elementwise in z; a loss that looks at several pairs is one of several arguments")


def value_at_other_random_state(call: Callable[[], Tensor], number: int) -> Tensor:
    """The value of a call after the global random numbers were moved on, each `number` to another place."""
    with torch.no_grad(), isolated():
        seed_global_generators(number)
        return call()


def caution(objective: Objective, own: Hyperparameters) -> str:
    """A warning where an objective does not start by pushing margins up; nothing where it does."""
    if objective.f is not None:
        f = objective.f
        slope, what = local_shape(lambda z: f(z, **own)).slope, "f'(0) ="
    elif objective.name not in OBJECTIVES:
        chosen, rejected = start_slopes(objective, own=own)
        slope, what = (chosen - rejected) / 2, "a slope along the margin, at beta = 1, of"
    else:
        return ""
    if slope < 0:
        return ""
    at = ", ".join(f"{name} = {value:g}" for name, value in own.items() if isinstance(value, float))
    then = "training first pushes margins down" if slope > 0 else "nothing pushes margins up where training starts"
    return f"loss {objective.name}{f' at {at}' if at else ''} has {what} {slope:+.3g} where it starts: {then}"


def start_slopes(objective: Objective, beta: float = 1.0, own: Hyperparameters | None = None) -> tuple[float, float]:
    """The slopes of a loss along the log-ratios of the chosen and the rejected response, where training starts.

    There the policy is the reference; rewards, where the loss reads them, are 1 and 0.
    """
    given = own or {}
    numbers = {name: torch.tensor([[value]]) if isinstance(value, float) else value for name, value in given.items()}
    with torch.enable_grad():
        ratios = torch.zeros(1, 8, 2, requires_grad=True)
        pairs = trial_pairs(ratios, torch.full((1, 1), beta))
        nothing = torch.zeros_like(pairs.policy)
        rewards = torch.cat([nothing[:, :1] + 1, nothing[:, 1:]], dim=1)
        tokens: dict[str, Any] = dict.fromkeys(objective.tokens, nothing.unsqueeze(-1))
        known = replace(pairs, hyperparameters=numbers, scores=rewards, mismatched=nothing, **tokens)
        (slope,) = torch.autograd.grad(objective.loss(known)[:, : pairs.count].sum(), ratios)
    chosen, rejected = slope[0].mean(dim=0).tolist()
    return chosen, rejected
