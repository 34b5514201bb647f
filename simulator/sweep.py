"""A whole sweep, from its settings to the tables in its folder.

    config -> world -> preference data -> trained runs -> measured checkpoints -> records

The grid becomes stacks; what a stack goes through is told in `experiment.run_stack`. The proxies that runs need are
trained first. Stacks are independent, so on a CPU they are handed to worker processes of one thread each, and which
worker ran which stack cannot be seen in the result.
"""

import os
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from simulator.complaints import ConfigError
from simulator.config import Sweep, with_hashes
from simulator.grid import cautions, expand, proxy_stacks, stacks
from simulator.losses import Loss, sample_losses
from simulator.memory import arrange, budget_of
from simulator.own_loss import find, is_own
from simulator.pool import Hand, Job, workers_on
from simulator.proxies import Member, needed
from simulator.proxy_files import join_proxies
from simulator.records import Folder, examine_folder, join, open_folder, tidy, write_json, write_table
from simulator.runs import Run, axis_column
from simulator.worker import finish_proxies, finish_stack, one_thread, reason, world_in
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


def examine_worlds(
    sweep: Sweep, runs: Sequence[Run], device: torch.device
) -> tuple[pd.DataFrame, list[dict[str, Any]], dict[str, World]]:
    """The records of the oracles of all worlds of the runs, the facts of each, and the last of them by its name.

    Raises ConfigError.
    """
    worlds: dict[str, World] = {}
    oracles: dict[str, pd.DataFrame] = {}
    facts = []
    for run in {id(run.settings): run for run in runs}.values():
        name = world_name(run.settings)
        if name in oracles:
            continue
        world = world_in(worlds, sweep, run.settings, device)
        axes = {axis_column(key): value for key, value in run.axes.items() if key.split(".")[0] in MADE_OF}
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
    members = needed(runs)
    sweep = with_hashes(sweep, [run.settings.world.language.text for run in runs])
    chosen, processes = choose_device(device), processes_on(device, workers)
    steps = sum(run.steps for run in runs) + sum(member.steps for member in members)
    keep_apart(sweep, Path(out))
    if examine_folder(Path(out), sweep, fresh=fresh):
        watch(steps, len(runs), False)
        return Path(out)
    arrangement = arrange(runs, processes=processes, **budget_of(memory, chosen))
    watch(0, 0, False)
    for told in cautions(sweep, runs):
        warnings.warn(told, UserWarning, stacklevel=2)
    with one_thread():
        oracle, facts, worlds = examine_worlds(sweep, runs, chosen)
        folder = open_folder(Path(out), sweep, fresh=fresh)
        write_json(facts[0] if len(facts) == 1 else {"worlds": facts}, folder.world)
        write_table(pd.DataFrame(sample_losses(functions_of(runs))), folder.losses)
        if folder.complete:
            return folder.path
        folder.oracle.parent.mkdir(exist_ok=True)
        write_table(tidy(oracle), folder.oracle)
        done, trained = folder.finished_runs(), folder.trained_proxies()
        found = [run for run in runs if run.run_id not in done]
        left = [member for member in members if member.name not in trained]
        spared = steps - sum(run.steps for run in found) - sum(member.steps for member in left)
        watch(spared, len(runs) - len(found), False)
        work = Work(runs=stacks(found, arrangement.sizes), proxies=proxy_stacks(left, arrangement.sizes), watch=watch)
        most = max(len(work.runs), len(work.proxies), 1)
        with handing(folder, sweep, runs, members, worlds, chosen, min(arrangement.processes, most)) as hand:
            work.do(hand, folder, runs, members)
    join(folder, runs)
    return folder.path


def keep_apart(sweep: Sweep, out: Path) -> None:
    """Raises ConfigError where code of the user's own lies where records would go: it would not be loaded again."""
    for name in filter(is_own, sweep.sweep.loss):
        if out.resolve() in find(name, sweep.beside).parents:
            raise ConfigError(f"--out {out}: holds the code of sweep.loss = {name}; choose another --out")


def functions_of(runs: Sequence[Run]) -> dict[str, Loss]:
    """The losses of some runs that are functions of beta rho, at the parameters of the first of each."""
    first = {run.loss: run for run in reversed(runs) if run.loss and run.objective and run.objective.f}
    functions: dict[str, Loss] = {}
    for name in dict.fromkeys(run.loss for run in runs if run.loss in first):
        run = first[name]
        assert run.objective is not None
        assert run.objective.f is not None
        functions[str(name)] = partial(run.objective.f, **run.settings.objective.own(run.objective.table))
    return functions


@dataclass(frozen=True, kw_only=True)
class Work:
    """What is to be done: stacks of proxies, and then stacks of runs."""

    runs: Sequence[tuple[Run, ...]]
    proxies: Sequence[tuple[Member, ...]]
    watch: Watch

    def do(self, hand: Hand, folder: Folder, runs: Sequence[Run], members: Sequence[Member]) -> None:
        """Have it done by those who `hand` gives it to. Raises SweepError where something could not be."""
        place = {member.name: i for i, member in enumerate(members)}
        jobs = [{"proxies": [place[member.name] for member in stack]} for stack in self.proxies]
        failed = hand(jobs, self._ticking([(stack[0].steps, len(stack), 0) for stack in self.proxies]))
        complain_of(failed, len(jobs), "stacks of proxies", folder)
        if members:
            join_proxies(folder, members)
        place = {run.run_id: i for i, run in enumerate(runs)}
        jobs = [{"runs": [place[run.run_id] for run in stack]} for stack in self.runs]
        failed = hand(jobs, self._ticking([(stack[0].steps, len(stack), len(stack)) for stack in self.runs]))
        complain_of(failed, len(jobs), "stacks", folder)

    def _ticking(self, sizes: Sequence[tuple[int, int, int]]) -> Callable[[int, int], None]:
        """Tells the watch of steps taken in jobs of so many steps and rows, each counting as so many runs when done."""
        lock, left = threading.Lock(), [steps for steps, _, _ in sizes]

        def tick(job: int, steps: int) -> None:
            left[job] -= steps
            with lock:
                self.watch(steps * sizes[job][1], 0 if left[job] else sizes[job][2], True)

        return tick


def complain_of(failed: dict[int, str], jobs: int, what: str, folder: Folder) -> None:
    """Raises SweepError if there is something to complain of."""
    if failed:
        raise SweepError(
            f"{len(failed)} of {jobs} {what} failed; the others are kept in {folder.path}, and the same "
            "command runs what is missing\n" + "\n".join(f"stack {i}: {why.strip()}" for i, why in failed.items())
        )


@contextmanager
def handing(
    folder: Folder,
    sweep: Sweep,
    runs: Sequence[Run],
    members: Sequence[Member],
    worlds: dict[str, World],
    device: torch.device,
    processes: int,
) -> Iterator[Hand]:
    """Hands jobs to worker processes, or does them here where one is enough. worlds: may hold the first's."""
    if processes > 1:
        worlds.clear()
        with workers_on(folder, processes, sweep.beside) as hand:
            yield hand
        return

    def do(job: Job, tick: Callable[[int], None]) -> None:
        if "proxies" in job:
            some = [members[place] for place in job["proxies"]]
            finish_proxies(some, world_in(worlds, sweep, some[0].settings, device), folder, tick)
        else:
            stack = [runs[place] for place in job["runs"]]
            finish_stack(stack, world_in(worlds, sweep, stack[0].settings, device), folder, device, tick)

    def here(jobs: Sequence[Job], tick: Callable[[int, int], None]) -> dict[int, str]:
        failed = {}
        for number, job in enumerate(jobs):
            try:
                do(job, partial(tick, number))
            except Exception as error:
                failed[number] = reason(error)
        return failed

    yield here
