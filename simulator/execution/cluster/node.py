"""What a process of a node does: it says what the node is, and it does jobs, of which it returns the files.

Ray starts these processes and calls `examine` and `do_job`. Nothing heavy is imported before the program of the node
was found to be that of the machine which hands out jobs. A job is done in a folder of the process, by the same code as
anywhere else; its files are returned, and whoever handed it out writes them. The state of a stack in training is saved
in the result folder where the node sees it, and else beside the process, where the next one on that node finds it.
"""

from __future__ import annotations

import getpass
import os
import platform
import shutil
import tempfile
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simulator.common.user_files import USER_FILES
from simulator.execution.cluster.program import Program, differences, program_here
from simulator.execution.cluster.ticks import Sender

if TYPE_CHECKING:
    from simulator.execution.jobs.retry import Failure
    from simulator.execution.jobs.stack_job import WorkerContext

FORGOTTEN = 7 * 86_400.0  # seconds after which nobody goes on with a sweep
FILES = "files"  # the folder with copies of the user's own files
CONTEXTS: dict[str, WorkerContext] = {}


@dataclass(frozen=True, kw_only=True)
class NodeFacts:
    """What a node is. free: bytes of memory, or of that of its GPU. seconds: for each unit of cost, where timed."""

    name: str
    program: Program
    free: int
    engine: str
    device: str
    seconds: tuple[float, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Task:
    """What all jobs of a sweep have in common. name: follows from all of it. beside and working: folders here, where
    files that the sweep names are looked up. files: of the result folder, by their path in it. references: as in
    references.py. running: the content of `running.json`, by which a node finds out whether it sees the result folder.
    """

    name: str
    program: Program
    device: str
    beside: str | None
    working: str
    folder: str
    running: bytes
    save_every: float
    tick_every: float
    files: Mapping[str, bytes]
    references: Mapping[str, tuple[str, bytes]]


@dataclass(frozen=True, kw_only=True)
class Order:
    """One job: its number among all that were handed out, its kind, and its places in the grid."""

    number: int
    kind: str
    places: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of a job: its files by their path in the result folder, or why there are none.

    node and ray_id: where it was done, for people and for Ray. differs: how the program there is another one. stopped:
    it was asked to stop.
    """

    node: str = ""
    ray_id: str = ""
    files: Mapping[str, bytes] = field(default_factory=dict)
    failure: Failure | None = None
    differs: Sequence[str] = ()
    warnings: Sequence[str] = ()
    stopped: bool = False


def node_name() -> str:
    """The name of this node, for people."""
    return platform.node() or "a node without a name"


def examine(here: Program, device: str, *, timed: bool) -> NodeFacts:
    """What this node is; of one with another program no more than that."""
    there = program_here()
    if differences(there, here):
        return NodeFacts(name=node_name(), program=there, free=0, engine="", device="")
    import torch

    import simulator.execution.jobs.stack_job  # noqa: F401 - what jobs need is imported by now
    from simulator.execution.planning.speed import time_steps
    from simulator.networks.compute_mode import one_thread
    from simulator.sweeps.grid import engine_of_worlds
    from simulator.sweeps.memory_budget import free_bytes

    there_is = "cuda" if device == "cuda" and torch.cuda.is_available() else "cpu"
    seconds: tuple[float, ...] = ()
    if timed and there_is == device:
        with one_thread():
            seconds = tuple(time_steps(torch.device(device), 16 if device == "cpu" else 512))
    free = free_bytes(torch.device(there_is))
    return NodeFacts(
        name=node_name(), program=there, free=free, engine=engine_of_worlds(), device=there_is, seconds=seconds
    )


def do_job(task: Task, order: Order, networks: Mapping[str, Any], box: Any) -> Outcome:
    """Do a job. networks: the files of the proxies that it needs, as references of Ray, by their name."""
    import ray

    if differs := differences(program_here(), task.program) or without_device(task.device):
        return Outcome(node=node_name(), ray_id=ray.get_runtime_context().get_node_id(), differs=differs)
    from simulator.common.signals import handling_signals
    from simulator.execution.jobs.retry import Job, failure_of
    from simulator.execution.jobs.stack_job import run_job
    from simulator.networks.compute_mode import one_thread

    sender = Sender(box=box, job=order.number, every=task.tick_every)
    job = Job(kind="runs" if order.kind == "runs" else "proxies", indices=order.places)
    said: list[str] = []
    try:
        with handling_signals(once=True), one_thread(), warnings_kept(said):
            context = context_of(task)
            write_networks(context, dict(zip(networks, ray.get(list(networks.values())), strict=True)))
            run_job(job, context, sender.worked, sender.found)
            sender.send()
    except KeyboardInterrupt:
        if task.name not in CONTEXTS or not listed_by(context_of(task), job).exists():
            return Outcome(node=node_name(), stopped=True, warnings=said)
    except (Exception, SystemExit) as error:  # code of the user's own may end a process
        sender.send()
        return Outcome(node=node_name(), failure=failure_of(error), warnings=said)
    return Outcome(node=node_name(), files=take_files(context_of(task), job), warnings=said)


def without_device(device: str) -> list[str]:
    """That there is no GPU where one is needed; nothing where all is well."""
    import torch

    return ["no CUDA device that torch finds"] if device == "cuda" and not torch.cuda.is_available() else []


@contextmanager
def warnings_kept(said: list[str]) -> Iterator[None]:
    """Warnings of the block are put into a list."""

    def keep(message: Warning | str, *_: object, **__: object) -> None:
        if str(message) not in said:
            said.append(str(message))

    with warnings.catch_warnings():
        warnings.showwarning = keep
        yield


def context_of(task: Task) -> WorkerContext:
    """What this process works with. Raises ConfigError and StorageError."""
    if task.name not in CONTEXTS:
        CONTEXTS.clear()
        CONTEXTS[task.name] = make_context(task)
    with suppress(OSError):
        os.utime(work_folder(task))  # somebody works there
    return CONTEXTS[task.name]


def make_context(task: Task) -> WorkerContext:
    """A folder for this process, and the sweep in it, whose files are looked up among the copies."""
    import torch

    from simulator.common.atomic_files import make_folder, write_atomically
    from simulator.execution.cluster.references import place_references
    from simulator.execution.jobs.stack_job import context_in
    from simulator.storage.layout import ResultFolder
    from simulator.sweeps.sweep import Sweep

    work = work_folder(task)
    remove_forgotten(work)
    mine = work / "jobs" / str(os.getpid())
    shutil.rmtree(mine, ignore_errors=True)
    states = states_of(task, work)
    folder = ResultFolder(path=mine / "records", saved_states=states)
    policies = states.parent / "policies"  # where the process finds them that goes on from a state
    for place in (folder.parts, folder.path / "proxies", policies, states):
        make_folder(place, parents=True)
    folder.policies.symlink_to(policies, target_is_directory=True)
    for name, content in task.files.items():
        write_atomically(folder.path / name, content)
    files = mine / FILES  # beside the records, since code is never loaded from among these
    shutil.copytree(Path(__file__).resolve().parents[3] / FILES, files, dirs_exist_ok=True)
    make_folder(below(files, task.working), parents=True)
    os.environ[USER_FILES], os.environ["SIMULATOR_CACHE"] = str(files), str(work / "cache")
    os.chdir(below(files, task.working))
    sweep = Sweep.from_toml(folder.config, beside=None if task.beside is None else below(files, task.beside))
    context = context_in(folder, sweep, torch.device(task.device), task.save_every)
    place_references(context.runs, task.references)
    return context


def below(root: Path, path: str) -> Path:
    """A whole path as one below another folder."""
    return root / Path(path).relative_to(Path(path).anchor)


def folder_for(name: str) -> Path:
    """The folder of a sweep on this node, among those of the same user."""
    return Path(tempfile.gettempdir()) / f"alignment-simulator-{getpass.getuser()}" / name


def work_folder(task: Task) -> Path:
    """The folder of a sweep on this node."""
    return folder_for(task.name)


def remove_forgotten(work: Path) -> None:
    """Remove the folders of sweeps that nobody goes on with, beside that of this one."""
    for path in work.parent.glob("*"):
        with suppress(OSError):
            if path != work and time.time() - path.stat().st_mtime > FORGOTTEN:
                shutil.rmtree(path, ignore_errors=True)


def clean_up(name: str) -> None:
    """Remove what a sweep has left on this node."""
    shutil.rmtree(folder_for(name), ignore_errors=True)


def states_of(task: Task, work: Path) -> Path:
    """Where the states of stacks are saved: in the result folder, where this node sees it and may write there."""
    parts = Path(task.folder) / "parts"
    try:
        sees = (Path(task.folder) / "running.json").read_bytes() == task.running and os.access(parts, os.W_OK)
    except OSError:
        sees = False
    return parts if sees else work / "states"


def write_networks(context: WorkerContext, networks: Mapping[str, bytes]) -> None:
    """Put the proxies that a job needs where it looks for them."""
    from simulator.common.atomic_files import write_atomically

    for name, content in networks.items():
        if not (place := context.folder.network(name)).exists():
            write_atomically(place, content)


def take_files(context: WorkerContext, job: Any) -> dict[str, bytes]:
    """The files that a job has left, its checksums last, which are then removed here."""
    from simulator.storage.checksums import read_checksums

    listed = listed_by(context, job)
    checksums = read_checksums(listed, context.folder.path)
    assert checksums is not None
    paths = [context.folder.path / name for name in checksums.sums] + [listed]
    files = {path.relative_to(context.folder.path).as_posix(): path.read_bytes() for path in paths}
    for path in paths:
        if path.parent != context.folder.policies:  # which may be those of the result folder itself
            path.unlink()
    return files


def listed_by(context: WorkerContext, job: Any) -> Path:
    """The checksums of what a job leaves, which are there once all of it is."""
    from simulator.storage.layout import stack_name

    some = context.runs if job.kind == "runs" else context.members
    return context.folder.part_checksums(stack_name([some[place] for place in job.indices]))
