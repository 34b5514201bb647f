"""The jobs of a sweep that are left: proxies first, then the runs that need them."""

import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from simulator.common.errors import SHOWN, SweepError
from simulator.execution.jobs.job_queue import Failures, Watch
from simulator.execution.jobs.retry import Job
from simulator.execution.jobs.stack_job import WorkerContext
from simulator.execution.request import Request
from simulator.execution.workers import Workers
from simulator.proxies.reward_model import Member, members_of
from simulator.settings.run import Run
from simulator.storage.inventory import list_finished
from simulator.storage.layout import ResultFolder
from simulator.storage.merge import merge_proxies
from simulator.sweeps.memory_budget import Arrangement
from simulator.sweeps.stacking import proxy_stacks, stacks


def total_steps(some: Sequence[Run] | Sequence[Member]) -> int:
    """Steps of training, summed."""
    return sum(one.steps for one in some)


def train_missing(
    context: WorkerContext,
    request: Request,
    arrangement: Arrangement,
    sizes: Mapping[str, int],
    workers: Workers,
    watch: Watch,
) -> dict[str, str]:
    """Train what is missing, proxies first; why some runs could not be finished, by run_id.

    Raises OutsideError where something from outside ends the sweep.
    """
    folder, runs, members = context.folder, context.runs, context.members
    done = list_finished(folder)
    needed = proxy_stacks(request.wanted_members, sizes)
    left = [[member for member in stack if member.name not in done.proxies] for stack in needed]
    found = [[run for run in stack if run.run_id not in done.runs] for stack in stacks(request.wanted, sizes)]
    spared = request.steps - sum(map(total_steps, left)) - sum(map(total_steps, found))
    watch(spared, sum(run.run_id in done.runs for run in request.wanted), False)
    place = {member.name: i for i, member in enumerate(members)} | {run.run_id: i for i, run in enumerate(runs)}
    of_members = [Job(kind="proxies", indices=tuple(place[one.name] for one in stack)) for stack in left if stack]
    of_runs = [Job(kind="runs", indices=tuple(place[one.run_id] for one in stack)) for stack in found if stack]
    with workers.executor(context, arrangement, max(len(of_members), len(of_runs), 1)) as execute:
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
