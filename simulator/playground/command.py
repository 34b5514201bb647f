"""What the command `playground` needs of the simulator: the world of a sweep, and how Python trains in it."""

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import torch

from simulator.api.make_world import make_world
from simulator.api.world import World
from simulator.common.errors import ConfigError
from simulator.objectives import OBJECTIVES
from simulator.objectives.local_shape import local_shape
from simulator.objectives.loss_table import defaults
from simulator.objectives.losses.gpo import LOSSES
from simulator.objectives.mixtures import objective_called
from simulator.objectives.objective import Objective
from simulator.playground.recorded import Questions, no_runs, python_runs, recorded_runs
from simulator.playground.server import Playground, address_of, new_token, open_server
from simulator.playground.wasm.build import built_file
from simulator.playground.world_data import check_room, check_world, packed_text, world_data, world_tables
from simulator.sweeps.grid import read_sweep
from simulator.sweeps.sweep import Sweep

LEAST, MOST, COUNT = -4.0, 6.0, 21  # z at which the page has values of a loss


def open_sweep(path: Path, overrides: Sequence[str], *, served: bool, out: Path) -> tuple[Sweep, World]:
    """The sweep and its world. Raises ConfigError where the playground cannot take it, or write to `out`."""
    if not served:
        check_target(out)
    sweep = read_sweep(path, overrides)
    check_world(sweep.settings_at({}), served=served)
    world = make_world(sweep)
    check_world(world.settings, served=served)
    if not served:
        check_room(world_tables(world))
    return sweep, world


def check_target(out: Path) -> None:
    """Raises ConfigError where no file can be written to `out`."""
    if out.is_dir():
        raise ConfigError(f"--out {out}: is a folder; name a file, such as {out / 'playground.html'}")
    if out.exists() and not out.is_file():
        raise ConfigError(f"--out {out}: is no ordinary file; name one, such as playground.html")
    above = next((folder for folder in out.parents if folder.exists()), out)
    if not above.is_dir():
        raise ConfigError(f"--out {out}: {above} is a file, and no folder")
    if not os.access(above, os.W_OK):
        raise ConfigError(f"--out {out}: {above} may not be written to")


def losses_to_choose(sweep: Sweep, *, served: bool) -> list[dict[str, Any]]:
    """The losses of the page: GPO's six; with Python behind it, those of the sweep first, and every other on pairs."""
    if not served:
        return [described(OBJECTIVES[name]) for name in LOSSES]
    names = [*sweep.sweep.loss, *LOSSES, *OBJECTIVES]
    return [described(one) for name in dict.fromkeys(names) if is_on_pairs(one := called(name, sweep))]


def called(name: str, sweep: Sweep) -> Objective:
    """The objective of this name in the sweep. Raises ConfigError."""
    return objective_called(name, sweep.base_folder, "sweep.loss = ")


def is_on_pairs(objective: Objective) -> bool:
    """Whether it needs two responses and no more: no ranking, and no reward beside the labels."""
    return not objective.ranked and not objective.scored


def described(objective: Objective) -> dict[str, Any]:
    """An objective as the page shows it: its name and formula, and f where it is a function of z."""
    found: dict[str, Any] = {"name": objective.name, "formula": objective.formula}
    if objective.f is not None:
        f = partial(objective.f, **defaults(objective))
        shape = local_shape(f)
        values = f(torch.linspace(LEAST, MOST, COUNT, dtype=torch.float64))
        found |= {"slope": shape.slope, "curvature": shape.curvature, "values": values.tolist()}
    return found


def page_parts(
    sweep: Sweep, world: World, questions: Questions, seeds: int, say: Callable[[str], None], *, served: bool
) -> tuple[tuple[dict[str, Any], list[dict[str, Any]], dict[str, Any]], str]:
    """What the page knows of the world, the losses and how Python trained; and the hash of the code that trained.

    questions: those of each lesson, which Python answers over so many seeds, unless it is behind the page to be asked.
    """
    losses = losses_to_choose(sweep, served=served)
    runs = recorded_runs(sweep, questions, seeds) or (no_runs(questions) if served else None)
    runs = runs or python_runs(world, sweep, questions, seeds, say)
    handles = torch.nn.functional.softplus(-torch.arange(LEAST, MOST + 1, dtype=torch.float64)).tolist()
    python: dict[str, Any] = {**runs, "betas": list(sweep.sweep.beta), "handles": handles}
    return (world_data(world) | {"tables": tables_of(sweep)}, losses, python), runs["results_source"]


def engine_and_tables(world: World) -> tuple[str, str]:
    """What a page needs that trains by itself, packed: the engine as WebAssembly, and the world's tables."""
    return packed_text(built_file()), packed_text(world_tables(world))


def serve_page(
    sweep: Sweep, world: World, page_with: Callable[[str], str], port: int, say: Callable[[str], None]
) -> None:
    """Serve a page on the loopback until Ctrl-C; page_with: the page that has a token. Raises ConfigError."""
    token = new_token()
    losses = frozenset(loss["name"] for loss in losses_to_choose(sweep, served=True))
    behind = Playground(sweep=sweep, page=page_with(token), token=token, losses=losses)
    behind.worlds[world.settings.gold.fluency] = world
    with open_server(behind, port) as server:
        say(f"playground at {address_of(server, token)}")
        say("Ctrl-C ends it")
        with suppress(KeyboardInterrupt):
            server.serve_forever()


def tables_of(sweep: Sweep) -> Mapping[str, Any]:
    """The tables of the sweep's file but for the grid, without what is as by default."""
    return sweep.model_dump(mode="json", exclude={"sweep", "keep", "texts", "code"}, exclude_defaults=True)
