"""The nodes of a Ray cluster as workers: what they have, how stacks fit, and what all jobs of a sweep are given."""

import json
import platform
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch

from simulator.common.errors import SHOWN
from simulator.common.identity import digest
from simulator.execution.cluster.handing import Handing
from simulator.execution.cluster.node import Task, clean_up
from simulator.execution.cluster.nodes import Node, alive_nodes, pinned_to, resources_of
from simulator.execution.cluster.program import program_here
from simulator.execution.cluster.references import read_references
from simulator.execution.jobs.job_queue import Executor
from simulator.execution.jobs.stack_job import WorkerContext
from simulator.execution.workers import Where
from simulator.settings.run import Run
from simulator.sweeps.memory_budget import Arrangement, Machine, arrange, best_on, machine_of

CLEANING = 5.0  # seconds for nodes to remove what is no longer needed
TICK_EVERY = 1.0  # seconds between two messages of a stack, of few
MOST_MESSAGES = 200  # in a second, of many


@dataclass(frozen=True, kw_only=True)
class RayWorkers:
    """The nodes of a cluster that this process is connected to."""

    ray: ModuleType
    where: Where
    nodes: tuple[Node, ...]
    device_name: str
    box: Any = None  # the actor that steps are sent to

    @property
    def device(self) -> torch.device:
        """Where policies are trained."""
        return torch.device(self.device_name)

    @property
    def world_device(self) -> torch.device:
        """Where this process makes the worlds."""
        return torch.device("cpu")

    @property
    def place(self) -> str:
        """Where they are, for people."""
        cpus, gpus = (sum(getattr(node, name) for node in self.nodes) for name in ("cpus", "gpus"))
        count = f"{len(self.nodes)} node{'s' * (len(self.nodes) != 1)} with {cpus:,} CPU{'s' * (cpus != 1)}"
        return f"{count} and {gpus:,} GPU{'s' * (gpus != 1)}" if gpus else f"{count} and no GPU"

    def time_steps(self) -> np.ndarray:
        """Seconds of one worker for each unit of `layer_cost`: the mean over all, since each takes its share."""
        speeds = [1 / np.array(node.facts.seconds) for node in self.nodes for _ in range(self.slots(node))]
        return np.asarray(1 / np.mean(speeds, axis=0))

    def slots(self, node: Node) -> int:
        """How many stacks a node trains at a time."""
        return node.cpus if self.device_name == "cpu" else node.gpus

    def machines(self) -> list[Machine]:
        """What each node has, of a GPU node each GPU."""
        on = [(node, 1) for node in self.nodes for _ in range(node.gpus)]
        some = [(node, node.cpus) for node in self.nodes] if self.device_name == "cpu" else on
        return [
            machine_of(self.where.memory, node.facts.free, count, f"on node {node.facts.name}") for node, count in some
        ]

    def arrange(self, runs: Sequence[Run]) -> Arrangement:
        """How the runs fit into memory. Raises ConfigError where they do not."""
        found = arrange(runs, self.machines(), best=best_on(self.device))
        return replace(found, processes=min(found.processes, self.where.workers or found.processes))

    @contextmanager
    def executor(self, context: WorkerContext, arrangement: Arrangement, jobs: int) -> Iterator[Executor]:
        """Has jobs done on the nodes while the block runs."""
        machines = zip(self.machines(), arrangement.in_each, strict=True)
        share = max(-(-machine.processes // count) for machine, count in machines)  # CPUs of a stack, for its memory
        if small := sorted({node.facts.name for node in self.nodes if self.device_name == "cpu" and node.cpus < share}):
            text = f"node {', '.join(small[:SHOWN])}: gets no stacks, since one takes the memory of {share} CPUs"
            warnings.warn(text, UserWarning, stacklevel=2)
        at_once = min(arrangement.processes, jobs)
        task = task_of(context, self.device_name, at_once)
        options: dict[str, Any] = {"num_cpus": share if self.device_name == "cpu" else 1, "max_retries": 0}
        if self.device_name == "cuda":
            options["num_gpus"] = 1
        handing = Handing(
            ray=self.ray,
            context=context,
            box=self.box,
            task=self.ray.put(task),
            options=options,
            limit=self.where.workers,
            needs=resources_of(self.device_name),
        )
        yield handing.execute
        self.clean_up(task.name)  # a sweep that was stopped finds the states of its stacks again

    def clean_up(self, name: str) -> None:
        """Remove what a sweep has left on the nodes that answer soon."""
        task = self.ray.remote(clean_up)
        with suppress(self.ray.exceptions.RayError, ConnectionError):
            left = [
                task.options(num_cpus=0, max_retries=0, scheduling_strategy=pinned_to(node["NodeID"])).remote(name)
                for node in alive_nodes()
            ]
            self.ray.wait(left, num_returns=len(left), timeout=CLEANING)


def task_of(context: WorkerContext, device: str, at_once: int) -> Task:
    """What all jobs of a sweep have in common. Raises StorageError."""
    folder, sweep = context.folder, context.sweep
    files = {path.name: path.read_bytes() for path in (folder.config, folder.source, folder.world)}
    facts = json.loads(folder.world.read_bytes())
    references = read_references(context.runs, [one["name"] for one in facts.get("worlds", [facts])])
    running = folder.running.read_bytes()
    return Task(
        name=digest([platform.node(), str(folder.path.resolve()), sweep.to_toml()]),
        program=program_here(),
        device=device,
        beside=None if sweep.base_folder is None else str(sweep.base_folder.absolute()),
        working=str(Path.cwd()),
        folder=str(folder.path.resolve()),
        running=running,
        save_every=context.save_every,
        tick_every=max(TICK_EVERY, at_once / MOST_MESSAGES),
        files=files,
        references=references,
    )
