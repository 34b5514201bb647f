"""What runs the stacks of a sweep: processes of this machine, or the nodes of a Ray cluster."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch

from simulator.execution.devices import choose_device, processes_on
from simulator.execution.jobs.job_queue import Executor
from simulator.execution.jobs.stack_job import WorkerContext
from simulator.settings.run import Run
from simulator.sweeps.memory_budget import Arrangement
from simulator.sweeps.sweep import Sweep


@dataclass(frozen=True, kw_only=True)
class Where:
    """Where a sweep is asked to run: as `run_sweep` has it."""

    device: str = "auto"
    workers: int | None = None
    memory: str | None = None
    cluster: str | None = None
    copies: bool = False

    def check(self) -> None:
        """Raises ConfigError where there is no such device here, or there are too many workers."""
        choose_device("auto" if self.cluster and self.device == "cuda" else self.device)
        processes_on("cpu" if self.cluster else self.device, self.workers)


class Workers(Protocol):
    """What runs stacks."""

    @property
    def device(self) -> torch.device:
        """Where policies are trained."""
        ...

    @property
    def world_device(self) -> torch.device:
        """Where this process makes the worlds."""
        ...

    @property
    def place(self) -> str:
        """Where they are, for people."""
        ...

    def time_steps(self) -> np.ndarray:
        """Seconds of one of them for each unit of `layer_cost`, timed now."""
        ...

    def arrange(self, runs: Sequence[Run]) -> Arrangement:
        """How the runs fit into memory. Raises ConfigError where they do not."""
        ...

    def executor(self, context: WorkerContext, arrangement: Arrangement, jobs: int) -> AbstractContextManager[Executor]:
        """Has jobs done while the block runs; there are at most so many at a time."""
        ...


@contextmanager
def workers_for(where: Where, sweep: Sweep, folder: Path, *, timed: bool = False) -> Iterator[Workers]:
    """What runs the stacks of a sweep, while the block runs. Raises ConfigError.

    folder: the result directory. timed: how fast they are can be asked.
    """
    if where.cluster is None:
        from simulator.execution.local.local_workers import LocalWorkers

        yield LocalWorkers(
            device=choose_device(where.device),
            processes=processes_on(where.device, where.workers),
            memory=where.memory,
            copies=where.copies,
        )
        return
    from simulator.execution.cluster.connect import connected

    with connected(where, sweep, folder, timed=timed) as workers:
        yield workers
