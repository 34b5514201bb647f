"""From a sweep to its runs, in an order that follows from the sweep alone."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gold_rewards import KINDS
from simulator.common.errors import ConfigError
from simulator.common.identity import digest, leave_out
from simulator.engine.computing import computing_of, engine_of
from simulator.methods import METHODS
from simulator.methods.method import Choices, Reads
from simulator.native import library
from simulator.objectives.mixtures import objective_called
from simulator.objectives.objective import Objective
from simulator.own_rewards.source import is_own_reward
from simulator.proxies.reward_model import check_error, held_out
from simulator.settings.config_errors import assignments
from simulator.settings.relevant_keys import NAMELESS, read_tables
from simulator.settings.run import GridCell, Run
from simulator.settings.tables import Settings
from simulator.sweeps.sweep import Sweep
from simulator.user_code.loading import is_own

if TYPE_CHECKING:
    import torch

PROXY_LIMIT = 5_000
SURE = 50_000  # runs that any machine has room for
RUN_BYTES = 1024  # that a run takes before it is run; benchmarks/cluster.py measures it


@dataclass(frozen=True, kw_only=True)
class Point:
    """What decides which settings a run reads: a Cell."""

    settings: Settings
    objective: Objective | None


def read_sweep(file: str | Path, overrides: Sequence[str] = ()) -> Sweep:
    """The sweep of a file, or of this name that ships, all of whose grid is right; see `Sweep.from_toml`.

    Nothing heavy is imported before an error. Raises ConfigError.
    """
    sweep = Sweep.from_toml(file, overrides)
    expand(sweep)
    return sweep


def expand(sweep: Sweep) -> list[Run]:
    """All runs of a sweep, in the order of its grid. Raises ConfigError.

    A run that some axis makes no difference to is there once, without that axis; so is one that no seed has part in.
    Kappas are computed when the whole grid is found right, since they need torch.
    """
    check_room(sweep.sweep.runs, RUN_BYTES, "its list of runs takes")
    cells = list(cells_of(sweep))
    kappas: dict[tuple[Any, ...], float | None] = {}
    return [run for cell in cells for run in cell.runs(sweep.sweep.seed_values, kappa_of(cell, kappas))]


def check_room(runs: int, each: int, what: str) -> None:
    """Raises ConfigError where so many runs, of so many bytes each, do not fit into the memory that is free."""
    if runs <= SURE:
        return
    import psutil

    free = psutil.virtual_memory().available
    if runs * each > free:
        raise ConfigError(
            f"[sweep]: the grid has {runs:,} runs; {what} about {runs * each / 2**30:,.1f} GiB, and "
            f"{free / 2**30:,.1f} GiB are free here; run it in parts, such as --part 1/8, or make it smaller"
        )


def cells_of(sweep: Sweep) -> Iterator[GridCell]:
    """Every cell of the grid that differs from those before it. Raises ConfigError."""
    grid = sweep.sweep
    pairwise = any(METHODS[name].pairwise for name in grid.method)
    losses = [objective_called(name, sweep.base_folder, "sweep.loss = ") for name in grid.loss] if pairwise else []
    choices = Choices(loss=losses, beta=grid.beta, penalty=grid.penalty)
    seen: set[tuple[str, str | None, str]] = set()
    proxies = 0
    for values in itertools.product(*grid.axes.values()):
        at = dict(zip(grid.axes, values, strict=True))
        settings = sweep.settings_at(at)
        try_gold(settings)
        try_features(settings)
        members = 0
        for name in grid.method:
            for cell in cells_at(name, at, settings, choices):
                place = name, cell.loss, cell.settings_digest
                if place not in seen:
                    seen.add(place)
                    yield cell
                    members = settings.proxy.members if cell.proxies else members
        proxies += members * len(grid.seed_values)
        if proxies > PROXY_LIMIT:
            raise ConfigError(
                f"[sweep]: the grid needs more than {PROXY_LIMIT:,} proxies; lower proxy.members, sweep.seeds or the "
                "number of values of further axes"
            )


def try_gold(settings: Settings) -> None:
    """Raises ConfigError where gold is the user's own, or needs what is not there, and will not do."""
    if is_own_reward(settings.gold.reward) or KINDS[settings.gold.reward].of_text:
        from simulator.worlds.components import content_of

        content_of(settings.spec)


def try_features(settings: Settings) -> None:
    """Raises ConfigError where features of linear policies are the user's own and will not do."""
    if settings.policy.kind == "linear" and is_own(settings.policy.features):
        from simulator.worlds.policy_classes.sizes import features_of

        features_of(settings.spec)


def without_idle_replay(settings: Settings) -> Settings:
    """The settings, with online.replay "none" where there are no rounds to replay: such a run is an offline one."""
    online = settings.online
    if online.replay == "none" or online.rounds(settings.train.steps) > 0:
        return settings
    offline = settings.model_copy(update={"online": online.model_copy(update={"replay": "none"})})
    return offline.found_in(settings.source)


def cells_at(name: str, at: Mapping[str, Any], settings: Settings, choices: Choices) -> Iterator[GridCell]:
    """The cells of one method at one point of the further axes. Raises ConfigError."""
    method, settings = METHODS[name], without_idle_replay(settings)
    for objective, strengths in itertools.groupby(method.grid(choices), key=lambda strength: strength[0]):
        point = Point(settings=settings, objective=objective)
        try:
            reads = method.reads(point)
            if reads.proxies:
                check_proxies(settings)
        except ValueError as error:
            where = ", ".join(filter(None, [f'method = "{name}"', assignments(at)]))
            raise ConfigError(f"{error} (in [sweep], at {where})") from None
        tables, footprint = tables_read(settings, reads), method.footprint(point)
        reported = (*reads.always_report, *(key for key in NAMELESS if key.split(".")[0] in tables))
        alone = objective.name if objective and is_own(objective.name) else ""  # what it raises is its own affair
        alike = [name, alone, reads.proxies, footprint.responses, leave_out(tables, reads.per_row)]
        yield GridCell(
            method=name,
            objective=objective,
            axes={key: value for key, value in at.items() if _has(tables, key) or key in reported},
            settings=settings,
            proxies=reads.proxies,
            settings_digest=digest([tables, objective.code] if objective and objective.code else tables),
            stack_key=digest(alike),
            steps=footprint.steps,
            betas=tuple(beta for _, beta in strengths),
        )


def tables_read(settings: Settings, reads: Reads) -> dict[str, Any]:
    """The tables of the settings that a method reads, without the keys that say nothing there."""
    return leave_out(read_tables(settings, reads.tables), reads.ignores)


def kappa_of(cell: GridCell, known: dict[tuple[Any, ...], float | None]) -> float | None:
    """kappa of the objective of a cell, None where it has none; known: by the objective and its parameters."""
    if cell.objective is None:
        return None
    own = cell.settings.objective.of(cell.objective)
    key = cell.objective.name, *own.items()
    if key not in known:
        known[key] = cell.objective.kappa(own)
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
    """Raises ValueError where proxies have no pair to learn from, an error cannot be planted, or members cannot be
    compared everywhere.
    """
    if settings.proxy.planted:
        check_error(settings)
    else:
        held_out(settings)
    sampled, some = not settings.spec.lists_responses, settings.measured_prompts < settings.world.prompts
    if settings.proxy.members > 1 and settings.proxy.combine != "mean" and sampled and some:
        raise ValueError(
            f'proxy.combine (="{settings.proxy.combine}") compares members after recentring them at each prompt, which '
            'needs measure.prompts = "all"'
        )


def engine_of_worlds() -> str:
    """What computes references, gold and proxies, which know no [train]."""
    return f"native ({library.instructions()})" if library.in_use() else "torch"


def engines_used(runs: Sequence[Run], device: torch.device) -> str:
    """What computes the passes of a sweep, for people; with why it is torch, where nobody asked for that.

    Raises ConfigError where they cannot be computed as a run asks.
    """
    check_computing(runs, device)
    settings = {id(run.settings): run.settings for run in runs}.values()
    names = sorted({engine_of(each, device) for each in settings})
    missing = (
        library.find().why if device.type == "cpu" and any(each.train.engine == "auto" for each in settings) else ""
    )
    return " and ".join(names) + (f" (the compiled engine is not there: {missing})" if missing else "")


def check_computing(runs: Sequence[Run], device: torch.device) -> None:
    """Raises ConfigError where passes are to be computed in a way that this machine does not have."""
    for settings in {id(run.settings): run.settings for run in runs}.values():
        try:
            computing_of(settings, device)
        except ValueError as error:
            raise ConfigError(str(error)) from None
