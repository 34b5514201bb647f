"""Policies from a file, or from the folder of a sweep."""

import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd
import torch

from simulator.api.arguments import values_of
from simulator.api.make_world import make_world
from simulator.api.policies import Policies, policies_of, read_policies
from simulator.api.training import Training
from simulator.api.world import World
from simulator.common.errors import ConfigError, nearest, short
from simulator.common.result_files import POLICIES
from simulator.execution.devices import choose_device
from simulator.execution.run_stack import proxies_for
from simulator.methods import METHODS
from simulator.networks.compute_mode import one_thread
from simulator.proxies.reward_model import members_of
from simulator.settings.relevant_keys import world_name
from simulator.settings.run import Run
from simulator.settings.tables import Settings
from simulator.storage.layout import ResultFolder
from simulator.storage.networks.policy_files import StoredPolicies, read_policy_file, table_of
from simulator.storage.networks.proxy_files import load_proxy
from simulator.sweeps.grid import expand
from simulator.sweeps.sweep import Sweep
from simulator.worlds.policy_classes.tilted import are_one_class


def load_policies(
    path: str | Path, run_id: str | Sequence[str] | None = None, *, step: int | None = None, device: str = "cpu"
) -> Policies:
    """Policies that `Policies.save` wrote, or those of runs of a sweep.

    path: the file, or the folder of a sweep; of that, run_id says which run, or which, of `runs.parquet`, and step at
    which checkpoint, the last unless said. Where a sweep did not keep a run's policy (`[keep]`), the run is trained
    again from the sweep's `config.toml`, to the same bits on the same machine; a warning says so where the end of its
    curve is not what was recorded. Raises ConfigError.
    """
    path = Path(path)
    if not path.is_dir():
        for name, value in (("run_id", run_id), ("step", step)):
            if value is not None:
                raise ConfigError(f"{name}: {short(str(path))} is no folder of a sweep; {name} chooses among its runs")
        policies = read_policies(path)
        return on_device(policies, device)
    folder = ResultFolder(path=path)
    if not folder.config.is_file():
        raise ConfigError(f"{short(str(path))}: is no folder of a sweep; it has no config.toml")
    names = [] if run_id is None else [str(name) for name in values_of(run_id, "run_id")]
    if names and (kept := kept_policies(folder, names, step)) is not None:
        return on_device(kept, device)
    sweep = Sweep.from_toml(folder.config, beside=Path())
    runs = {run.run_id: run for run in expand(sweep) if METHODS[run.method].learner is not None}
    if run_id is None:
        raise ConfigError(f"run_id: say which of the {len(runs)} policies of {short(str(path))}; see its runs.parquet")
    for name in names:
        if name not in runs:
            raise ConfigError(f"run_id = {short(name)}: no trained run of {short(str(path))}{nearest(name, runs)}")
    if step is not None:
        raise ConfigError(f"step = {step}: {not_kept(folder, names, step)}")
    if len({world_name(runs[name].settings) for name in names}) > 1:
        raise ConfigError("run_id: these runs are of different worlds; load those of each in a call of its own")
    world = make_world(sweep_of(runs[names[0]].settings), device=device)
    found = [trained_again(runs[name], folder, world) for name in names]
    table = pd.concat([policies.table for policies in found], ignore_index=True)
    curves = pd.concat([policies.curves for policies in found], ignore_index=True)
    return world.policies(torch.cat([policies.parameters for policies in found]), table, curves)


def on_device(policies: Policies, name: str) -> Policies:
    """The same policies with their tensors on a device. Raises ConfigError."""
    device = choose_device(name)
    tilted = policies.tilted and policies.tilted.to(device)
    return replace(policies, parameters=policies.parameters.to(device), tilted=tilted)


def kept_policies(folder: ResultFolder, names: Sequence[str], step: int | None) -> Policies | None:
    """The policies of these runs that a sweep has kept, at a step or at the last one; None where one is not there.

    Raises ConfigError where a file is damaged.
    """
    found = places_of_policies(folder, names)
    chosen = {name: max(steps) if step is None else step for name, steps in found.items() if steps}
    if len(chosen) < len(names) or any(at not in found[name] for name, at in chosen.items()):
        return None
    if step is None and any(at != end for name, at in chosen.items() if (end := end_of(folder, name)) is not None):
        return None
    stored = {path: read_policy_file(path) for path in {found[name][at] for name, at in chosen.items()}}
    rows = [(stored[found[name][at]], name) for name, at in chosen.items()]
    if any(is_of_another_world(one, rows[0][0]) for one, _ in rows):
        raise ConfigError("run_id: these runs are of different worlds; load those of each in a call of its own")
    places = [int(one.table.index[one.table["run_id"] == name][0]) for one, name in rows]
    parameters = torch.stack([one.parameters[place] for (one, _), place in zip(rows, places, strict=True)])
    tables = [one.table.iloc[[place]] for (one, _), place in zip(rows, places, strict=True)]
    curves = pd.read_parquet(folder.curves) if folder.curves.exists() else pd.DataFrame({"run_id": []})
    some = [curves[curves["run_id"] == name] for name in names]
    joined = replace(rows[0][0], parameters=parameters, table=pd.concat(tables, ignore_index=True))
    return policies_of(joined, pd.concat(some, ignore_index=True))


def is_of_another_world(one: StoredPolicies, other: StoredPolicies) -> bool:
    """Whether policies are of other networks, another reference or another class than those of another file."""
    sizes = (one.reference_sha256, one.architecture) != (other.reference_sha256, other.architecture)
    return sizes or not are_one_class(one.tilted, other.tilted)


def places_of_policies(folder: ResultFolder, names: Sequence[str]) -> dict[str, dict[int, Path]]:
    """The file of each step at which the policy of each of these runs was kept."""
    found: dict[str, dict[int, Path]] = {name: {} for name in names}
    for path in sorted(folder.path.glob(POLICIES)):
        table = table_of(path)
        for name, at in zip(table["run_id"], table["step"], strict=True):
            if name in found:
                found[name][int(at)] = path
    return found


def end_of(folder: ResultFolder, name: str) -> int | None:
    """The step at which the curve of a run ends, None where that is not known, or it diverged."""
    if not folder.curves.exists():
        return None
    curves = pd.read_parquet(folder.curves, columns=["run_id", "step", "status"])
    of_run = curves[curves["run_id"] == name]
    return int(of_run["step"].iloc[-1]) if len(of_run) and of_run["status"].iloc[-1] == "ok" else None


def not_kept(folder: ResultFolder, names: Sequence[str], step: int) -> str:
    """Why a policy at a step cannot be had, for people."""
    for name, steps in places_of_policies(folder, names).items():
        if step not in steps:
            there = f"kept are {', '.join(map(str, sorted(steps)))}" if steps else "no policy of it was kept"
            return f'of {name} {there}; a sweep with [keep] policies = "checkpoints" keeps every checkpoint'
    return "no policy was kept"


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
