"""From a sweep to its runs, and from runs to the stacks that train together.

Runs that share everything but what a stack holds per row (loss, beta, seed, learning rate, clipping, labels; proxies,
where a method looks their scores up) can train as one program; they are cut into stacks of bounded size. The order of
the runs follows from the sweep alone; how they are cut may depend on the machine, since what comes of a run does not
depend on the cut.
"""

import itertools
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import torch

from simulator.complaints import ConfigError, shown, told
from simulator.computing import computing_on
from simulator.config import Sweep
from simulator.method import Cell, Choices, Method
from simulator.methods import METHODS
from simulator.objective import Objective, Own
from simulator.objectives import OBJECTIVES
from simulator.own_function import caution
from simulator.own_loss import is_own, own_loss
from simulator.proxies import Member, held_out, proxy_architecture
from simulator.records import flat_settings
from simulator.runs import Run, apart, digest, leave_out
from simulator.settings import Settings
from simulator.toml_input import flatten
from simulator.trainable import cautions_of_training
from simulator.unread import needs, read_tables
from simulator.world import MADE_OF, world_name

STACK_LIMIT = 64
PROXY_LIMIT = 5_000
BALANCE = 2**27  # activations of a training step times the square of a stack's size, where a step of a run is fastest


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
    grid = sweep.sweep
    pairwise = any(METHODS[name].pairwise for name in grid.method)
    losses = [objective_named(sweep, name) for name in grid.loss] if pairwise else []
    choices = Choices(loss=losses, beta=grid.beta, penalty=grid.penalty)
    runs: list[Run] = []
    kappas: dict[tuple[Any, ...], float | None] = {}
    seen: set[tuple[str, str | None, str]] = set()
    proxies = 0
    for values in itertools.product(*grid.axes.values()):
        at = dict(zip(grid.axes, values, strict=True))
        settings = sweep.settings_at(at)
        members = 0
        for name in grid.method:
            for cell, strengths in _cells_at(name, at, settings, choices, kappas):
                place = name, cell["loss"], cell["name"]
                if place not in seen:
                    seen.add(place)
                    each = itertools.product(strengths, range(grid.seeds))
                    runs += [Run(beta=beta, seed=seed, **cell) for beta, seed in each]
                    members = settings.proxy.members if cell["proxies"] else members
        proxies += members * grid.seeds
        if proxies > PROXY_LIMIT:
            raise ConfigError(
                f"[sweep]: the grid needs more than {PROXY_LIMIT:,} proxies; lower proxy.members, sweep.seeds or the "
                "number of values of further axes"
            )
    return runs


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
    own: dict[tuple[Any, ...], tuple[Objective, Own]] = {}
    for run, _ in cells(runs):
        if run.objective and run.kappa is None:  # or else it starts by pushing margins up
            numbers = run.settings.objective.own(run.objective.table)
            own[run.loss, *numbers.items()] = run.objective, numbers
    said = [caution(*pair) for pair in own.values()]
    return list(dict.fromkeys(filter(None, [*said, *cautions_of_training(runs), *unread(sweep, runs)])))


def unread(sweep: Sweep, runs: Sequence[Run]) -> list[str]:
    """A sentence on each key that was set, that is, differs from its default, and that no run reads."""
    some = [run for run, _ in cells(runs)]
    read = {name.removeprefix(".") for run in some for name, _ in flatten("", tables_read(method_of(run), run))}
    told_of = read | {name for run in some for name in method_of(run).told}
    default, axes, said = flat_settings(Settings()), sweep.sweep.axes, []
    for key, value in flat_settings(sweep.settings_at({})).items():
        if key not in read and key not in axes and value != default[key]:
            said.append(f"{key} = {shown(value)}: no run of this sweep reads it{needs(key)}")
    for key, values in axes.items():
        if len(values) > 1 and not any(name == key or name.startswith(f"{key}.") for name in told_of):
            said.append(f"sweep.{key}: no run of this sweep reads it, so it is dropped{needs(key)}")
    objectives = [run.objective for run in some if run.objective]
    reads = {
        "loss": bool(objectives),
        "beta": any(objective.has_beta for objective in objectives),
        "penalty": any(run.method == "rl" for run in some),
    }
    usual = type(sweep.sweep)()
    unread_here = [key for key, is_read in reads.items() if not is_read]
    for key in unread_here:
        if getattr(sweep.sweep, key) != getattr(usual, key):
            said.append(f"sweep.{key}: no run of this sweep reads it{needs(f'sweep.{key}')}")
    return said


def cells(runs: Sequence[Run]) -> list[tuple[Run, int]]:
    """One run of each kind that differs in nothing but beta and seed, and how many runs there are of the kind."""
    keys = [(id(run.settings), run.method, run.loss) for run in runs]
    some = dict(zip(keys, runs, strict=True))
    return [(some[key], count) for key, count in Counter(keys).items()]


def _cells_at(
    name: str,
    at: Mapping[str, Any],
    settings: Settings,
    choices: Choices,
    kappas: dict[tuple[Any, ...], float | None],
) -> Iterator[tuple[dict[str, Any], list[float | None]]]:
    """All that runs of one method at one point are but their beta and seed, and the betas of each. Raises ConfigError.

    kappas: those that are known already, by the objective and its parameters.
    """
    method = METHODS[name]
    for objective, some in itertools.groupby(method.strengths(choices), key=lambda strength: strength[0]):
        point = Point(settings=settings, objective=objective)
        proxies = method.proxies(point)
        try:
            method.check(point)
            if proxies:
                check_proxies(settings)
        except ValueError as error:
            where = ", ".join(filter(None, [f'method = "{name}"', told(at)]))
            raise ConfigError(f"{error} (in [sweep], at {where})") from None
        tables = tables_read(method, point)
        axes = {key: value for key, value in at.items() if _has(tables, key) or key in method.told}
        alone = objective.name if objective and is_own(objective.name) else ""  # what it raises is its own affair
        alike = [name, alone, proxies, method.responses(point), leave_out(tables, method.per_row(point))]
        cell = {
            "method": name,
            "objective": objective,
            "loss": objective.name if objective else None,
            "kappa": _kappa(objective, settings, kappas) if objective else None,
            "axes": axes,
            "settings": settings,
            "proxies": proxies,
            "name": digest([tables, objective.code] if objective and objective.code else tables),
            "shared": digest(alike),
            "steps": method.steps(point),
        }
        yield cell, [beta for _, beta in some]


def tables_read(method: Method, cell: Cell) -> dict[str, Any]:
    """The tables that a method reads of the settings of a cell, without the keys that say nothing there."""
    return leave_out(read_tables(cell.settings, method.reads(cell)), method.ignores(cell))


def _kappa(objective: Objective, settings: Settings, known: dict[tuple[Any, ...], float | None]) -> float | None:
    own = settings.objective.own(objective.table)
    key = objective.name, *own.items()
    if key not in known:
        known[key] = objective.kappa(own)
    return known[key]


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


def check_computing(runs: Sequence[Run], device: torch.device) -> None:
    """Raises ConfigError where passes are to be computed in a way that this machine does not have."""
    for settings in {id(run.settings): run.settings for run in runs}.values():
        train = settings.train
        try:
            computing_on(train.precision, train.compile, train.steps, device)
        except ValueError as error:
            raise ConfigError(str(error)) from None


def method_of(run: Run) -> Method:
    """The method of a run."""
    return METHODS[run.method]


def step_floats(layers: int, width: int, heads: int, places: int, length: int) -> int:
    """Numbers that one training step keeps, for so many places of sequences of about `length`."""
    return places * layers * (16 * width + 3 * heads * 2 * length)


def best_size(floats: int) -> int:
    """How many train together best on a CPU, each with so many activations in a training step; at most STACK_LIMIT.

    The cost of calling operations is shared by all, R, of a stack, and that of fetching activations, F of each, from
    beyond a core's own cache grows with R F. The sum of c / R and b R F is least at the square root of c / (b F), and
    BALANCE is c / b as measured at four sizes, from 50 thousand to 7 million activations.
    """
    return max(1, min(STACK_LIMIT, round(math.sqrt(BALANCE / max(floats, 1)))))


def stack_size(run: Run) -> int:
    """How many runs like this train together best."""
    policy, (_, places) = run.settings.policy, method_of(run).network(run)
    return best_size(step_floats(policy.layers, policy.width, policy.heads, places, run.settings.world.response_length))


def proxy_stack_size(settings: Settings) -> int:
    """How many proxies of these settings train together best."""
    world, proxy = settings.world, settings.proxy
    places = proxy.batch * (world.prompt_length + 2 * world.response_length)
    return best_size(step_floats(proxy.layers, proxy.width, proxy.heads, places, world.response_length))


def stacks(runs: Sequence[Run], sizes: Mapping[str, int]) -> list[tuple[Run, ...]]:
    """The runs cut into stacks of at most the size that `sizes` has for what they share.

    Within a stack the runs of one objective are neighbours. Stacks of one world follow each other, long ones first, so
    that no process is left with one of them at the end.
    """
    kinds = {(id(run.settings), run.loss): apart(run) for run, _ in cells(runs)}
    found = cut(sorted(runs, key=lambda run: kinds[id(run.settings), run.loss]), sizes)
    worlds = {id(settings): name for settings, name in world_names(runs)}
    place = {name: i for i, name in enumerate(dict.fromkeys(worlds[id(stack[0].settings)] for stack in found))}
    return sorted(found, key=lambda stack: (place[worlds[id(stack[0].settings)]], -work(stack)))


def with_proxies(runs: Iterable[Run]) -> list[Run]:
    """One run for each settings and seed that need proxies: those of all others are the same."""
    return list({(id(run.settings), run.seed): run for run in runs if run.proxies}.values())


def world_names(runs: Iterable[Run]) -> list[tuple[Settings, str]]:
    """The settings of some runs, each object once, with the name of its world."""
    found: list[tuple[Settings, str]] = []
    last, name = None, ""
    for settings in {id(run.settings): run.settings for run in runs}.values():
        made_of = [getattr(settings, table) for table in MADE_OF]
        if made_of != last:  # neighbours often have one world, and comparing is faster than naming
            last, name = made_of, world_name(settings)
        found.append((settings, name))
    return found


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
    each = ((run.steps * method.passes(run) * method.network(run)[1], count) for run, count in cells(stack))
    return sum(count * max(1.0, tokens) for tokens, count in each)


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
