"""Policies from a file, or from the folder of a sweep."""

import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd
import torch

from simulator.api.arguments import values_of
from simulator.api.make_world import make_world
from simulator.api.policies import Policies, read_policies
from simulator.api.training import Training
from simulator.api.world import World
from simulator.common.errors import ConfigError, nearest, short
from simulator.execution.devices import choose_device
from simulator.execution.run_stack import proxies_for
from simulator.methods import METHODS
from simulator.networks.compute_mode import one_thread
from simulator.proxies.reward_model import members_of
from simulator.settings.relevant_keys import world_name
from simulator.settings.run import Run
from simulator.settings.tables import Settings
from simulator.storage.layout import ResultFolder
from simulator.storage.proxy_files import load_proxy
from simulator.sweeps.grid import expand
from simulator.sweeps.sweep import Sweep


def load_policies(path: str | Path, run_id: str | Sequence[str] | None = None, *, device: str = "cpu") -> Policies:
    """Policies that `Policies.save` wrote, or those of runs of a sweep.

    path: the file, or the folder of a sweep; of that, run_id says which run, or which, of `runs.parquet`. Sweeps keep
    tables and no policies: a run is trained again from the sweep's `config.toml`, to the same bits on the same machine;
    a warning says so where the end of its curve is not what was recorded. Raises ConfigError.
    """
    path = Path(path)
    if not path.is_dir():
        if run_id is not None:
            raise ConfigError(f"run_id: {short(str(path))} is no folder of a sweep; run_id chooses among runs of one")
        policies = read_policies(path)
        return replace(policies, parameters=policies.parameters.to(choose_device(device)))
    folder = ResultFolder(path=path)
    if not folder.config.is_file():
        raise ConfigError(f"{short(str(path))}: is no folder of a sweep; it has no config.toml")
    sweep = Sweep.from_toml(folder.config, beside=Path())
    runs = {run.run_id: run for run in expand(sweep) if METHODS[run.method].learner is not None}
    if run_id is None:
        raise ConfigError(f"run_id: say which of the {len(runs)} policies of {short(str(path))}; see its runs.parquet")
    names = values_of(run_id, "run_id")
    for name in names:
        if name not in runs:
            raise ConfigError(
                f"run_id = {short(str(name))}: no trained run of {short(str(path))}{nearest(str(name), runs)}"
            )
    if len({world_name(runs[name].settings) for name in names}) > 1:
        raise ConfigError("run_id: these runs are of different worlds; load those of each in a call of its own")
    world = make_world(sweep_of(runs[names[0]].settings), device=device)
    found = [trained_again(runs[name], folder, world) for name in names]
    table = pd.concat([policies.table for policies in found], ignore_index=True)
    curves = pd.concat([policies.curves for policies in found], ignore_index=True)
    return world.policies(torch.cat([policies.parameters for policies in found]), table, curves)


def sweep_of(settings: Settings) -> Sweep:
    """The sweep that has these settings, and nothing else."""
    return Sweep(**dict(settings)).found_in(settings.source)


def trained_again(run: Run, folder: ResultFolder, world: World) -> Policies:
    """The policy of a run, trained as in the sweep, whose world is this."""
    learner = METHODS[run.method].learner
    assert learner is not None
    with one_thread(), torch.no_grad():
        members = {member.name: member for member in members_of(run)}
        proxies = proxies_for([run], world.simulated, lambda member: load_proxy(folder, members[member]))
        stack = Training(world, [run], learner([run], world.simulated, proxies, None))
    for _ in stack:
        pass
    policies = stack.policies
    warn_if_other(policies, folder)
    return policies


def warn_if_other(policies: Policies, folder: ResultFolder) -> None:
    """Warn where the end of the curve is not what the sweep recorded."""
    if not folder.curves.exists():
        return
    ends = policies.curves.groupby("run_id", sort=False).last()
    recorded = pd.read_parquet(folder.curves, columns=["run_id", "kl"]).groupby("run_id", sort=False).last()
    for name, kl in ends["kl"].items():
        was = recorded["kl"].get(name)
        if was is not None and was != kl:
            warnings.warn(
                f"{name}: trained again it ends at a KL of {kl:.9g} nats, and the sweep recorded {was:.9g}: the "
                "code or the machine is another",
                UserWarning,
                stacklevel=4,
            )
