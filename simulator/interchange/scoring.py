"""`score`: policies that were trained elsewhere, measured in a sweep's world and added to its records.

A policy is a folder of a causal language model, a file of safetensors of ours, or a function in a Python file. Its row
has the columns of `curves.parquet`, method "external", and a label that stands as its loss, so that figures and
frontiers show all policies of one label as one family. Rows lie in `external.parquet`, too, from where a sweep that is
run again takes them back. Shapes: R policies.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from simulator.api.make_world import make_world
from simulator.api.policies import Policies, read_policies
from simulator.api.reading import sweep_of
from simulator.api.world import World
from simulator.common.errors import ConfigError, short
from simulator.common.identity import digest
from simulator.interchange.causal_model import CausalModel, read_causal_model
from simulator.interchange.scored_rows import Asked, add_rows, named
from simulator.interchange.target import check_folder
from simulator.settings.relevant_keys import world_name
from simulator.settings.run import Run
from simulator.storage.layout import ResultFolder
from simulator.storage.provenance import provenance_columns
from simulator.sweeps.grid import expand
from simulator.sweeps.hashes import code_of, with_hashes
from simulator.sweeps.sweep import Sweep
from simulator.user_code.loading import find, is_own, load_function

KEY = "score "
MOST_OUTSIDE = 0.001  # mass on tokens that the world has not, beyond which a warning says so

Say = Callable[..., None]


@dataclass(frozen=True, kw_only=True)
class Found:
    """A policy that was found: how it is measured, the SHA-256 of what it is, and what its file says of it."""

    measure: Callable[[World], pd.DataFrame]
    sha256: str
    known: pd.DataFrame | None = None  # a row for each policy of a file of ours
    model: CausalModel | None = None


def score_models(path: Path, models: Sequence[str], asked: Asked, at: Sequence[str], say: Say) -> pd.DataFrame:
    """Measure policies in the world of a sweep, and add their rows to its records; the rows.

    at: KEY=VALUE of the axes that the sweep's worlds differ in. Raises ConfigError and StorageError.
    """
    check_folder(path)
    folder = ResultFolder(path=path)
    if not folder.checksums.exists():
        raise ConfigError(f"{path}: its sweep has not ended; run it to its end, and score then")
    sweep = Sweep.from_toml(folder.config, beside=Path())
    runs = expand(sweep)
    with_hashes(sweep, [run.settings.world.language.text for run in runs])
    code_of(sweep)
    run = run_at(runs, at)
    world = make_world(sweep_of(run.settings))
    check_reference(folder, world)
    rows = []
    for place, name in enumerate(models):
        found = find_policy(name, world)
        measured = found.measure(world).reset_index(drop=True)
        tell_outside(name, found, say)
        rows += [
            asked.row(place, number, measured, found.known, Path(name.partition(":")[0]).name, found.sha256)
            for number in range(len(measured))
        ]
    table = named(rows).assign(**{key: str(value) for key, value in provenance_columns().items()})
    table = table.assign(kl_source=world.simulated.kl_source)
    add_rows(folder, table)
    return table


def run_at(runs: Sequence[Run], at: Sequence[str]) -> Run:
    """A run of the one world that is meant. Raises ConfigError where several are."""
    wanted = dict(text.partition("=")[::2] for text in at)
    keys = {key for run in runs for key in run.cell.axes}
    for key in wanted:
        if key not in keys:
            raise ConfigError(
                f"--at {short(key)}: is no axis of this sweep; its axes are {', '.join(sorted(keys)) or 'none'}"
            )
    some = [run for run in runs if all(str(run.cell.axes.get(key)) == value for key, value in wanted.items())]
    if not some:
        raise ConfigError(f"--at {' '.join(map(short, at))}: no run of this sweep is there; see its runs.parquet")
    worlds = {world_name(run.settings): run for run in {id(run.settings): run for run in some}.values()}
    if len(worlds) > 1:
        one = next(iter(worlds.values()))
        axes = " ".join(f"{key}={value}" for key, value in one.cell.axes.items())
        raise ConfigError(f"--at: this sweep has {len(worlds)} worlds; say in which to measure, such as --at {axes}")
    return some[0]


def check_reference(folder: ResultFolder, world: World) -> None:
    """Raises ConfigError where the records were made with another reference."""
    runs = pd.read_parquet(folder.runs)
    known = set(runs.get("reference_sha256", pd.Series(dtype=str)).dropna())
    here = world.facts["reference_sha256"]
    if known and here not in known:
        raise ConfigError(
            f"{folder.path}: its records were made with another reference (SHA-256 {sorted(known)[0]}, and {here} "
            "here), since training it on another machine may give another; score where the sweep was run"
        )


def tell_outside(name: str, found: Found, say: Say) -> None:
    """Say how much mass a model gives to tokens that the world has not."""
    share = max(found.model.outside, default=0.0) if found.model else 0.0
    if share > MOST_OUTSIDE:
        say(f"{short(name)}: gives {share:.1%} of a law to tokens that the world has not; it is measured without these")


def find_policy(name: str, world: World) -> Found:
    """The policy, or policies, that a name stands for. Raises ConfigError."""
    path = Path(name)
    if is_own(name):
        return by_function(name)
    if path.is_dir():
        model = read_causal_model(path, f"{KEY}{short(name)}", world.simulated, world.settings)
        return Found(measure=measured_by(name, model.log_prob, model.sample), sha256=hash_of_model(path), model=model)
    if path.suffix == ".safetensors" and path.is_file():
        policies = read_policies(path)
        digest_of = hashlib.sha256(path.read_bytes()).hexdigest()
        return Found(measure=lambda world: measured_ours(name, policies, world), sha256=digest_of, known=policies.table)
    what = "is no folder of a model, file of safetensors or function" if path.exists() else "is not there"
    raise ConfigError(
        f"{KEY}{short(name)}: {what}; name a folder of a causal language model, a .safetensors file that "
        "Policies.save or a sweep wrote, or my_file.py:log_prob"
    )


def measured_by(name: str, log_prob: Any, sample: Any) -> Callable[[World], pd.DataFrame]:
    """How a policy is measured that says log-probabilities, and draws responses; its errors name it."""

    def measure(world: World) -> pd.DataFrame:
        draws = {} if world.simulated.lists_responses or sample is None else {"sample": sample}
        try:
            return world.measure(log_prob, **draws)
        except ConfigError as error:
            raise ConfigError(f"{KEY}{short(name)}: {str(error).removeprefix('measure: ')}") from None

    return measure


def measured_ours(name: str, policies: Policies, world: World) -> pd.DataFrame:
    """Policies of ours in a world, whichever reference they were trained from. Raises ConfigError."""
    same = policies.architecture == world.simulated.architecture and policies.prompt_length == world.prompts.shape[1]
    if same and policies.reference_sha256 == world.facts["reference_sha256"]:
        return world.measure(policies)
    rows = []
    for number in range(len(policies)):
        one = policies[number]
        draw = measured_by(name, one.log_prob, lambda prompts, count, one=one: one.sample(prompts, count)[0])
        rows.append(draw(world))
    return pd.concat(rows, ignore_index=True)


def by_function(name: str) -> Found:
    """A function in a file, with the function `sample` of that file for worlds that are sampled, if it has one."""
    path = find(name, None, KEY)
    user = load_function(name, path, KEY)
    try:
        draw = load_function(f"{name.rpartition(':')[0]}:sample", path, KEY).function
    except ConfigError:
        draw = None

    def log_prob(prompts: Any, responses: Any) -> Any:
        with user.errors_named("raises"):
            return user.function(prompts, responses)

    return Found(measure=measured_by(name, log_prob, draw), sha256=user.code_hash)


def hash_of_model(folder: Path) -> str:
    """The SHA-256 of the files that a model is read from."""
    sums = []
    for path in sorted(folder.iterdir()):
        if path.suffix in (".json", ".safetensors") and path.is_file():
            with path.open("rb") as file:
                sums.append([path.name, hashlib.file_digest(file, "sha256").hexdigest()])
    return digest(sums)
