"""What a sweep will take, before it starts: runs, stacks, memory, time.

Time is a model with two constants, seconds for each multiplication-and-addition of a layer and for each number that
a layer reads and writes, fitted to two training steps of small stacks that are timed here and now; an estimate, good to
about a factor of two. Memory is what simulator/sweeps/memory_budget.py arranges for.
"""

import time
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from simulator.execution.progress import clock
from simulator.execution.stack_job import one_thread
from simulator.measurement.ladder import TEMPERATURES, ladder
from simulator.methods import METHODS
from simulator.networks.architecture import Architecture
from simulator.networks.packing import packing
from simulator.networks.parameters import initial_parameters
from simulator.networks.sampling import Lots
from simulator.objectives import OBJECTIVES
from simulator.objectives.objective import Part
from simulator.proxies.reward_model import CHECKPOINTS, Member, needed, proxy_architecture
from simulator.settings.run import Run
from simulator.settings.tables import Settings
from simulator.storage.compatibility import examine_folder
from simulator.storage.inventory import finished_runs, is_complete
from simulator.storage.origins import check_source, made
from simulator.sweeps.cautions import cautions
from simulator.sweeps.grid import check_computing, expand
from simulator.sweeps.memory_budget import arrange, budget_of, shown_bytes
from simulator.sweeps.stacking import cells, proxy_stacks, stacks, with_proxies, world_names
from simulator.sweeps.sweep import Sweep, with_hashes
from simulator.training.engine import advance, start
from simulator.training.problem import Problem, Schedule
from simulator.worlds.components import architecture_of, examine_languages

START_SECONDS = 4.0  # of a worker process
LAW_SECONDS = 2e-7  # for each response, to measure a law over all of them


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The size of a sweep, of which `done` runs are finished.

    `bytes` over all processes at once, kept under `budget`, and `seconds` are estimates.
    """

    runs: int
    proxies: int
    run_steps: int
    stacks: int
    worlds: int
    workers: int
    bytes: int
    budget: int
    seconds: float
    done: int = 0

    def lines(self, target: Path) -> list[str]:
        """The plan as a user reads it; `target` is where records would go."""
        also = f" and {self.proxies:,} proxies" if self.proxies else ""
        return [
            f"runs            {self.runs:,}{also}, of {self.run_steps:,} training steps in all",
            f"stacks          {self.stacks:,}, in {self.workers} at a time, over {self.worlds} world(s)",
            f"memory          about {shown_bytes(self.bytes)}, kept under {shown_bytes(self.budget)}",
            f"estimated time  about {clock(self.seconds)} on this machine",
            f"records         {f'of {self.done:,} runs are in' if self.done else 'would go into'} {target}",
        ]


def measured_places(settings: Settings, pairs: int) -> int:
    """Positions that go through the network of one run in a measurement, with so many pairs of its own."""
    world, measure = settings.world, settings.measure
    if world.kind == "enumerable":
        inner = sum(world.vocabulary**t for t in range(1, world.response_length))
        return world.prompts * (world.prompt_length + inner)
    answer = world.prompt_length + world.response_length - 1
    read = 3 if settings.data.behaviour == "reference" else 4  # drawn, read by the reference, and as much of its own
    lots = Lots(prompts=settings.measured_prompts, responses=measure.samples)
    pair = world.prompt_length + 2 * (world.response_length - 1)
    return read * lots.count * lots.places * answer + min(measure.pairs, pairs) * pair


def run_seconds(run: Run, per_unit: np.ndarray) -> float:
    """How long one run takes, about, given the seconds for each unit of `layer_cost` of a training step."""
    settings, cost = run.settings, float(layer_cost(architecture_of(run.settings)) @ per_unit)
    training: float = METHODS[run.method].network(run)[1]
    if not training:
        if settings.world.kind == "enumerable":
            laws = len(ladder(settings.best_of_n.largest)) if run.method == "best_of_n" else len(TEMPERATURES)
            return laws * listed(settings) * LAW_SECONDS
        own, proxy = layer_cost(architecture_of(settings)), layer_cost(proxy_architecture(settings))
        tokens = settings.measured_prompts * settings.best_of_n.pool * settings.world.response_length
        return tokens * float((own + settings.proxy.members * proxy) @ per_unit) / 3
    checkpoints = min(settings.train.steps + 1, settings.train.checkpoints)
    measuring = measured_places(settings, METHODS[run.method].held(run))
    training *= METHODS[run.method].passes(run)
    return (settings.train.steps * training + checkpoints * measuring / 3) * cost  # measuring has no backward pass


def proxy_seconds(member: Member, per_unit: np.ndarray) -> float:
    """How long one proxy takes, about."""
    settings, world, proxy = member.settings, member.settings.world, member.settings.proxy
    cost = float(layer_cost(proxy_architecture(settings)) @ per_unit)
    pair = world.prompt_length + 2 * world.response_length
    unseen = min(proxy.steps + 1, CHECKPOINTS) * member.held_out * pair
    if world.kind == "enumerable":
        scored = world.prompts * sum(world.vocabulary**t for t in range(world.response_length + 1))
    else:
        scored = settings.measured_prompts * settings.measure.baseline * world.response_length
    return (proxy.steps * proxy.batch * pair + (unseen + scored) / 3) * cost


def listed(settings: Settings) -> int:
    """Responses of a world that lists them."""
    return settings.world.prompts * settings.world.vocabulary**settings.world.response_length


def layer_cost(architecture: Architecture) -> np.ndarray:
    """Multiplications, and numbers moved, for one position of one forward pass, [2]."""
    width, layers, vocabulary = architecture.width, architecture.layers, architecture.vocabulary
    return np.array([layers * 12 * width**2 + width * vocabulary, layers * 30 * width + 4 * vocabulary], dtype=float)


def time_steps() -> np.ndarray:
    """Seconds for each unit of `layer_cost` of a training step, forward and backward, [2], timed on one thread."""
    costs, seconds = [], []
    for width in (16, 64):
        architecture = Architecture(vocabulary=8, context=5, layers=1, width=width, heads=2)
        runs, pairs = 16, 32
        problem = Problem(
            architecture=architecture,
            packing=packing(prompt_length=2, response_length=4, responses=2, device=torch.device("cpu")),
            prompts=torch.zeros(runs, pairs, 2, dtype=torch.int64),
            responses=torch.zeros(runs, pairs, 2, 4, dtype=torch.int64),
            reference_log_probs=torch.zeros(runs, pairs, 2),
            parts=(Part(objective=OBJECTIVES["logistic"], rows=runs, own={}),),
            beta=torch.ones(runs, 1),
            learning_rate=torch.full((runs, 1), 1e-3),
            clip=torch.ones(runs, 1),
            weight_decay=0.0,
            schedule=Schedule(steps=100, warmup=0, kind="constant"),
            batch=pairs,
            batch_seeds=(0,) * runs,
        )
        state = start(initial_parameters(architecture, np.random.default_rng(0)), runs)
        state = advance(state, problem, 2)
        laps = []
        for _ in range(3):
            began = time.perf_counter()
            state = advance(state, problem, 2)
            laps.append((time.perf_counter() - began) / 2)
        costs.append(runs * pairs * 8 * layer_cost(architecture))
        seconds.append(min(laps))
    return np.maximum(np.linalg.solve(np.array(costs), np.array(seconds)), 1e-12)


def making_places(settings: Settings) -> int:
    """Positions that go through the network until a world is there, a forward and a backward pass counting once."""
    world, reference = settings.world, settings.reference
    trained = reference.steps * reference.batch * (world.prompt_length + world.response_length - 1)
    baseline = settings.measured_prompts * settings.measure.baseline * world.response_length
    return trained + (0 if world.kind == "enumerable" else 2 * baseline // 3)


def oracle_seconds(settings: Settings) -> float:
    """How long the oracle frontier of a world takes, about."""
    return len(TEMPERATURES) * listed(settings) * LAW_SECONDS if settings.world.kind == "enumerable" else 0.0


def make_plan(
    sweep: Sweep,
    workers: int,
    *,
    memory: str | None = None,
    device: torch.device | None = None,
    out: Path | None = None,
    fresh: bool = False,
    accept_source: bool = False,
) -> Plan:
    """The plan of a sweep, on at most `workers` processes. Raises ConfigError.

    out: the folder whose finished runs need not be run, unless `fresh`; proxies are taken to be trained there if any
    run is finished. accept_source: as in `run_sweep`.
    """
    runs = expand(sweep)
    for told in cautions(sweep, runs):
        warnings.warn(told, UserWarning, stacklevel=2)
    sweep = with_hashes(sweep, [run.settings.world.language.text for run in runs])
    members = needed(with_proxies(runs))
    names = {run.run_id for run in runs} | {member.name for member in members}
    folder = examine_folder(out, sweep, names, fresh=fresh) if out else None
    done = finished_runs(folder) if folder and not fresh else frozenset()
    if folder and not (fresh or accept_source or is_complete(folder, {run.run_id for run in runs})):
        check_source(folder, made(folder))
    device = device or torch.device("cpu")
    check_computing(runs, device)
    budget = budget_of(memory, device)
    worlds = {name: settings for settings, name in world_names(runs)}
    examine_languages(worlds.values())
    arrangement = arrange(runs, processes=workers, **budget)
    of_proxies, of_runs = proxy_stacks(members, arrangement.sizes), stacks(runs, arrangement.sizes)
    workers = min(arrangement.processes, max(len(of_proxies), len(of_runs)))
    with one_thread():
        per_unit = time_steps()
    left = [run for run in runs if run.run_id not in done] if done else runs
    work = sum(count * run_seconds(run, per_unit) for run, count in cells(left))
    work += 0 if done else sum(proxy_seconds(member, per_unit) for member in members)
    making = sum(
        oracle_seconds(settings) + making_places(settings) * float(layer_cost(architecture_of(settings)) @ per_unit)
        for settings in worlds.values()
    )
    return Plan(
        runs=len(runs),
        done=len(runs) - len(left),
        proxies=len(members),
        run_steps=sum(run.steps for run in runs) + sum(member.steps for member in members),
        stacks=len(of_proxies) + len(of_runs),
        worlds=len(worlds),
        workers=workers,
        bytes=arrangement.bytes,
        budget=budget["budget"],
        seconds=START_SECONDS + (making + work / workers if left else 0.0),
    )
