"""Stacks in worker processes of this machine, or in this process where one is enough."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch

from simulator.execution.jobs.job_queue import Executor, in_process
from simulator.execution.jobs.stack_job import WorkerContext, run_job
from simulator.execution.local.worker_pool import workers_on
from simulator.execution.planning.speed import time_steps
from simulator.networks.compute_mode import one_thread
from simulator.settings.run import Run
from simulator.sweeps.memory_budget import Arrangement, arrange, best_on, free_bytes, machine_of
from simulator.sweeps.own_code import own_code


@dataclass(frozen=True, kw_only=True)
class LocalWorkers:
    """At most so many processes; memory: what they may take together. copies: they may be copies of this process."""

    device: torch.device
    processes: int
    memory: str | None
    copies: bool

    @property
    def world_device(self) -> torch.device:
        """Where this process makes the worlds."""
        return self.device

    @property
    def place(self) -> str:
        """Where they are, for people."""
        return "this machine"

    def time_steps(self) -> np.ndarray:
        """Seconds of one process for each unit of `layer_cost`, timed now."""
        with one_thread():
            return time_steps()

    def arrange(self, runs: Sequence[Run]) -> Arrangement:
        """How the runs fit into memory. Raises ConfigError where they do not."""
        machine = machine_of(self.memory, free_bytes(self.device), self.processes)
        return arrange(runs, [machine], best=best_on(self.device))

    @contextmanager
    def executor(self, context: WorkerContext, arrangement: Arrangement, jobs: int) -> Iterator[Executor]:
        """Hands jobs to worker processes, or does them here where one is enough."""
        if (processes := min(arrangement.processes, jobs)) > 1:
            copied = context if self.copies and not own_code(context.sweep) else None
            at = context.sweep.base_folder
            with workers_on(context.folder, processes, context.save_every, at, copied) as execute:
                context.worlds.clear()
                yield execute
        else:
            yield in_process(lambda job, tick, found: run_job(job, context, tick, found))
