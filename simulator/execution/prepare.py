"""What a sweep writes before any run is trained: its worlds, its code, its losses."""

import json
import warnings
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from simulator.common.atomic_files import keep_aside, make_folder, write_atomically
from simulator.common.errors import ConfigError
from simulator.execution.jobs.stack_job import cached_world
from simulator.methods import METHODS
from simulator.objectives.local_shape import Loss, sample_losses
from simulator.preferences.pairs_file import check_pairs_file
from simulator.settings.relevant_keys import world_name
from simulator.settings.run import Run, axis_column
from simulator.settings.world_spec import WORLD_TABLES
from simulator.storage.layout import PARTIAL, ResultFolder, remove
from simulator.storage.origins import write_source
from simulator.storage.provenance import results_source
from simulator.storage.tables import describe_tables, write_json, write_table
from simulator.sweeps.cautions import uninformative_pairs
from simulator.sweeps.memory_budget import Arrangement
from simulator.sweeps.own_code import function_of, own_code
from simulator.sweeps.sweep import Sweep
from simulator.worlds.protocol import World


def examine_worlds(
    sweep: Sweep, runs: Sequence[Run], device: torch.device
) -> tuple[pd.DataFrame, list[dict[str, Any]], dict[str, World]]:
    """The records of the oracles of all worlds of the runs, the facts of each, and the last of them by its name.

    Raises ConfigError.
    """
    worlds: dict[str, World] = {}
    oracles: dict[str, pd.DataFrame] = {}
    facts = []
    alike: dict[str, list[Run]] = {}
    for run in {id(run.settings): run for run in runs}.values():
        alike.setdefault(world_name(run.settings), []).append(run)
    for name, (run, *others) in alike.items():
        world = cached_world(worlds, sweep, run.settings, device)
        for file, pairs in dict.fromkeys((one.settings.data.file, one.settings.data.pairs) for one in (run, *others)):
            warn(*(check_pairs_file(file, pairs, world) if file else ()))
        for text in dict.fromkeys(filter(None, (uninformative_pairs(world, one) for one in (run, *others)))):
            warn(text)
        axes = {axis_column(key): value for key, value in run.cell.axes.items() if key.split(".")[0] in WORLD_TABLES}
        oracles[name] = world.oracle(name).assign(**axes)
        facts.append({"name": name, **axes, **world.facts, "results_source": results_source()})
    return pd.concat(oracles.values(), ignore_index=True), facts, worlds


def write_start_files(
    folder: ResultFolder, sweep: Sweep, runs: Sequence[Run], facts: Sequence[Mapping[str, Any]]
) -> None:
    """Write what is known before any run is trained: the sweep, its code, its worlds and its losses.

    These files have no checksums while they are written. Raises StorageError.
    """
    for place in PARTIAL:
        remove(folder, [f"{place}.*.partial"])
    folder.start_checksums.unlink(missing_ok=True)
    ended = folder.checksums.exists()
    if not (ended and folder.config.exists()):
        write_atomically(folder.config, sweep.to_toml().encode())
    if not (ended and folder.source.exists()):
        write_source(folder)
    if not (ended and folder.world.exists() and folder.losses.exists()):
        write_json(facts[0] if len(facts) == 1 else {"worlds": facts}, folder.world)
        write_table(pd.DataFrame(sample_losses(loss_functions(runs))), folder.losses)
    if not (ended and folder.table_descriptions.exists()):
        write_json(describe_tables([method.card for method in METHODS.values()]), folder.table_descriptions)
    write_code(folder, sweep)
    make_folder(folder.parts)


def write_code(folder: ResultFolder, sweep: Sweep) -> None:
    """Keep a copy of the user's code that the sweep uses, for readers: it is never run from there.

    One that is there and is other code is set aside. Raises StorageError.
    """
    for code in own_code(sweep):
        function = function_of(code, sweep)
        if function is None:
            continue
        file = Path(code.name.rpartition(":")[0])
        inside = file.parent if not (file.is_absolute() or ".." in file.parts) else Path()
        for place, content in function.copies.items():
            path = folder.code / inside / place
            if path.exists() and path.read_bytes() == content:
                continue
            make_folder(path.parent, parents=True)
            if path.exists():
                keep_aside(path, "before")
            write_atomically(path, content)


def stack_sizes(folder: ResultFolder, arrangement: Arrangement) -> Mapping[str, int]:
    """How many runs are stacked: as when the sweep began, where memory still allows it, so that stacks are the same.

    Raises StorageError.
    """
    try:
        before = json.loads(folder.sizes.read_bytes())
        if all(0 < before[name] <= most for name, most in arrangement.most.items()):
            return {name: int(before[name]) for name in arrangement.most}
    except (OSError, ValueError, KeyError, TypeError):
        pass
    write_json(arrangement.sizes, folder.sizes)
    return arrangement.sizes


def check_code_is_elsewhere(sweep: Sweep, out: Path) -> None:
    """Raises ConfigError where code of the user's own lies where records would go: it would not be loaded again."""
    for code in own_code(sweep):
        function = function_of(code, sweep)
        if function is not None and out.resolve() in function.path.parents:
            raise ConfigError(f"--out {out}: holds the code of {code.key}{code.name}; choose another --out")


def loss_functions(runs: Sequence[Run]) -> dict[str, Loss]:
    """The losses of some runs that are functions of beta rho, at the parameters of the first of each."""
    first = {run.loss: run for run in reversed(runs) if run.loss and run.objective and run.objective.f}
    functions: dict[str, Loss] = {}
    for name in dict.fromkeys(run.loss for run in runs if run.loss in first):
        run = first[name]
        assert run.objective is not None
        assert run.objective.f is not None
        functions[str(name)] = partial(run.objective.f, **run.settings.objective.of(run.objective))
    return functions


def warn(*texts: str) -> None:
    """Warn the user."""
    for text in texts:
        warnings.warn(text, UserWarning, stacklevel=2)
