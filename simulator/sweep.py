"""A whole sweep, from its settings to the tables in its folder.

    config -> world -> preference data -> trained runs -> measured checkpoints -> records

The grid becomes stacks; what a stack goes through is told in `experiment.run_stack`. Stacks are independent,
so on a CPU they are handed to worker processes of one thread each, and which worker ran which stack cannot
be seen in the result.
"""

import os
import threading
import traceback
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from simulator.complaints import ConfigError
from simulator.config import Sweep
from simulator.grid import Run, axis_column, expand, points, stacks
from simulator.losses import sample_losses
from simulator.memory import arrange, budget_of
from simulator.pool import run_in_workers
from simulator.records import Folder, examine_folder, join, open_folder, tidy, write_json, write_table
from simulator.text import with_texts
from simulator.worker import finish_stack, one_thread, world_in
from simulator.world import MADE_OF, World, world_name

Watch = Callable[[int, int, bool], None]


class SweepError(RuntimeError):
    """Some stacks could not be run; the text says which and why, and all others are kept."""


def choose_device(name: str) -> torch.device:
    """The device that "auto", "cpu" or "cuda" names. Raises ConfigError where there is none such."""
    if name not in ("auto", "cpu", "cuda"):
        raise ConfigError(f"--device {name}: must be one of auto, cpu, cuda")
    available = torch.cuda.is_available()
    if name == "cuda" and not available:
        raise ConfigError("--device cuda: torch finds no CUDA device here; use cpu or auto")
    return torch.device("cuda" if available and name != "cpu" else "cpu")


def processes_on(device: str, workers: int | None) -> int:
    """How many processes train: as asked, or one for each core of a CPU, one on a GPU. Raises ConfigError."""
    if workers is not None and workers < 1:
        raise ConfigError(f"--workers {workers}: must be at least 1")
    if choose_device(device).type == "cuda":
        return 1
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return workers or cores


def examine_worlds(sweep: Sweep, device: torch.device) -> tuple[pd.DataFrame, list[dict[str, Any]], dict[str, World]]:
    """The records of the oracles of all worlds of a sweep, the facts of each, and the last of them by its name.

    Raises ConfigError.
    """
    worlds: dict[str, World] = {}
    oracles: dict[str, pd.DataFrame] = {}
    facts = []
    for point in points(sweep):
        name = world_name(point.settings)
        if name in oracles:
            continue
        world = world_in(worlds, sweep, point.settings, device)
        axes = {axis_column(key): value for key, value in point.axes.items() if key.split(".")[0] in MADE_OF}
        oracles[name] = world.oracle(name).assign(**axes)
        facts.append({"name": name, **axes, **world.facts})
    return pd.concat(oracles.values(), ignore_index=True), facts, worlds


def run_sweep(
    sweep: Sweep,
    out: str | Path,
    *,
    device: str = "auto",
    workers: int | None = None,
    memory: str | None = None,
    fresh: bool = False,
    watch: Watch = lambda run_steps, runs, worked: None,
) -> Path:
    """Run a sweep, or what is missing of it, and return its folder, `out`.

    device: "auto", "cpu" or "cuda". workers: processes on a CPU, by default one for each core. memory: what all
    processes together may take, such as "2GiB"; on a GPU, of its memory; by default half of what is free. fresh: remove
    what the folder holds. `watch(run_steps, runs, worked)` is told how many steps, summed over runs, and how many
    runs are done in addition, and whether by work or found in the folder. Raises ConfigError if the sweep or the
    folder is wrong, before any work, and SweepError if stacks failed.
    """
    runs = expand(sweep)
    sweep = with_texts(sweep, [run.settings.world.language.text for run in runs])
    chosen, processes = choose_device(device), processes_on(device, workers)
    if examine_folder(Path(out), sweep, fresh=fresh):
        watch(sum(run.settings.train.steps for run in runs), len(runs), False)
        return Path(out)
    arrangement = arrange(runs, processes=processes, **budget_of(memory, chosen))
    watch(0, 0, False)
    with one_thread():
        oracle, facts, worlds = examine_worlds(sweep, chosen)
        folder = open_folder(Path(out), sweep, fresh=fresh)
        write_json(facts[0] if len(facts) == 1 else {"worlds": facts}, folder.world)
        write_table(pd.DataFrame(sample_losses(sweep.sweep.loss)), folder.losses)
        if folder.complete:
            return folder.path
        folder.oracle.parent.mkdir(exist_ok=True)
        write_table(tidy(oracle), folder.oracle)
        there = folder.finished_runs()
        found = [run for run in runs if run.run_id in there]
        watch(sum(run.settings.train.steps for run in found), len(found), False)
        cut = stacks([run for run in runs if run.run_id not in there], arrangement.sizes)
        failed = run_stacks(cut, runs, sweep, worlds, folder, chosen, arrangement.processes, watch)
    if failed:
        raise SweepError(
            f"{len(failed)} of {len(cut)} stacks failed; the others are kept in {folder.path}, and the same "
            "command runs what is missing\n" + "\n".join(f"stack {i}: {why.strip()}" for i, why in failed.items())
        )
    join(folder, runs)
    return folder.path


def run_stacks(
    cut: Sequence[tuple[Run, ...]],
    runs: Sequence[Run],
    sweep: Sweep,
    worlds: dict[str, World],
    folder: Folder,
    device: torch.device,
    processes: int,
    watch: Watch,
) -> dict[int, str]:
    """Run stacks of the grid `runs` of `sweep`; the reasons of those that failed. worlds: may hold the first's."""
    lock = threading.Lock()
    left = [stack[0].settings.train.steps for stack in cut]

    def tick(number: int, steps: int) -> None:
        stack = cut[number]
        left[number] -= steps
        with lock:
            watch(steps * len(stack), 0 if left[number] else len(stack), True)

    processes = min(processes, len(cut))
    if processes > 1:
        worlds.clear()
        place = {run.run_id: i for i, run in enumerate(runs)}
        return run_in_workers(folder, [[place[run.run_id] for run in stack] for stack in cut], processes, tick)
    failed = {}
    for number, stack in enumerate(cut):
        try:
            world = world_in(worlds, sweep, stack[0].settings, device)
            finish_stack(stack, world, folder, device, partial(tick, number))
        except Exception:
            failed[number] = traceback.format_exc()
    return failed
