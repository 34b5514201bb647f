"""A whole sweep, from its settings to the tables in its folder.

    config -> world -> preference data -> trained runs -> measured checkpoints -> records

The grid becomes stacks; what happens to a stack stands in simulator/execution/run_stack.py. The proxies that runs need
are trained first. Stacks are independent, so on a CPU they are handed to worker processes of one thread each, and which
worker ran which stack cannot be seen in the result.
"""

import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from simulator.common.atomic_files import StorageError, make_folder, storing
from simulator.common.errors import SHOWN, SweepError
from simulator.engine.snapshots import EVERY
from simulator.execution.devices import choose_device, processes_on
from simulator.execution.prepare import check_code_is_elsewhere, examine_worlds, stack_sizes, warn, write_start_files
from simulator.execution.retry import Job
from simulator.execution.stack_job import WorkerContext, run_job
from simulator.execution.worker_pool import Executor, Failures, OutsideError, Watch, in_process, workers_on
from simulator.networks.compute_mode import one_thread
from simulator.proxies.reward_model import Member, members_needed, members_of
from simulator.settings.run import Run
from simulator.storage.compatibility import examine_folder, remove_records
from simulator.storage.inventory import is_complete, list_finished
from simulator.storage.layout import ResultFolder
from simulator.storage.lock import check_not_locked, writing_to
from simulator.storage.merge import (
    merge_proxies,
    merge_runs,
    remove_parts,
    write_final_checksums,
    write_start_checksums,
)
from simulator.storage.origins import check_references, check_source, origins_in
from simulator.storage.recovery import repair
from simulator.storage.tables import tidy, write_table
from simulator.sweeps.cautions import cautions
from simulator.sweeps.grid import check_computing, expand
from simulator.sweeps.hashes import with_hashes
from simulator.sweeps.memory_budget import Arrangement, arrange, budget_of
from simulator.sweeps.own_code import own_code
from simulator.sweeps.stacking import proxy_stacks, runs_with_proxies, stacks
from simulator.sweeps.sweep import Sweep
from simulator.tracking.log_sweep import logged_when_ended
from simulator.tracking.tracker import Tracker


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
    copies: bool = False,
    tracker: Tracker | str | None = None,
) -> Path:
    """Run a sweep, or the runs that it has not finished, and return its folder, `out`.

    device: "auto", "cpu" or "cuda". workers: processes on a CPU, by default one for each core. memory: what all
    processes together may take, such as "2GiB"; on a GPU, of its memory; by default half of what is free. fresh: remove
    what the folder holds. accept_source: go on although the records were made by other code, which may give other
    numbers; `runs.parquet` then says which code made each run. `watch(run_steps, runs, worked)` is given how many
    steps, summed over runs, and how many runs are done in addition, and whether by work or found in the folder.
    save_every: seconds between two saved states of a stack in training. copies: workers may be copies of this process,
    which begin at once; right where nobody has changed how it computes, such as torch's default type. tracker: to
    which the sweep is logged when it has ended, in this process: one of your own, or what `--track` takes; what it
    raises becomes a warning. Raises ConfigError if the sweep or the folder is wrong or somebody else writes into it,
    before any work, and SweepError if some runs could not be finished, of which `runs.parquet` then says why, or if
    something from outside, such as a full disk, has ended the sweep.
    """
    with logged_when_ended(tracker, Path(out)):
        runs = expand(sweep)
        members = members_needed(runs_with_proxies(runs))
        sweep = with_hashes(sweep, [run.settings.world.language.text for run in runs])
        chosen, processes = choose_device(device), processes_on(device, workers)
        check_code_is_elsewhere(sweep, Path(out))
        ids = {run.run_id for run in runs}
        names = ids | {member.name for member in members}
        folder = examine_folder(Path(out), sweep, names, fresh=fresh)
        if not fresh and is_complete(folder, ids):
            watch(total_steps(runs) + total_steps(members), len(runs), False)
            return folder.path
        if not (fresh or accept_source):
            check_source(folder, origins_in(folder))
        arrangement = fit_into_memory(runs, chosen, processes, memory)
        watch(0, 0, False)
        check_not_locked(folder)
        warn(*cautions(sweep, runs))
        with one_thread():
            oracle, facts, worlds = examine_worlds(sweep, runs, chosen)
            context = WorkerContext(
                folder=folder,
                sweep=sweep,
                runs=runs,
                members=members,
                device=chosen,
                save_every=save_every,
                worlds=worlds,
            )
            make_folder(folder.path, parents=True)
            with writing_to(folder, len(runs)), outside_errors_reported(folder):
                examine_folder(folder.path, sweep, names, fresh=fresh)  # nobody else was kept from writing until now
                prepare_folder(context, facts, fresh=fresh, accept_source=accept_source)
                finish(context, oracle, arrangement, watch, copies=copies)
    return folder.path


def fit_into_memory(runs: Sequence[Run], device: torch.device, processes: int, memory: str | None) -> Arrangement:
    """How the runs fit into memory. Raises ConfigError where they do not, or are computed as this machine cannot."""
    check_computing(runs, device)
    return arrange(runs, processes=processes, **budget_of(memory, device))


def prepare_folder(
    context: WorkerContext, facts: Sequence[Mapping[str, Any]], *, fresh: bool, accept_source: bool
) -> None:
    """Mend what is there, see that it is of this code and these references, and write what a sweep begins with.

    fresh: remove what is there first. Raises ConfigError and StorageError.
    """
    folder, runs = context.folder, context.runs
    if fresh:
        remove_records(folder)
    repair(folder, {run.run_id for run in runs}, warn)
    records = origins_in(folder)
    if not accept_source:
        check_source(folder, records)
    check_references(folder, records, [*runs, *context.members], {fact["name"]: fact for fact in facts})
    write_start_files(folder, context.sweep, runs, facts)


def finish(
    context: WorkerContext, oracle: pd.DataFrame, arrangement: Arrangement, watch: Watch, *, copies: bool
) -> None:
    """Train what is missing, and merge all records; of a sweep that had ended only its checksums are written again.

    Raises SweepError, OutsideError and StorageError.
    """
    folder, runs = context.folder, context.runs
    if folder.checksums.exists():
        write_final_checksums(folder, {})
        remove_parts(folder)
        watch(total_steps(runs) + total_steps(context.members), len(runs), False)
        return
    write_table(tidy(oracle), folder.oracle)
    sizes = stack_sizes(folder, arrangement)
    write_start_checksums(folder)
    failed = train_missing(context, sizes, arrangement.processes, watch, copies=copies)
    raise_if_failed(merge_runs(folder, runs, failed), len(runs), folder)


@contextmanager
def outside_errors_reported(folder: ResultFolder) -> Iterator[None]:
    """What comes from outside, such as a full disk, ends the sweep with SweepError, which says what is kept."""
    try:
        with storing(folder.path):
            yield
    except (StorageError, OutsideError) as error:
        raise SweepError(
            str(error), f"the sweep has ended; what is finished is kept in {folder.path}, and the same command goes on"
        ) from error


def total_steps(some: Sequence[Run] | Sequence[Member]) -> int:
    """Steps of training, summed."""
    return sum(one.steps for one in some)


def train_missing(
    context: WorkerContext, sizes: Mapping[str, int], processes: int, watch: Watch, *, copies: bool
) -> dict[str, str]:
    """Train what is missing, proxies first; why some runs could not be finished, by run_id.

    Raises OutsideError where something from outside ends the sweep.
    """
    folder, runs, members = context.folder, context.runs, context.members
    done = list_finished(folder)
    left = [[member for member in stack if member.name not in done.proxies] for stack in proxy_stacks(members, sizes)]
    found = [[run for run in stack if run.run_id not in done.runs] for stack in stacks(runs, sizes)]
    spared = total_steps(runs) + total_steps(members)
    spared -= sum(total_steps(stack) for stack in left) + sum(total_steps(stack) for stack in found)
    watch(spared, sum(run.run_id in done.runs for run in runs), False)
    place = {member.name: i for i, member in enumerate(members)} | {run.run_id: i for i, run in enumerate(runs)}
    of_members = [Job(kind="proxies", indices=tuple(place[one.name] for one in stack)) for stack in left if stack]
    of_runs = [Job(kind="runs", indices=tuple(place[one.run_id] for one in stack)) for stack in found if stack]
    with executor(context, min(processes, max(len(of_members), len(of_runs), 1)), copies=copies) as execute:
        unmade = reasons(execute(of_members, watch), [member.name for member in members])
        merge_proxies(folder, members)
        barred = {run.run_id: why for run in runs if (why := untrained_proxy(run, unmade))}
        able = [
            replace(job, indices=tuple(at for at in job.indices if runs[at].run_id not in barred)) for job in of_runs
        ]
        failed = execute([job for job in able if job.indices], watch)
    for failure in dict.fromkeys(failed.values()):
        if failure.detail:
            warnings.warn(f"nobody foresaw this:\n{failure.detail}", UserWarning, stacklevel=2)
    return barred | reasons(failed, [run.run_id for run in runs])


def reasons(failed: Failures, names: Sequence[str]) -> dict[str, str]:
    """Why each run, or each proxy, failed, by its name among `names`."""
    return {names[place]: failure.text for job, failure in failed.items() for place in job.indices}


def untrained_proxy(run: Run, unmade: Mapping[str, str]) -> str:
    """Why a run cannot be: a proxy that it needs could not be trained."""
    why = [unmade[member.name] for member in members_of(run) if member.name in unmade]
    return f"a proxy that it needs could not be trained: {why[0]}" if why else ""


def raise_if_failed(failed: Mapping[str, str], count: int, folder: ResultFolder) -> None:
    """Raises SweepError if there is something to complain of: how many runs failed, for each reason."""
    if failed:
        counts = Counter(failed.values()).most_common(SHOWN)
        others = f"the others are kept in {folder.path}, and " if len(failed) < count else ""
        raise SweepError(
            f"{len(failed)} of {count} runs failed; {others}the same command tries these again",
            *(f"{number} run{'s' * (number > 1)}: {why}" for why, number in counts),
        )


@contextmanager
def executor(context: WorkerContext, processes: int, *, copies: bool) -> Iterator[Executor]:
    """Hands jobs to worker processes, or does them here where one is enough."""
    if processes > 1:
        copied = context if copies and not own_code(context.sweep) else None
        at = context.sweep.base_folder
        with workers_on(context.folder, processes, context.save_every, at, copied) as execute:
            context.worlds.clear()
            yield execute
    else:
        yield in_process(lambda job, tick, found: run_job(job, context, tick, found))
