"""What a sweep will take, before it starts: runs, stacks, memory, time.

Time is a model with two constants, seconds for each multiplication-and-addition of a layer and for each number that
a layer reads and writes, fitted to two training steps of small stacks that are timed here and now; an estimate, good to
about a factor of two. Memory is what simulator/sweeps/memory_budget.py arranges for.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from simulator.execution.planning.speed import layer_cost
from simulator.execution.progress import clock
from simulator.execution.request import Request
from simulator.execution.workers import Where, workers_for
from simulator.measurement.ladder import TEMPERATURES
from simulator.proxies.reward_model import CHECKPOINTS, Member, proxy_architecture
from simulator.settings.run import Run
from simulator.settings.tables import Settings
from simulator.storage.inventory import finished_runs
from simulator.sweeps.cautions import cautions
from simulator.sweeps.grid import check_computing, engines_used
from simulator.sweeps.kept_policies import described
from simulator.sweeps.memory_budget import shown_bytes
from simulator.sweeps.stacking import cells, footprint_of, later_proxy_tokens, proxy_stacks, stacks, world_names
from simulator.worlds.components import architecture_of, examine_languages
from simulator.worlds.footprint import listed_responses, making_places, measured_places
from simulator.worlds.policy_classes.sizes import is_tilted, tilted_step_seconds

START_SECONDS = 4.0  # of a worker process
DISTRIBUTION_SECONDS = 2e-7  # for each response, to measure a law over all of them


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
    engines: str
    policies: str
    place: str
    done: int = 0

    def lines(self, target: Path) -> list[str]:
        """The plan as a user reads it; `target` is where records would go."""
        also = f" and {self.proxies:,} proxies" if self.proxies else ""
        return [
            f"runs            {self.runs:,}{also}, of {self.run_steps:,} training steps in all",
            f"stacks          {self.stacks:,}, in {self.workers} at a time, over {self.worlds} world(s)",
            f"engine          {self.engines}",
            f"memory          about {shown_bytes(self.bytes)}, kept under {shown_bytes(self.budget)}",
            f"policies        {self.policies}",
            f"estimated time  about {clock(self.seconds)} on {self.place}",
            f"records         {f'of {self.done:,} runs are in' if self.done else 'would go into'} {target}",
        ]


def run_seconds(run: Run, per_unit: np.ndarray) -> float:
    """How long one run takes, about, given the seconds for each unit of `layer_cost` of a training step."""
    settings, taken = run.settings, footprint_of(run)
    own = float(layer_cost(architecture_of(settings.spec)) @ per_unit)
    if not taken.tokens:
        read = settings.measured_prompts * taken.pool * settings.world.response_length
        proxy = float(layer_cost(proxy_architecture(settings)) @ per_unit)
        return distribution_seconds(settings, taken.distributions) + read * (own + settings.proxy.members * proxy) / 3
    checkpoints = 1 + taken.rounds * min(taken.steps // taken.rounds, settings.train.checkpoints - 1)
    later = later_proxy_tokens(settings, taken.rounds) * float(layer_cost(proxy_architecture(settings)) @ per_unit)
    if is_tilted(settings.spec):
        return later + (taken.steps * taken.gradients + checkpoints / 3) * tilted_step_seconds(settings.spec)
    pair = settings.world.prompt_length + max(taken.responses, 2) * (settings.world.response_length - 1)
    measuring = measured_places(settings, taken.pairs) + taken.held_out * pair
    training = taken.steps * taken.tokens * taken.gradients
    return later + (training + checkpoints * measuring / 3) * own  # measuring has no backward pass


def distribution_seconds(settings: Settings, laws: int) -> float:
    """How long it takes to measure so many laws, where responses are listed."""
    return (
        laws * listed_responses(settings.spec) * DISTRIBUTION_SECONDS if laws and settings.spec.lists_responses else 0.0
    )


def proxy_seconds(member: Member, per_unit: np.ndarray) -> float:
    """How long one proxy takes, about."""
    settings, world, proxy = member.settings, member.settings.world, member.settings.proxy
    if member.planted:
        return distribution_seconds(settings, len(TEMPERATURES))
    cost = float(layer_cost(proxy_architecture(settings)) @ per_unit)
    pair = world.prompt_length + 2 * world.response_length
    unseen = min(proxy.steps + 1, CHECKPOINTS) * member.held_out * pair
    if settings.spec.lists_responses and world.language.ends:
        scored = listed_responses(settings.spec) * (world.prompt_length + world.response_length)
    elif settings.spec.lists_responses:
        scored = world.prompts * sum(world.vocabulary**t for t in range(world.response_length + 1))
    else:
        scored = settings.measured_prompts * settings.measure.baseline * world.response_length
    return (proxy.steps * proxy.batch * pair + (unseen + scored) / 3) * cost


def training_seconds(runs: Sequence[Run], members: Sequence[Member], per_unit: np.ndarray) -> float:
    """How long some runs and proxies take on one process, about."""
    training = sum(count * run_seconds(run, per_unit) for run, count in cells(runs))
    return training + sum(proxy_seconds(member, per_unit) for member in members)


def making_seconds(settings: Settings, per_unit: np.ndarray) -> float:
    """How long a world and its oracle take, about."""
    cost = float(layer_cost(architecture_of(settings.spec)) @ per_unit)
    return distribution_seconds(settings, len(TEMPERATURES)) + making_places(settings.spec) * cost


def make_plan(request: Request, where: Where, *, accept_source: bool = False) -> Plan:
    """The plan of what is asked for; proxies are taken to be trained in the folder if any run is finished there.

    accept_source: as in `run_sweep`. Raises ConfigError.
    """
    where.check()
    sweep, runs, members = request.sweep, request.wanted, request.wanted_members
    for text in cautions(sweep, runs):
        warnings.warn(text, UserWarning, stacklevel=2)
    done = frozenset() if request.fresh else finished_runs(request.folder)
    if not (request.fresh or accept_source or request.is_complete()):
        request.check_source()
    with workers_for(where, sweep, request.folder.path, timed=True) as workers:
        check_computing(runs, workers.device)
        worlds = {name: settings for settings, name in world_names(runs)}
        examine_languages(settings.spec for settings in worlds.values())
        arrangement = workers.arrange(runs)
        per_unit = workers.time_steps()
        engines, place = engines_used(runs, workers.device), workers.place
    of_proxies, of_runs = proxy_stacks(members, arrangement.sizes), stacks(runs, arrangement.sizes)
    at_once = min(arrangement.processes, max(len(of_proxies), len(of_runs)))
    left = [run for run in runs if run.run_id not in done] if done else runs
    seconds = training_seconds(left, [] if done else members, per_unit) / at_once
    seconds += sum(making_seconds(settings, per_unit) for settings in worlds.values())
    return Plan(
        runs=len(runs),
        done=len(runs) - len(left),
        proxies=len(members),
        run_steps=request.steps,
        stacks=len(of_proxies) + len(of_runs),
        worlds=len(worlds),
        workers=at_once,
        bytes=arrangement.bytes,
        budget=arrangement.budget,
        seconds=START_SECONDS + (seconds if left else 0.0),
        engines=engines,
        policies=described(sweep, runs),
        place=place,
    )
