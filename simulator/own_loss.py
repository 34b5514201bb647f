"""A loss of the user's own, from a Python file that the sweep names: `sweep.loss = ["my_file.py:my_function"]`.

A function of one argument is f(z), elementwise, at z = beta rho:

    def half_squared(z):
        return (z - 0.5).square()

A function of several is given what it names of each pair, tensors [runs, pairs] but for beta, [runs, 1], and returns a
value for each pair:

    def bounded(chosen, rejected, beta):
        return torch.sigmoid(-beta * chosen) + torch.sigmoid(beta * rejected)

Before a sweep starts the function is tried: it must return one finite number for each pair, through which a gradient
flows, and keep runs apart. Code is loaded from a file that the user names, looked up beside the sweep file and then in
the working folder, and never from a results directory, whoever's records lie there.
"""

import hashlib
import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from simulator.complaints import ConfigError, nearest
from simulator.losses import local_shape
from simulator.objective import Objective, Own, Pairs, first_sentence

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
RECORDS = ("curves.parquet", "runs.parquet", "world.json", "parts")


def is_own(name: str) -> bool:
    """Whether a loss is named by a file and a function in it."""
    file, _, function = name.rpartition(":")
    return file.endswith(".py") and function.isidentifier()


def in_results(path: Path) -> Path | None:
    """The results directory that a file lies in, if it does."""
    for folder in path.parents:
        if (folder / "config.toml").exists() and any((folder / name).exists() for name in RECORDS):
            return folder
    return None


def find(name: str, beside: Path | None) -> Path:
    """The file of a loss. Raises ConfigError where there is none, or where it lies in a results directory."""
    file = name.rpartition(":")[0]
    looked = dict.fromkeys((folder / file).resolve() for folder in (beside, Path()) if folder is not None)
    refused = ""
    for path in looked:
        folder = in_results(path)
        if path.is_file() and folder is None:
            return path
        if path.is_file():
            refused = f"; code is never loaded from a results directory such as {folder}"
    places = " nor ".join(str(path) for path in looked)
    raise ConfigError(f"sweep.loss = {name}: there is no file {places}{refused}")


def hash_of(path: Path) -> str:
    """The SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def own_loss(name: str, beside: Path | None) -> Objective:
    """The objective that a file and a function in it name, tried. Raises ConfigError.

    beside: the folder of the sweep file, where a relative name is looked up first.
    """
    path = find(name, beside)
    try:
        return _loaded(name, path, path.read_bytes())
    except OSError as error:
        raise ConfigError(f"sweep.loss = {name}: {path} cannot be read ({error.strerror or error})") from None


@lru_cache(maxsize=64)
def _loaded(name: str, path: Path, source: bytes) -> Objective:
    module = ModuleType(path.stem)
    module.__file__ = str(path)
    with blamed(name, f"{path.name} cannot be loaded"), found_beside(path):
        exec(compile(source, str(path), "exec"), vars(module))
    wanted = name.rpartition(":")[2]
    function = getattr(module, wanted, None)
    if not callable(function):
        functions = [key for key, value in vars(module).items() if inspect.isfunction(value)]
        what = "is no function" if hasattr(module, wanted) else "is not there"
        raise ConfigError(
            f"sweep.loss = {name}: {wanted} {what}; {path.name} has {', '.join(functions) or 'no function'}"
            f"{nearest(wanted, functions)}"
        )
    objective = objective_of(name, function)
    examine(objective)
    return objective


@contextmanager
def found_beside(path: Path) -> Iterator[None]:
    """Modules beside a file can be imported by it."""
    sys.path.insert(0, str(path.parent))
    try:
        yield
    finally:
        sys.path.remove(str(path.parent))


@contextmanager
def blamed(name: str, what: str) -> Iterator[None]:
    """Whatever the user's code raises is told as a ConfigError."""
    try:
        yield
    except (Exception, SystemExit) as error:
        line = ""
        trace = error.__traceback__
        while trace is not None:
            if trace.tb_frame.f_code.co_filename.endswith(name.rpartition(":")[0].rpartition("/")[2]):
                line = f", line {trace.tb_lineno}"
            trace = trace.tb_next
        told = " ".join(str(error).split())[:300]
        raise ConfigError(f"sweep.loss = {name}: {what} ({type(error).__name__}{line}: {told})") from None


def objective_of(name: str, function: Callable[..., Any]) -> Objective:
    """The objective that a function is: f(z), or one of what it names of the pairs. Raises ConfigError."""
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    needed = [
        at.name for at in parameters if at.default is at.empty and at.kind not in (at.VAR_POSITIONAL, at.VAR_KEYWORD)
    ]
    formula = first_sentence(function) or f"by {name}"
    if len(needed) == 1:
        f = guarded(name, lambda z: function(z))
        return Objective(name=name, loss=lambda pairs: f(pairs.z), f=f, formula=formula)
    unknown = [wanted for wanted in needed if wanted not in GIVEN]
    if unknown or not needed:
        what = f"cannot be given {unknown[0]}{nearest(unknown[0], GIVEN)}" if unknown else "takes no argument"
        raise ConfigError(
            f"sweep.loss = {name}: {what}; it must be f(z), or a function of several of {', '.join(GIVEN)}"
        )
    loss = guarded(name, lambda pairs: function(**{wanted: GIVEN[wanted](pairs) for wanted in needed}))
    return Objective(name=name, loss=loss, formula=formula, has_beta=bool(WITH_BETA & set(needed)))


def guarded(name: str, function: Callable[[Any], Any]) -> Callable[[Any], Tensor]:
    """The function with its errors told as those of the user's loss."""

    def call(given: Any) -> Tensor:
        with blamed(name, "raises"):
            return function(given)

    return call


def trial_pairs(ratios: Tensor, beta: Tensor) -> Pairs:
    """Pairs with log-ratios [r, 2, N] and any reference."""
    reference = torch.linspace(-9, -2, ratios.numel()).view(ratios.shape[::-1]).permute(2, 1, 0).contiguous()
    return Pairs(
        policy=reference + ratios,
        reference=reference,
        lengths=torch.full_like(reference, 4.0),
        beta=beta,
        own={},
        count=ratios.shape[2],
    )


def examine(objective: Objective) -> None:
    """Raises ConfigError where a loss cannot be trained with."""

    def refuse(rule: str) -> ConfigError:
        return ConfigError(f"sweep.loss = {objective.name}: {rule}")

    with torch.enable_grad():
        ratios = torch.stack([torch.zeros(2, 8), torch.linspace(-2, 2, 16).view(2, 8)]).requires_grad_()
        beta = torch.tensor([[0.1], [1.0]])
        values = objective.loss(trial_pairs(ratios, beta))
        if not isinstance(values, Tensor):
            raise refuse(f"must return a tensor, not {type(values).__name__}")
        if values.shape != (2, 8):
            raise refuse(
                f"must return a value for each pair, shape [2, 8] for two runs of eight, not {list(values.shape)}"
            )
        if not values[0].isfinite().all():
            raise refuse(
                f"must be finite where the policy is the reference, not {values[0][~values[0].isfinite()][0]:g}"
            )
        if not values.requires_grad:
            raise refuse("must let a gradient flow from its value to the log-ratios; it is detached")
        (slope,) = torch.autograd.grad(values.sum(), ratios, allow_unused=True)
        if slope is None or not slope.isfinite().all() or not slope.any():
            raise refuse("must have a finite gradient that is not zero everywhere")
        with torch.no_grad():
            alone = torch.cat([objective.loss(trial_pairs(ratios, beta).of(slice(row, row + 1))) for row in (0, 1)])
    if not torch.allclose(alone, values.detach(), rtol=1e-5, atol=1e-6):
        raise refuse("must keep runs apart: reduce over the last axis, the pairs, and not over all")
    if objective.f is not None:
        f, z = objective.f, torch.linspace(-2, 2, 16)
        each = torch.cat([f(part) for part in z.split(1)])
        if not torch.allclose(each, f(z), rtol=1e-5, atol=1e-6):
            raise refuse("must be elementwise in z; a loss that looks at several pairs is one of several arguments")


def caution(objective: Objective, own: Own) -> str:
    """A warning where an objective starts by pushing margins down; nothing where it does not."""
    if objective.f is not None:
        f = objective.f
        slope, what = local_shape(lambda z: f(z, **own)).slope, "f'(0) ="
    elif is_own(objective.name):
        slope, what = start_slope(objective), "a slope along the margin, at beta = 1, of"
    else:
        return ""
    if slope < 0:
        return ""
    return f"loss {objective.name} has {what} {slope:+.3g} where it starts, so that training first pushes margins down"


def start_slope(objective: Objective) -> float:
    """The slope of a loss along the margin, half of it taken by each response, where the policy is the reference."""
    with torch.enable_grad():
        ratios = torch.zeros(1, 2, 8, requires_grad=True)
        (slope,) = torch.autograd.grad(objective.loss(trial_pairs(ratios, torch.ones(1, 1))).sum(), ratios)
    return float((slope[0, 0] - slope[0, 1]).mean() / 2)
