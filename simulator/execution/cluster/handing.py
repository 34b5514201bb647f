"""Handing jobs to Ray, and what comes of them: results, lost nodes, dead processes, nodes with another program.

Ray decides where a task runs. A node that is gone costs its stacks the way since their last saved state, and nothing
is said against them; a process that died, memory that ran out and errors mean what they mean on one machine.
"""

import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from types import ModuleType
from typing import Any

from simulator.common.atomic_files import StorageError, make_folder, write_atomically
from simulator.common.signals import interrupts_delayed
from simulator.execution.cluster.node import Order, Outcome, do_job
from simulator.execution.cluster.nodes import OTHER_PROGRAM, alive_nodes, count_of, first_line
from simulator.execution.jobs.job_queue import Counter, Failures, JobQueue, OutsideError, Watch
from simulator.execution.jobs.retry import Failure, Job, failure_of, failure_of_dead_process
from simulator.execution.jobs.stack_job import WorkerContext
from simulator.execution.local.worker import own_code_of
from simulator.proxies.reward_model import members_of
from simulator.storage.layout import ResultFolder

POLL = 0.5  # seconds between two looks at what came
LOOK_EVERY = 2.0  # seconds between two looks at which nodes there are
AHEAD = 2  # stacks that wait for each that runs, so that a node which joins finds some
GRACE = 20.0  # seconds for stacks to save their states
LOST_OFTEN = 10  # nodes under one job, after which it is no accident
ALONE = 30.0  # seconds without any node until that is said


@dataclass(kw_only=True)
class Handed:
    """A job on its way."""

    job: Job
    number: int


@dataclass(kw_only=True)
class Handing:
    """Jobs handed out, what came of them, and which nodes get none."""

    ray: ModuleType
    context: WorkerContext
    box: Any
    task: Any
    options: dict[str, Any]
    limit: int | None
    needs: tuple[str, ...]
    do: Callable[..., Outcome] = do_job
    numbers: int = 0
    refused: set[str] = field(default_factory=set)  # nodes with another program, by their names in Ray
    lost: dict[Job, int] = field(default_factory=dict)
    networks: dict[str, Any] = field(default_factory=dict)
    seen: float = field(default_factory=time.monotonic)  # when there was a node last
    looked: float = -LOOK_EVERY
    most: int = 1
    under_way: dict[Any, Handed] = field(default_factory=dict)

    def execute(self, jobs: Sequence[Job], watch: Watch) -> Failures:
        """Have jobs done. Raises OutsideError."""
        try:
            return self.hand_all_out(jobs, watch)
        except (self.ray.exceptions.RayError, ConnectionError) as error:
            raise OutsideError(f"the cluster has ended ({first_line(error)})") from error

    def hand_all_out(self, jobs: Sequence[Job], watch: Watch) -> Failures:
        """Have jobs done. Raises OutsideError, and what Ray raises where the cluster ends."""
        queue, counter = JobQueue(waiting=list(jobs)), Counter(watch=watch)
        try:
            while queue.waiting or self.under_way:
                room = self.room()
                while queue.waiting and len(self.under_way) < room:
                    if job := queue.next_job():
                        self.hand_out(job)
                done, _ = self.ray.wait(list(self.under_way), timeout=POLL) if self.under_way else ([], [])
                self.count(counter)
                for reference in done:
                    with interrupts_delayed():  # or what it left would be lost
                        self.end(reference, queue, counter)
        except BaseException:
            queue.close()
            self.stop()
            raise
        return queue.failed

    def room(self) -> int:
        """How many jobs may be on their way: some wait at the nodes, so that none of these is idle."""
        cpus = self.options["num_cpus"]
        if time.monotonic() - self.looked < LOOK_EVERY:
            return self.most
        self.looked = time.monotonic()
        there = [node for node in alive_nodes() if node["NodeID"] not in self.refused]
        slots = sum(min(count_of(node, key) // (cpus if key == "CPU" else 1) for key in self.needs) for node in there)
        if slots:
            self.seen = time.monotonic()
        elif time.monotonic() - self.seen > ALONE:
            self.seen = time.monotonic()
            warnings.warn("no node of the cluster can run a stack; waiting for one", UserWarning, stacklevel=2)
        self.most = self.limit or max(slots * AHEAD, 1)
        return self.most

    def hand_out(self, job: Job) -> None:
        """Give a job to Ray."""
        self.numbers += 1
        options = dict(self.options)
        if self.refused:
            options["label_selector"] = {"ray.io/node-id": f"!in({','.join(sorted(self.refused))})"}
        order = Order(number=self.numbers, kind=job.kind, places=job.indices)
        task = self.ray.remote(self.do).options(**options)
        reference = task.remote(self.task, order, self.networks_for(job), self.box)
        self.under_way[reference] = Handed(job=job, number=self.numbers)

    def networks_for(self, job: Job) -> dict[str, Any]:
        """The proxies that a job needs, as references of Ray. Raises StorageError."""
        if job.kind != "runs":
            return {}
        names = {
            member.name
            for place in job.indices
            for member in members_of(self.context.runs[place])
            if not member.planted
        }
        for name in sorted(names - self.networks.keys()):
            self.networks[name] = self.ray.put(self.context.folder.network(name).read_bytes())
        return {name: self.networks[name] for name in sorted(names)}

    def count(self, counter: Counter) -> None:
        """Give the watch the steps that nodes have sent."""
        jobs = {handed.number: handed.job for handed in self.under_way.values()}
        with suppress(self.ray.exceptions.RayActorError):  # it died, and steps are for people alone
            for number, steps, worked in self.ray.get(self.box.take.remote()):
                if number in jobs:
                    counter.add_steps(jobs[number], steps, worked=worked)

    def end(self, reference: Any, queue: JobQueue, counter: Counter) -> None:
        """Take what came of a job. Raises OutsideError."""
        job = self.under_way.pop(reference).job
        outcome = self.outcome_of(reference, job)
        for text in outcome.warnings:
            warnings.warn(text, UserWarning, stacklevel=2)
        if outcome.files:
            try:
                write_files(self.context.folder, outcome.files)
            except StorageError as error:
                outcome = Outcome(node=outcome.node, failure=failure_of(error))
        if outcome.stopped or outcome.differs:
            counter.end_job(job, done=False)
            queue.put_back(job)
            return
        counter.end_job(job, done=outcome.failure is None)
        queue.end_job(job, outcome.failure)

    def outcome_of(self, reference: Any, job: Job) -> Outcome:
        """What came of a job, whatever became of its process or its node."""
        errors = self.ray.exceptions
        try:
            outcome: Outcome = self.ray.get(reference)
        except (errors.NodeDiedError, errors.ObjectLostError) as error:
            return self.outcome_of_lost_node(job, first_line(error))
        except errors.OutOfMemoryError:
            return Outcome(failure=Failure(cause="memory", text="memory ran out on its node"))
        except errors.TaskCancelledError:
            return Outcome(stopped=True)
        except (errors.WorkerCrashedError, errors.LocalRayletDiedError):
            code = own_code_of([self.context.runs[place] for place in job.indices]) if job.kind == "runs" else []
            return Outcome(failure=failure_of_dead_process(None, code))
        except errors.RayError as error:
            text = f"a node cannot run the simulator: {first_line(error)}"
            return Outcome(failure=Failure(cause="outside", text=text, detail=str(error)))
        if outcome.differs:
            self.refuse(outcome)
        if outcome.failure and outcome.failure.cause == "outside":
            named = replace(outcome.failure, text=f"node {outcome.node}: {outcome.failure.text}")
            return replace(outcome, failure=named)
        return outcome

    def outcome_of_lost_node(self, job: Job, text: str) -> Outcome:
        """A job whose node is gone is done elsewhere; one that has lost many may be to blame."""
        self.lost[job] = self.lost.get(job, 0) + 1
        if self.lost[job] > LOST_OFTEN:
            return Outcome(failure=Failure(cause="ended", text=f"its node was lost {LOST_OFTEN} times"))
        count, what = len(job.indices), "runs" if job.kind == "runs" else "proxies"
        warnings.warn(f"a node is gone; its stack of {count} {what} goes on elsewhere", UserWarning, stacklevel=2)
        return Outcome(stopped=True)

    def refuse(self, outcome: Outcome) -> None:
        """Give nothing more to a node with another program, and say so once."""
        if outcome.ray_id in self.refused:
            return
        self.refused.add(outcome.ray_id)
        text = f"node {outcome.node}: has {', '.join(outcome.differs)}, so it gets no stacks; {OTHER_PROGRAM}"
        warnings.warn(text, UserWarning, stacklevel=2)

    def stop(self) -> None:
        """Ask stacks to save their states and end, wait for them for a while, and keep what ended meanwhile."""
        some = list(self.under_way)
        self.under_way.clear()
        with suppress(self.ray.exceptions.RayError, ConnectionError):
            for reference in some:
                self.ray.cancel(reference)
            done, _ = self.ray.wait(some, num_returns=len(some), timeout=GRACE) if some else ([], [])
            for reference in done:
                with suppress(self.ray.exceptions.RayError, StorageError):
                    write_files(self.context.folder, self.ray.get(reference).files)


def write_files(folder: ResultFolder, files: Mapping[str, bytes]) -> None:
    """Write what a stack left, its checksums last. Raises StorageError."""
    for name, content in files.items():
        path = folder.path / name
        make_folder(path.parent)
        write_atomically(path, content)
