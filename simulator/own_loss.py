"""A loss of the user's own, from a Python file that the sweep names: `sweep.loss = ["my_file.py:my_function"]`.

A function of one argument is f(z), elementwise, at z = beta rho:

    def half_squared(z):
        return (z - 0.5).square()

A function of several, or of one that has a name of GIVEN, is given what it names of each pair, tensors [runs, pairs]
but for beta, [runs, 1], and returns a value for each pair:

    def bounded(chosen, rejected, beta):
        return torch.sigmoid(-beta * chosen) + torch.sigmoid(beta * rejected)

Before a sweep starts the function is tried: it must return one finite number for each pair, through which a gradient
flows, and keep runs apart. Code is loaded from a file that the user names, looked up beside the sweep file and then in
the working folder, and never from a results directory, whoever's records lie there. What it imports from beside itself
belongs to it.
"""

import hashlib
import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from simulator.complaints import ConfigError, nearest
from simulator.losses import local_shape
from simulator.objective import Objective, Own, Pairs, filled, first_sentence

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
RECORDS = (  # what a results directory has beside its config.toml
    *("curves.parquet", "runs.parquet", "losses.parquet", "proxies.parquet", "world.json"),
    *("report.html", "claims.json", "parts/*.parquet", "proxies/*.npz", "figures/*.svg"),
)
FURTHEST = 6.0  # z at which losses are drawn


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """An objective of the user's own.

    code: the SHA-256 of its file and of the `files` that it imports from beside it.
    """

    objective: Objective
    files: tuple[Path, ...]
    code: str


LOADED: dict[tuple[str, Path], Loaded] = {}  # by name and file, as long as no file changes


def is_own(name: str) -> bool:
    """Whether a loss is named by a file and a function in it."""
    file, _, function = name.rpartition(":")
    return file.endswith(".py") and function.isidentifier()


def in_results(path: Path) -> Path | None:
    """The results directory that a file lies in, if it does."""
    for folder in path.parents:
        if (folder / "config.toml").exists() and any(any(folder.glob(pattern)) for pattern in RECORDS):
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


def hash_of(files: tuple[Path, ...]) -> str:
    """The SHA-256 of some files, one after the other."""
    together = hashlib.sha256()
    for path in files:
        together.update(path.read_bytes())
    return together.hexdigest()


def own_loss(name: str, beside: Path | None) -> Loaded:
    """The objective that a file and a function in it name, tried. Raises ConfigError.

    beside: the folder of the sweep file, where a relative name is looked up first.
    """
    path = find(name, beside)
    try:
        known = LOADED.get((name, path))
        if known is None or any(not file.exists() for file in known.files) or hash_of(known.files) != known.code:
            LOADED[name, path] = load(name, path)
    except OSError as error:
        raise ConfigError(f"sweep.loss = {name}: {path} cannot be read ({error.strerror or error})") from None
    return LOADED[name, path]


def load(name: str, path: Path) -> Loaded:
    """Load a file, take the function from it, and try it. Raises ConfigError."""
    module = ModuleType(f"own_loss_{hashlib.sha256(str(path).encode()).hexdigest()[:10]}")
    module.__file__ = str(path)
    source = path.read_bytes()
    with blamed(name, path, f"{path.name} cannot be loaded"), importing_beside(path) as imported:
        sys.modules[module.__name__] = module
        exec(compile(source, str(path), "exec"), vars(module))
    wanted = name.rpartition(":")[2]
    function = getattr(module, wanted, None)
    if not callable(function) or inspect.isclass(function):
        functions = [key for key, value in vars(module).items() if inspect.isfunction(value)]
        what = "is no function" if hasattr(module, wanted) else "is not there"
        raise ConfigError(
            f"sweep.loss = {name}: {wanted} {what}; {path.name} has {', '.join(functions) or 'no function'}"
            f"{nearest(wanted, functions)}"
        )
    objective = objective_of(name, path, function)
    examine(objective)
    files = (path, *sorted(imported))
    return Loaded(objective=objective, files=files, code=hash_of(files))


@contextmanager
def importing_beside(path: Path) -> Iterator[list[Path]]:
    """Modules beside a file can be imported by it, and are forgotten afterwards; what was imported is listed."""
    before: set[str] = set(sys.modules)
    found: list[Path] = []
    sys.path.insert(0, str(path.parent))
    try:
        yield found
    finally:
        sys.path.remove(str(path.parent))
        for name in set(sys.modules) - before:
            file = getattr(sys.modules[name], "__file__", None)
            if file and path.parent in Path(file).resolve().parents and Path(file).resolve() != path:
                found.append(Path(file).resolve())
                del sys.modules[name]


@contextmanager
def blamed(name: str, path: Path, what: str) -> Iterator[None]:
    """Whatever the user's code raises is told as a ConfigError."""
    try:
        yield
    except ConfigError:
        raise
    except (Exception, SystemExit) as error:
        line, trace = "", error.__traceback__
        while trace is not None:
            if trace.tb_frame.f_code.co_filename == str(path):
                line = f", line {trace.tb_lineno}"
            trace = trace.tb_next
        told = " ".join(str(error).split())[:300]
        raise ConfigError(f"sweep.loss = {name}: {what} ({type(error).__name__}{line}: {told})") from None


def objective_of(name: str, path: Path, function: Callable[..., Any]) -> Objective:
    """The objective that a function is: f(z), or one of what it names of the pairs. Raises ConfigError."""
    formula = first_sentence(function) or f"by {name}"
    named = arguments(function)
    needed = [at.name for at in named or () if at.default is at.empty]
    given = [at.name for at in named or () if at.name in GIVEN]
    if named is None or (len(needed) == 1 and set(given) <= {"z"} & set(needed)):
        f = guarded(name, path, lambda z: function(z))
        return Objective(name=name, loss=lambda pairs: f(pairs.z), f=f, formula=formula)
    unknown = [wanted for wanted in needed if wanted not in GIVEN]
    if unknown or not given:
        what = f"cannot be given {unknown[0]}{nearest(unknown[0], GIVEN)}" if unknown else "takes no argument"
        raise ConfigError(
            f"sweep.loss = {name}: {what}; it must be f(z), or a function of several of {', '.join(GIVEN)}"
        )
    by_name = guarded(name, path, lambda pairs: function(**{wanted: known(pairs, wanted) for wanted in given}))

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


def known(pairs: Pairs, name: str) -> Tensor:
    """What a function is given: of the pairs alone, without what fills them up."""
    value = GIVEN[name](pairs)
    return value if name == "beta" else value[:, : pairs.count].contiguous()


def guarded(name: str, path: Path, function: Callable[[Any], Any]) -> Callable[[Any], Tensor]:
    """The function with its errors told as those of the user's loss."""

    def call(given: Any) -> Tensor:
        with blamed(name, path, "raises"):
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
        own={},
        count=ratios.shape[1],
    )


def examine(objective: Objective) -> None:
    """Raises ConfigError where a loss cannot be trained with."""

    def refuse(rule: str) -> ConfigError:
        return ConfigError(f"sweep.loss = {objective.name}: {rule}")

    def of(pairs: Pairs) -> Tensor:
        values: Any = objective.loss(pairs)
        if not isinstance(values, Tensor):
            raise refuse(f"must return a tensor, not {type(values).__name__}")
        runs, whole = len(pairs.policy), pairs.policy.shape[2]
        if values.shape != (runs, whole):
            right = f"shape [{runs}, {whole if objective.f else pairs.count}] here"
            raise refuse(f"must return a value for each pair, {right}, not {list(values.shape)}")
        return values[:, : pairs.count]

    with torch.enable_grad():
        ratios = torch.stack([torch.zeros(8, 2), 2 * torch.sin(2.4 * torch.arange(16)).view(8, 2)]).requires_grad_()
        pairs = trial_pairs(ratios, torch.tensor([[0.1], [1.0]]))
        values = of(pairs)
        for row, where in ((0, "where the policy is the reference"), (1, "for log-ratios of at most 2 nats")):
            wrong = values[row][~values[row].isfinite()]
            if len(wrong):
                raise refuse(f"must be finite {where}, not {wrong[0]:g}")
        if not values.requires_grad:
            raise refuse("must let a gradient flow from its value to the log-ratios; it is detached")
        (slope,) = torch.autograd.grad(values.sum(), ratios, allow_unused=True)
        if slope is None or not slope.isfinite().all() or not slope.any():
            raise refuse("must have a finite gradient that is not zero everywhere")
        with torch.no_grad():
            alone = torch.cat([of(pairs.of(slice(row, row + 1))) for row in (0, 1)])
    if not torch.allclose(alone, values.detach(), rtol=1e-5, atol=1e-6):
        raise refuse("must keep runs apart: reduce over the last axis, the pairs, and not over all")
    if objective.f is not None:
        f, z = objective.f, torch.linspace(-FURTHEST, FURTHEST, 16, dtype=torch.float64)
        whole, each = f(z), [f(part) for part in z.split(1)]
        shapes = whole.shape == z.shape and all(part.shape == (1,) for part in each)
        if not shapes or not torch.allclose(torch.cat(each), whole, rtol=1e-5, atol=1e-6, equal_nan=True):
            raise refuse("must be elementwise in z; a loss that looks at several pairs is one of several arguments")


def caution(objective: Objective, own: Own) -> str:
    """A warning where an objective does not start by pushing margins up; nothing where it does."""
    if objective.f is not None:
        f = objective.f
        slope, what = local_shape(lambda z: f(z, **own)).slope, "f'(0) ="
    elif is_own(objective.name):
        slope, what = start_slope(objective), "a slope along the margin, at beta = 1, of"
    else:
        return ""
    if slope < 0:
        return ""
    told = ", ".join(f"{name} = {value:g}" for name, value in own.items() if isinstance(value, float))
    then = "training first pushes margins down" if slope > 0 else "nothing pushes margins up where training starts"
    return f"loss {objective.name}{f' at {told}' if told else ''} has {what} {slope:+.3g} where it starts: {then}"


def start_slope(objective: Objective) -> float:
    """The slope of a loss along the margin, half of it taken by each response, where the policy is the reference."""
    with torch.enable_grad():
        ratios = torch.zeros(1, 8, 2, requires_grad=True)
        pairs = trial_pairs(ratios, torch.ones(1, 1))
        (slope,) = torch.autograd.grad(objective.loss(pairs)[:, : pairs.count].sum(), ratios)
    return float((slope[..., 0] - slope[..., 1]).mean() / 2)
