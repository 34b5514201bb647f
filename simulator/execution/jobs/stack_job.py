"""One stack from its world to the folder: what a process does with a job."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
import torch

from simulator.common.atomic_files import StorageError
from simulator.common.errors import ConfigError
from simulator.common.signals import interrupts_delayed
from simulator.engine.computing import engine_of
from simulator.engine.recorder import Recorder, Tick
from simulator.engine.snapshots import Saver
from simulator.execution.jobs.retry import Job
from simulator.execution.run_stack import proxies_for, run_stack
from simulator.proxies.planted_facts import facts_of_planted
from simulator.proxies.planting import list_answers, plant
from simulator.proxies.reward_model import Member, members_needed, members_of
from simulator.proxies.training import train_members
from simulator.settings.relevant_keys import world_name
from simulator.settings.run import Run
from simulator.settings.tables import Settings
from simulator.storage.checksums import write_checksums
from simulator.storage.layout import ResultFolder, stack_name
from simulator.storage.networks.policy_keeper import PolicyKeeper
from simulator.storage.networks.proxy_files import load_proxy, save_proxy
from simulator.storage.origins import COLUMNS, check_unchanged_since_start
from simulator.storage.provenance import provenance_columns
from simulator.storage.tables import run_rows, tidy, write_table
from simulator.sweeps.grid import engine_of_worlds, expand
from simulator.sweeps.hashes import check_text, code_of, hash_of_pairs
from simulator.sweeps.kept_policies import kept_of
from simulator.sweeps.stacking import runs_with_proxies
from simulator.sweeps.sweep import Sweep
from simulator.worlds.build import build_world
from simulator.worlds.protocol import World


@dataclass(frozen=True, kw_only=True)
class WorkerContext:
    """What a process works with: the folder, the sweep with all its runs and proxies, and the world that it has made.

    save_every: seconds between two saved states of a stack.
    """

    folder: ResultFolder
    sweep: Sweep
    runs: Sequence[Run]
    members: Sequence[Member]
    device: torch.device
    save_every: float
    worlds: dict[str, World]


def context_in(folder: ResultFolder, sweep: Sweep, device: torch.device, save_every: float) -> WorkerContext:
    """What a process works with that has nothing but the folder and the sweep in it.

    Raises ConfigError where code of the user's own is not what the sweep says.
    """
    code_of(sweep)
    runs = expand(sweep)
    members = members_needed(runs_with_proxies(runs))
    return WorkerContext(
        folder=folder, sweep=sweep, runs=runs, members=members, device=device, save_every=save_every, worlds={}
    )


def cached_world(worlds: dict[str, World], sweep: Sweep, settings: Settings, device: torch.device) -> World:
    """The world of `settings`, made unless it is the one that `worlds` holds; it holds one at a time.

    Raises ConfigError where it is made of another text than the sweep says.
    """
    name = world_name(settings)
    if name not in worlds:
        worlds.clear()
        world = build_world(settings, device)
        if settings.world.language.text:
            check_text(sweep, settings.world.language.text, world.facts["text_sha256"])
        worlds[name] = world
    return worlds[name]


def run_job(job: Job, context: WorkerContext, tick: Tick, found: Tick) -> None:
    """Finish a job, and leave its records in the folder.

    tick and found: as in Recorder. An interrupt waits until the state of the stack is saved. Raises StorageError where
    records cannot be written or the world, or a file of pairs, is not what it was, and whatever a stack may raise.
    """
    some: Sequence[Run | Member] = [
        (context.runs if job.kind == "runs" else context.members)[place] for place in job.indices
    ]
    try:
        world = cached_world(context.worlds, context.sweep, some[0].settings, context.device)
        for file in sorted({one.settings.data.file for one in some} - {""}):
            hash_of_pairs(context.sweep, file)
    except ConfigError as error:
        raise StorageError(str(error)) from error
    check_unchanged_since_start(context.folder, world_name(some[0].settings), world.facts["reference_sha256"])
    name = stack_name(some)
    of = origin_columns(world) | {"stack": name, "kind": job.kind, "device": context.device.type}
    of["engine"] = engine_of(some[0].settings, context.device) if job.kind == "runs" else engine_of_worlds()
    saver = Saver(path=context.folder.saved_state(name), of=of, every=context.save_every)
    finish: Callable[..., None] = finish_stack if job.kind == "runs" else finish_proxies
    with interrupts_delayed():
        finish(some, world, context, Recorder(progress=tick, resumed=found, saver=saver))
        saver.delete()


def origin_columns(world: World) -> dict[str, str]:
    """Which program makes a record, and in a world with which reference."""
    return provenance_columns() | {"reference_sha256": world.facts["reference_sha256"]}


def finish_stack(stack: Sequence[Run], world: World, context: WorkerContext, recorder: Recorder) -> None:
    """Run one stack and leave its records in the folder, where the proxies that it needs must be."""
    began, folder, name = time.perf_counter(), context.folder, stack_name(stack)
    members = {member.name: member for run in stack for member in members_of(run)}
    proxies = proxies_for(stack, world, lambda name: load_proxy(folder, members[name]))
    tables: dict[str, pd.DataFrame] = {}
    keep = PolicyKeeper(folder=folder, stack=stack, world=world, kept=kept_of(context.sweep, context.runs))
    recorder = replace(recorder, save_table=tables.__setitem__, measured=keep)
    curves = run_stack(stack, world, proxies, recorder)
    seconds = (time.perf_counter() - began) / len(stack)
    tables["curves"] = tidy(curves)
    machine = {"device": str(context.device), "engine": engine_of(stack[0].settings, context.device)}
    tables["runs"] = run_rows(stack, curves, {"wall_seconds": seconds, **machine, **origin_columns(world)})
    paths = {kind: folder.part(name, kind) for kind in tables}
    write_checksums(
        folder.part_checksums(name),
        folder.path,
        {paths[kind]: write_table(table, paths[kind]) for kind, table in tables.items()} | keep.checksums(),
    )


def finish_proxies(stack: Sequence[Member], world: World, context: WorkerContext, recorder: Recorder) -> None:
    """Train one stack of proxies and leave networks and records in the folder; of planted ones, records alone."""
    began, folder, name = time.perf_counter(), context.folder, stack_name(stack)
    sums: dict[Path, str] = {}
    with torch.no_grad():
        if stack[0].planted:
            listed = list_answers(world)
            rows = [facts_of_planted(member, plant(member, world, listed), world, listed) for member in stack]
        else:
            trained = train_members(stack, world, recorder)
            rows = [facts for _, facts in trained]
            networks = [folder.network(member.name) for member in stack]
            sums |= {path: save_proxy(proxy, path) for path, (proxy, _) in zip(networks, trained, strict=True)}
    seconds = (time.perf_counter() - began) / len(stack)
    part = folder.part(name, "proxies")
    also = {"wall_seconds": seconds} | {name: origin_columns(world)[name] for name in COLUMNS}
    sums[part] = write_table(pd.DataFrame([row | also for row in rows]), part)
    write_checksums(folder.part_checksums(name), folder.path, sums)
