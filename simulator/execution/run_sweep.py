"""A whole sweep, from its settings to the tables in its folder.

    config -> world -> preference data -> trained runs -> measured checkpoints -> records

The grid becomes stacks; what happens to a stack stands in simulator/execution/run_stack.py. The proxies that runs need
are trained first. Stacks are independent, so they are handed to workers of one thread each on a CPU, here or on the
nodes of a cluster, and which worker ran which stack cannot be seen in the result.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd

from simulator.common.atomic_files import StorageError, make_folder, storing
from simulator.common.errors import SweepError
from simulator.engine.snapshots import EVERY
from simulator.execution.jobs.job_queue import OutsideError, Watch
from simulator.execution.jobs.stack_job import WorkerContext
from simulator.execution.prepare import examine_worlds, stack_sizes, warn, write_start_files
from simulator.execution.request import Request, make_request
from simulator.execution.train_missing import raise_if_failed, train_missing
from simulator.execution.workers import Where, Workers, workers_for
from simulator.joining.growing import write_growth
from simulator.networks.compute_mode import one_thread
from simulator.storage.compatibility import remove_records
from simulator.storage.layout import ResultFolder
from simulator.storage.lock import check_not_locked, writing_to
from simulator.storage.merge import merge_runs, remove_parts, write_final_checksums, write_start_checksums
from simulator.storage.origins import check_references, check_source, origins_in
from simulator.storage.recovery import repair
from simulator.storage.tables import tidy, write_table
from simulator.sweeps.cautions import cautions
from simulator.sweeps.grid import check_computing
from simulator.sweeps.memory_budget import Arrangement
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
    cluster: str | None = None,
    part: str | None = None,
    grow: bool = False,
    fresh: bool = False,
    accept_source: bool = False,
    watch: Watch = lambda run_steps, runs, worked: None,
    save_every: float = EVERY,
    copies: bool = False,
    tracker: Tracker | str | None = None,
) -> Path:
    """Run a sweep, or the runs that it has not finished, and return its folder, `out`.

    device: "auto", "cpu" or "cuda". workers: processes on a CPU, by default one for each core. memory: what all
    processes together may take, such as "2GiB"; on a GPU, of its memory; by default half of what is free. cluster: the
    address of a Ray cluster on which stacks run, or "local" for one that is started here; workers are then stacks at
    a time, and memory is that of each node. part: such as "3/8", to run the third of eight parts of the runs. grow:
    `sweep` lists what is added to the sweep that the folder holds. fresh: remove what the folder holds. accept_source:
    go on although the records were made by other code, which may give other numbers; `runs.parquet` then says which
    code made each run. `watch(run_steps, runs, worked)` is given how many steps, summed over runs, and how many runs
    are done in addition, and whether by work or found in the folder. save_every: seconds between two saved states of a
    stack in training. copies: workers may be copies of this process, which begin at once; right where nobody has
    changed how it computes, such as torch's default type. tracker: to which the sweep is logged when it has ended, in
    this process: one of your own, or what `--track` takes; what it raises becomes a warning. Raises ConfigError if the
    sweep or the folder is wrong or somebody else writes into it, before any work, and SweepError if some runs could
    not be finished, of which `runs.parquet` then says why, or if something from outside, such as a full disk, has
    ended the sweep.
    """
    with logged_when_ended(tracker, Path(out)):
        where = Where(device=device, workers=workers, memory=memory, cluster=cluster, copies=copies)
        request = make_request(sweep, Path(out), part=part, grow=grow, fresh=fresh)
        return run_request(request, where, accept_source=accept_source, watch=watch, save_every=save_every)


def run_request(
    request: Request, where: Where, *, accept_source: bool, watch: Watch, save_every: float = EVERY
) -> Path:
    """Run what is asked for, as `run_sweep` has it."""
    where.check()
    folder = request.folder
    if request.is_complete():
        watch(request.steps, len(request.wanted), False)
        return folder.path
    if not (request.fresh or accept_source):
        request.check_source()
    with workers_for(where, request.sweep, folder.path) as workers:
        arrangement = fit_into_memory(request, workers)
        watch(0, 0, False)
        check_not_locked(folder)
        warn(*cautions(request.sweep, request.wanted))
        with one_thread():
            oracle, facts, worlds = examine_worlds(request.sweep, request.shown, workers.world_device)
            context = WorkerContext(
                folder=folder,
                sweep=request.sweep,
                runs=request.runs,
                members=request.members,
                device=workers.world_device,
                save_every=save_every,
                worlds=worlds,
            )
            make_folder(folder.path, parents=True)
            with writing_to(folder, len(request.shown)), outside_errors_reported(folder):
                request.examine_folder(folder.path)  # nobody else was kept from writing until now
                prepare_folder(request, facts, accept_source=accept_source)
                finish(context, request, oracle, arrangement, workers, watch)
    return folder.path


def fit_into_memory(request: Request, workers: Workers) -> Arrangement:
    """How the runs fit into memory. Raises ConfigError where they do not, or are computed as a machine cannot."""
    check_computing(request.wanted, workers.device)
    return workers.arrange(request.wanted)


def prepare_folder(request: Request, facts: Sequence[Mapping[str, Any]], *, accept_source: bool) -> None:
    """Mend what is there, see that it is of this code and these references, and write what a sweep begins with.

    Raises ConfigError and StorageError.
    """
    folder = request.folder
    if request.fresh:
        remove_records(folder)
    repair(folder, request.ids, request.wanted_ids, warn)
    records = origins_in(folder)
    if not accept_source:
        check_source(folder, records)
    check_references(folder, records, [*request.shown, *request.members], {fact["name"]: fact for fact in facts})
    write_growth(folder, request.growth)
    write_start_files(folder, request.sweep, request.shown, facts)


def finish(
    context: WorkerContext,
    request: Request,
    oracle: pd.DataFrame,
    arrangement: Arrangement,
    workers: Workers,
    watch: Watch,
) -> None:
    """Train what is missing, and merge all records; of a sweep that had ended only its checksums are written again.

    Raises SweepError, OutsideError and StorageError.
    """
    folder = context.folder
    if folder.checksums.exists():
        write_final_checksums(folder, {})
        remove_parts(folder)
        watch(request.steps, len(request.wanted), False)
        return
    write_table(tidy(oracle), folder.oracle)
    sizes = stack_sizes(folder, arrangement)
    write_start_checksums(folder)
    failed = train_missing(context, request, arrangement, sizes, workers, watch)
    raise_if_failed(merge_runs(folder, request.runs, request.wanted_ids, failed), len(request.wanted), folder)


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
