"""A whole sweep, from its settings to the tables in its folder.

    config -> world -> preference data -> trained runs -> measured checkpoints -> records

The grid becomes stacks; what a stack goes through is told in `experiment.run_stack`. The proxies that runs need are
trained first. Stacks are independent, so on a CPU they are handed to worker processes of one thread each, and which
worker ran which stack cannot be seen in the result.
"""

import json
import os
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from simulator.compatibility import clear, examine_folder
from simulator.complaints import SHOWN, ConfigError, shown
from simulator.config import Sweep, with_hashes
from simulator.files import StorageError, make_folder, set_aside, storing, write_whole
from simulator.finished import is_complete, join, join_proxies, mend, remove_parts, seal_start, seal_tables, survey
from simulator.folder import PARTIAL, Folder, remove
from simulator.grid import cautions, check_computing, expand, proxy_stacks, stacks, with_proxies
from simulator.in_flight import EVERY
from simulator.jobs import Job
from simulator.lock import holding, refuse_if_held
from simulator.losses import Loss, sample_losses
from simulator.memory import Arrangement, arrange, budget_of
from simulator.own_loss import find, is_own, own_loss
from simulator.pool import Failures, Hand, OutsideError, Watch, workers_on, working_here
from simulator.provenance import results_source
from simulator.proxies import Member, members_of, needed
from simulator.recorded import check_references, check_source, made, write_source
from simulator.records import tidy, write_json, write_table
from simulator.runs import Run, axis_column
from simulator.stacks import Desk, do, one_thread, world_in
from simulator.terminal import printable
from simulator.trainable import silent_pairs
from simulator.world import MADE_OF, World, world_name

MOST_WORKERS = 1_024


class SweepError(RuntimeError):
    """Some runs could not be finished; its lines say which and why, and all others are kept."""

    def __init__(self, *lines: str) -> None:
        super().__init__("\n".join(map(printable, lines)))


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
    if workers is not None and not 1 <= workers <= MOST_WORKERS:
        raise ConfigError(f"--workers {shown(workers)}: must be at least 1 and at most {MOST_WORKERS:,}")
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
    alike: dict[str, list[Run]] = {}
    for run in {id(run.settings): run for run in runs}.values():
        alike.setdefault(world_name(run.settings), []).append(run)
    for name, (run, *others) in alike.items():
        world = world_in(worlds, sweep, run.settings, device)
        for text in dict.fromkeys(filter(None, (silent_pairs(world, one) for one in (run, *others)))):
            warn(text)
        axes = {axis_column(key): value for key, value in run.axes.items() if key.split(".")[0] in MADE_OF}
        oracles[name] = world.oracle(name).assign(**axes)
        facts.append({"name": name, **axes, **world.facts, "results_source": results_source()})
    return pd.concat(oracles.values(), ignore_index=True), facts, worlds


def run_sweep(
    sweep: Sweep,
    out: str | Path,
    *,
    device: str = "auto",
    workers: int | None = None,
    memory: str | None = None,
    fresh: bool = False,
    accept_source: bool = False,
    watch: Watch = lambda run_steps, runs, worked: None,
    save_every: float = EVERY,
) -> Path:
    """Run a sweep, or what is missing of it, and return its folder, `out`.

    device: "auto", "cpu" or "cuda". workers: processes on a CPU, by default one for each core. memory: what all
    processes together may take, such as "2GiB"; on a GPU, of its memory; by default half of what is free. fresh: remove
    what the folder holds. accept_source: go on although the records were made by other code, which may give other
    numbers; `runs.parquet` then says which code made each run. `watch(run_steps, runs, worked)` is given how many
    steps, summed over runs, and how many runs are done in addition, and whether by work or found in the folder.
    save_every: seconds between two saved states of a stack in training. Raises ConfigError if the sweep or the folder
    is wrong or somebody else writes into it, before any work, and SweepError if some runs could not be finished, of
    which `runs.parquet` then says why, or if something from outside, such as a full disk, has ended the sweep.
    """
    runs = expand(sweep)
    members = needed(with_proxies(runs))
    sweep = with_hashes(sweep, [run.settings.world.language.text for run in runs])
    chosen, processes = choose_device(device), processes_on(device, workers)
    keep_apart(sweep, Path(out))
    ids = {run.run_id for run in runs}
    names = ids | {member.name for member in members}
    folder = examine_folder(Path(out), sweep, names, fresh=fresh)
    if not fresh and is_complete(folder, ids):
        watch(steps_of(runs) + steps_of(members), len(runs), False)
        return folder.path
    if not (fresh or accept_source):
        check_source(folder, made(folder))
    check_computing(runs, chosen)
    budget = budget_of(memory, chosen)
    arrangement = arrange(runs, processes=processes, **budget)
    watch(0, 0, False)
    refuse_if_held(folder)
    for told in cautions(sweep, runs):
        warn(told)
    with one_thread():
        oracle, facts, worlds = examine_worlds(sweep, runs, chosen)
        make_folder(folder.path, parents=True)
        with holding(folder, len(runs)), ending(folder):
            examine_folder(folder.path, sweep, names, fresh=fresh)  # nobody else was kept from writing until now
            if fresh:
                clear(folder)
            mend(folder, ids, warn)
            records = made(folder)
            if not accept_source:
                check_source(folder, records)
            check_references(folder, records, [*runs, *members], {fact["name"]: fact for fact in facts})
            begin(folder, sweep, runs, facts)
            if folder.seal.exists():
                seal_tables(folder, {})
                remove_parts(folder)
                watch(steps_of(runs) + steps_of(members), len(runs), False)
                return folder.path
            write_table(tidy(oracle), folder.oracle)
            sizes = kept_sizes(folder, arrangement)
            seal_start(folder)
            desk = Desk(
                folder=folder, sweep=sweep, runs=runs, members=members, device=chosen, every=save_every, worlds=worlds
            )
            failed = finish(desk, sizes, arrangement.processes, watch)
            complain_of(join(folder, runs, failed), len(runs), folder)
    return folder.path


def warn(text: str) -> None:
    """Warn the user."""
    warnings.warn(text, UserWarning, stacklevel=2)


def begin(folder: Folder, sweep: Sweep, runs: Sequence[Run], facts: Sequence[Mapping[str, Any]]) -> None:
    """Write what is known before any run is trained: the sweep, its code, its worlds and its losses.

    Nothing vouches for these files while they are written. Raises StorageError.
    """
    for place in PARTIAL:
        remove(folder, [f"{place}.*.partial"])
    folder.start_seal.unlink(missing_ok=True)
    ended = folder.seal.exists()
    if not (ended and folder.config.exists()):
        write_whole(folder.config, sweep.to_toml().encode())
    if not (ended and folder.source.exists()):
        write_source(folder)
    if not (ended and folder.world.exists() and folder.losses.exists()):
        write_json(facts[0] if len(facts) == 1 else {"worlds": facts}, folder.world)
        write_table(pd.DataFrame(sample_losses(functions_of(runs))), folder.losses)
    write_code(folder, sweep)
    make_folder(folder.parts)


def write_code(folder: Folder, sweep: Sweep) -> None:
    """Keep a copy of the user's code that the losses of the sweep use, for readers: it is never run from there.

    One that is there and is other code is set aside. Raises StorageError.
    """
    for name in filter(is_own, sweep.sweep.loss):
        file = Path(name.rpartition(":")[0])
        inside = file.parent if not (file.is_absolute() or ".." in file.parts) else Path()
        for place, content in own_loss(name, sweep.beside).copies.items():
            path = folder.code / inside / place
            if path.exists() and path.read_bytes() == content:
                continue
            make_folder(path.parent, parents=True)
            if path.exists():
                set_aside(path, "before")
            write_whole(path, content)


@contextmanager
def ending(folder: Folder) -> Iterator[None]:
    """What comes from outside, such as a full disk, ends the sweep with SweepError, which says what is kept."""
    try:
        with storing(folder.path):
            yield
    except (StorageError, OutsideError) as error:
        raise SweepError(
            str(error), f"the sweep has ended; what is finished is kept in {folder.path}, and the same command goes on"
        ) from error


def steps_of(some: Sequence[Run] | Sequence[Member]) -> int:
    """Steps of training, summed."""
    return sum(one.steps for one in some)


def kept_sizes(folder: Folder, arrangement: Arrangement) -> Mapping[str, int]:
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


def finish(desk: Desk, sizes: Mapping[str, int], processes: int, watch: Watch) -> dict[str, str]:
    """Train what is missing, proxies first; why some runs could not be finished, by run_id.

    Raises OutsideError where something from outside ends the sweep.
    """
    folder, runs, members = desk.folder, desk.runs, desk.members
    done = survey(folder)
    left = [[member for member in stack if member.name not in done.proxies] for stack in proxy_stacks(members, sizes)]
    found = [[run for run in stack if run.run_id not in done.runs] for stack in stacks(runs, sizes)]
    spared = steps_of(runs) + steps_of(members)
    spared -= sum(steps_of(stack) for stack in left) + sum(steps_of(stack) for stack in found)
    watch(spared, sum(run.run_id in done.runs for run in runs), False)
    place = {member.name: i for i, member in enumerate(members)} | {run.run_id: i for i, run in enumerate(runs)}
    of_members = [Job(kind="proxies", places=tuple(place[one.name] for one in stack)) for stack in left if stack]
    of_runs = [Job(kind="runs", places=tuple(place[one.run_id] for one in stack)) for stack in found if stack]
    with handing(desk, min(processes, max(len(of_members), len(of_runs), 1))) as hand:
        unmade = reasons(hand(of_members, watch), [member.name for member in members])
        join_proxies(folder, members)
        barred = {run.run_id: why for run in runs if (why := missing(run, unmade))}
        able = [replace(job, places=tuple(at for at in job.places if runs[at].run_id not in barred)) for job in of_runs]
        failed = hand([job for job in able if job.places], watch)
    for trouble in dict.fromkeys(failed.values()):
        if trouble.detail:
            warnings.warn(f"nobody foresaw this:\n{trouble.detail}", UserWarning, stacklevel=2)
    return barred | reasons(failed, [run.run_id for run in runs])


def reasons(failed: Failures, names: Sequence[str]) -> dict[str, str]:
    """Why each run, or each proxy, failed, by its name among `names`."""
    return {names[place]: trouble.text for job, trouble in failed.items() for place in job.places}


def missing(run: Run, unmade: Mapping[str, str]) -> str:
    """Why a run cannot be: a proxy that it needs could not be trained."""
    why = [unmade[member.name] for member in members_of(run) if member.name in unmade]
    return f"a proxy that it needs could not be trained: {why[0]}" if why else ""


def complain_of(failed: Mapping[str, str], count: int, folder: Folder) -> None:
    """Raises SweepError if there is something to complain of: how many runs failed, for each reason."""
    if failed:
        told = Counter(failed.values()).most_common(SHOWN)
        others = f"the others are kept in {folder.path}, and " if len(failed) < count else ""
        raise SweepError(
            f"{len(failed)} of {count} runs failed; {others}the same command tries these again",
            *(f"{number} run{'s' * (number > 1)}: {why}" for why, number in told),
        )


@contextmanager
def handing(desk: Desk, processes: int) -> Iterator[Hand]:
    """Hands jobs to worker processes, or does them here where one is enough."""
    if processes > 1:
        desk.worlds.clear()
        with workers_on(desk.folder, processes, desk.every, desk.sweep.beside) as hand:
            yield hand
    else:
        yield working_here(lambda job, tick, found: do(job, desk, tick, found))


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
