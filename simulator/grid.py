"""From a sweep to its runs, and from runs to the stacks that train together.

Runs that share everything but what a stack holds per row (loss, beta, seed, learning rate, clipping, labels; proxies,
where a method looks their scores up) can train as one program; they are cut into stacks of bounded size. The order of
the runs follows from the sweep alone; how they are cut may depend on the machine, since what comes of a run does not
depend on the cut.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from simulator.complaints import ConfigError
from simulator.config import Sweep
from simulator.method import Choices, Method
from simulator.methods import METHODS
from simulator.objective import Objective
from simulator.objectives import OBJECTIVES
from simulator.own_function import caution
from simulator.own_loss import is_own, own_loss
from simulator.proxies import Member, held_out, proxy_architecture
from simulator.runs import Run, apart, digest, leave_out
from simulator.settings import Settings
from simulator.world import world_name

STACK_LIMIT = 24
STACK_FLOATS = 2**24  # activations of one training step of a stack; 64 MiB of float32


class Stackable(Protocol):
    """What can be stacked: `shared` is equal for those that train together."""

    @property
    def shared(self) -> str:
        """What those have in common that can train together."""
        ...


S = TypeVar("S", bound=Stackable)


def expand(sweep: Sweep) -> list[Run]:
    """All runs of a sweep, in the order of its grid. Raises ConfigError.

    A run that some axis makes no difference to is there once, without that axis.
    """
    axes = sweep.sweep.axes
    runs: dict[str, Run] = {}
    for values in itertools.product(*axes.values()):
        at = dict(zip(axes, values, strict=True))
        settings = sweep.settings_at(at)
        for name in sweep.sweep.method:
            for run in _runs_at(sweep, name, at, settings):
                runs.setdefault(run.run_id, run)
    return list(runs.values())


@dataclass(frozen=True, kw_only=True)
class Point:
    """A cell of the grid before it has a beta and a seed."""

    settings: Settings
    objective: Objective | None


def objective_named(sweep: Sweep, name: str) -> Objective:
    """The objective of `sweep.loss`, ours or the user's own. Raises ConfigError."""
    return OBJECTIVES[name] if name in OBJECTIVES else own_loss(name, sweep.beside).objective


def cautions(sweep: Sweep, runs: Sequence[Run]) -> list[str]:
    """What a user should know before the runs are trained: objectives that start badly, axes that say nothing."""
    own = {}
    for run in runs:
        if run.objective:
            numbers = run.settings.objective.own(run.objective.table)
            own[run.loss, *numbers.items()] = run.objective, numbers
    told = [caution(*pair) for pair in own.values()]
    for key, values in sweep.sweep.axes.items():
        if len(values) > 1 and not any(key in run.axes for run in runs):
            told.append(f"sweep.{key} makes no difference to any run of this sweep")
    return list(dict.fromkeys(filter(None, told)))


def _runs_at(sweep: Sweep, name: str, at: Mapping[str, Any], settings: Settings) -> Iterator[Run]:
    method, grid = METHODS[name], sweep.sweep
    losses = [objective_named(sweep, loss) for loss in grid.loss] if method.pairwise else []
    strengths = method.strengths(Choices(loss=losses, beta=grid.beta, penalty=grid.penalty))
    for objective, some in itertools.groupby(strengths, key=lambda strength: strength[0]):
        point = Point(settings=settings, objective=objective)
        proxies = method.proxies(point)
        try:
            method.check(point)
            if proxies:
                check_proxies(settings)
        except ValueError as error:
            where = "".join(f", {key} = {value}" for key, value in at.items())
            raise ConfigError(f'[sweep] at method = "{name}"{where}: {error}') from None
        tables = settings.model_dump(include=set(method.reads(point)))
        tables = leave_out(tables, method.ignores(point))
        axes = {key: value for key, value in at.items() if _has(tables, key) or key in method.told}
        named = digest(tables)
        alone = objective.name if objective and is_own(objective.name) else ""  # what it raises is its own affair
        alike = [name, alone, proxies, method.responses(point), leave_out(tables, method.per_row(point))]
        kappa = objective.kappa(settings.objective.own(objective.table)) if objective else None
        for (_, beta), seed in itertools.product(some, range(grid.seeds)):
            yield Run(
                method=name,
                objective=objective,
                loss=objective.name if objective else None,
                beta=beta,
                kappa=kappa,
                seed=seed,
                axes=axes,
                settings=settings,
                proxies=proxies,
                name=named,
                shared=digest(alike),
                steps=method.steps(point),
            )


def _has(tables: Mapping[str, Any], key: str) -> bool:
    """Whether the dotted key is still there."""
    inner: Any = tables
    for part in key.split("."):
        if not isinstance(inner, Mapping) or part not in inner:
            return False
        inner = inner[part]
    return True


def check_proxies(settings: Settings) -> None:
    """Raises ValueError where proxies have no pair to learn from, or members cannot be compared everywhere."""
    held_out(settings)
    sampled, some = settings.world.kind == "sampled", settings.measured_prompts < settings.world.prompts
    if settings.proxy.members > 1 and settings.proxy.combine != "mean" and sampled and some:
        raise ValueError(
            f'proxy.combine (="{settings.proxy.combine}") compares members after recentring them at each prompt, which '
            'needs measure.prompts = "all"'
        )


def method_of(run: Run) -> Method:
    """The method of a run."""
    return METHODS[run.method]


def step_floats(layers: int, width: int, heads: int, places: int, length: int) -> int:
    """Numbers that one training step keeps, for so many places of sequences of about `length`."""
    return places * layers * (16 * width + 3 * heads * 2 * length)


def stack_size(run: Run) -> int:
    """How many runs like this train together best: at most STACK_LIMIT, fewer where they are large."""
    policy, (_, places) = run.settings.policy, method_of(run).network(run)
    floats = step_floats(policy.layers, policy.width, policy.heads, places, run.settings.world.response_length)
    return max(1, min(STACK_LIMIT, STACK_FLOATS // max(floats, 1)))


def proxy_stack_size(settings: Settings) -> int:
    """How many proxies of these settings train together best."""
    world, proxy = settings.world, settings.proxy
    places = proxy.batch * (world.prompt_length + 2 * world.response_length)
    floats = step_floats(proxy.layers, proxy.width, proxy.heads, places, world.response_length)
    return max(1, min(STACK_LIMIT, STACK_FLOATS // max(floats, 1)))


def stacks(runs: Sequence[Run], sizes: Mapping[str, int]) -> list[tuple[Run, ...]]:
    """The runs cut into stacks of at most the size that `sizes` has for what they share.

    Within a stack the runs of one objective are neighbours. Stacks of one world follow each other, long ones first, so
    that no process is left with one of them at the end.
    """
    found = cut(sorted(runs, key=apart), sizes)
    names = [world_name(stack[0].settings) for stack in found]
    place = {name: i for i, name in enumerate(dict.fromkeys(names))}
    order = sorted(range(len(found)), key=lambda i: (place[names[i]], -work(found[i])))
    return [found[i] for i in order]


def proxy_stacks(members: Sequence[Member], sizes: Mapping[str, int]) -> list[tuple[Member, ...]]:
    """Proxies cut into stacks, long ones first."""
    found = cut(sorted(members, key=lambda member: member.settings.proxy.loss), sizes)
    return sorted(found, key=lambda stack: -proxy_work(stack))


def proxy_work(stack: Sequence[Member]) -> int:
    """What training proxies takes, in multiplications of a pair's tokens."""
    settings = stack[0].settings
    return len(stack) * stack[0].steps * settings.proxy.batch * proxy_architecture(settings).parameters


def work(stack: Sequence[Run]) -> float:
    """Tokens that go through networks until a stack is trained, or 1 a run."""
    method = method_of(stack[0])
    return sum(max(1.0, run.steps * method.passes(run) * method.network(run)[1]) for run in stack)


def cut(items: Sequence[S], sizes: Mapping[str, int]) -> list[tuple[S, ...]]:
    """What can be stacked in stacks of at most the size that `sizes` has for what they share, in their order."""
    groups: dict[str, list[S]] = {}
    for item in items:
        groups.setdefault(item.shared, []).append(item)
    return [
        tuple(group[i : i + sizes[shared]])
        for shared, group in groups.items()
        for i in range(0, len(group), sizes[shared])
    ]
