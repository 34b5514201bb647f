"""From a sweep to its runs, and from runs to the stacks that train together.

Runs that share everything but what a stack holds per row (loss, beta, seed, learning rate, clipping, labels; proxies,
where a method looks their scores up) can train as one program; they are cut into stacks of bounded size. The order of
the runs follows from the sweep alone; how they are cut may depend on the machine, since what comes of a run does not
depend on the cut.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from simulator.common.errors import ConfigError
from simulator.common.identity import digest, leave_out
from simulator.methods import METHODS
from simulator.methods.method import Choices, Method
from simulator.networks.compute_mode import computing_on
from simulator.objectives import OBJECTIVES
from simulator.objectives.objective import Objective
from simulator.objectives.own_loss import is_own, own_loss
from simulator.proxies.reward_model import held_out
from simulator.settings.config_errors import told
from simulator.settings.relevant_keys import read_tables
from simulator.settings.run import Cell, Run
from simulator.settings.tables import Settings
from simulator.sweeps.sweep import Sweep

PROXY_LIMIT = 5_000


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
