"""What an ensemble of reward models says of the policies that a sweep kept, without looking at gold.

For each data set of a sweep, `MEMBERS` reward models learn from the same labelled pairs as its policies, and differ in
their first parameters and the order of their batches (Coste et al. 2023, arXiv:2310.02743). Each is read in its own
unit: mean 0 at each prompt and variance 1 under the reference. With v_m = E_pi r_m of member m, exact over all
responses, `ensemble_mean` is the mean of v_m and `ensemble_sd` their standard deviation, at each kept checkpoint.
Shapes: R policies, P prompts, G responses, M members.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import torch

from simulator.api.make_world import make_world
from simulator.api.reading import places_of_policies, sweep_of
from simulator.api.reward_models import train_proxy
from simulator.common.errors import ConfigError, short
from simulator.instruments.side_by_side import spread
from simulator.instruments.tables import CURVES, curves_of, made_from, write_table
from simulator.networks.compute_mode import one_thread
from simulator.proxies.scores import Trained
from simulator.settings.relevant_keys import world_name
from simulator.settings.run import Run
from simulator.storage.layout import ResultFolder
from simulator.storage.networks.policy_files import StoredPolicies, read_policy_file
from simulator.sweeps.grid import expand
from simulator.sweeps.sweep import Sweep
from simulator.worlds.protocol import as_listed

FILE = "ensembles.parquet"
MEMBERS, WIDTH, STEPS = 4, 16, 300
FIRST, WORLDS, FEW = 101, 8, 3  # the seed of the first world, how many there are, and in the quick version
QUICK = (
    *('sweep.gold.reward=["motif", "additive"]', "sweep.data.pairs=[256]", "sweep.policy.width=[8]"),
    *("reference.steps=300", "train.steps=200", "sweep.beta=[0.01, 0.06, 0.4, 2.5]"),
)


@dataclass(frozen=True)
class Kept:
    """The runs of a folder by their names, and where the policies of each are, by its step."""

    runs: Mapping[str, Run]
    places: Mapping[str, Mapping[int, Path]]
    read: dict[Path, StoredPolicies] = field(default_factory=dict)  # files, the last few

    def file(self, path: Path) -> StoredPolicies:
        """The policies of a file."""
        if path not in self.read:
            if len(self.read) > 16:
                self.read.clear()
            self.read[path] = read_policy_file(path)
        return self.read[path]


def kept_in(path: Path) -> Kept:
    """What a folder keeps. Raises ConfigError where that is nothing."""
    folder = ResultFolder(path=path)
    if not folder.config.is_file() or not folder.curves.is_file():
        raise ConfigError(f"{short(str(path))}: is no folder of a sweep that has ended")
    runs = {run.run_id: run for run in expand(Sweep.from_toml(folder.config, beside=Path())) if suited(run)}
    places = {name: steps for name, steps in places_of_policies(folder, list(runs)).items() if steps}
    if not places:
        raise ConfigError(
            f"{short(str(path))}: keeps no policy that reward models could read; "
            'run the sweep with keep.policies = "checkpoints", offline, on labels of gold, in a listed world'
        )
    return Kept(runs=runs, places=places)


def suited(run: Run) -> bool:
    """Whether reward models can learn from what a run learned from, and its policy be read at all responses."""
    data = run.settings.data
    drawn = not (data.population or data.file or run.settings.online.rounds(run.settings.train.steps))
    return run.method == "gpo" and run.settings.spec.lists_responses and drawn and data.labeller == "gold"


def write_ensembles(path: Path, progress: Callable[[str], None], workers: int = 1) -> None:
    """Ask reward models about every policy that a folder keeps, and write `ensembles.parquet` into it.

    Nothing is done where the file is of these curves. Raises ConfigError, and StorageError.
    """
    kept = kept_in(path)
    curves = curves_of(path)
    if made_from(path / FILE, CURVES) == curves:
        return
    alike = [
        list(names) for _, names in groupby(sorted(kept.places, key=partial(data_of, kept)), partial(data_of, kept))
    ]
    tables = []
    with spread(partial(kept_in, path), min(workers, len(alike))) as each:
        for done, table in enumerate(each(asked, alike), 1):
            tables.append(table)
            if done % 16 == 0 or done == len(alike):
                progress(f"reward models of {done:,} of {len(alike):,} data sets")
    write_table(pd.concat(tables, ignore_index=True), path / FILE, **{CURVES: curves})


def data_of(kept: Kept, name: str) -> tuple[str, int, str]:
    """What runs share that learn from the same pairs in the same world."""
    run = kept.runs[name]
    return world_name(run.settings), run.seed, run.settings.data.model_dump_json()


def asked(kept: Kept, names: Sequence[str]) -> pd.DataFrame:
    """What reward models that learned from the pairs of these runs say of each of their policies."""
    first = kept.runs[names[0]]
    world = make_world(sweep_of(first.settings))
    pairs = world.preferences(first.settings.data.pairs, seed=first.seed)
    proxy = train_proxy(world, pairs, seed=first.seed, width=WIDTH, members=MEMBERS, combine="mean", steps=STEPS)
    of_it = proxy.ensemble
    trained = cast(tuple[Trained, ...], of_it.members)
    tables = [unit.apply(member.scores) for unit, member in zip(of_it.units, trained, strict=True)]
    rows = []
    with one_thread(), torch.no_grad():
        for step in sorted({step for name in names for step in kept.places[name]}):
            there = [name for name in names if step in kept.places[name]]
            values = values_of(kept, there, step, as_listed(world.simulated), np.stack(tables))
            rows += [
                {"run_id": name, "step": step, "ensemble_mean": found.mean(), "ensemble_sd": found.std(ddof=1)}
                for name, found in zip(there, values, strict=True)
            ]
    return pd.DataFrame(rows)


def values_of(kept: Kept, names: Sequence[str], step: int, world: Any, tables: np.ndarray) -> np.ndarray:
    """E_pi r_m of the policies of these runs at a step, [R, M]."""
    parameters = []
    for name in names:
        stored = kept.file(kept.places[name][step])
        place = int(np.flatnonzero(stored.table["run_id"].to_numpy() == name)[0])
        parameters.append(stored.parameters[place])
    laws = world.policy_class.measured_laws(torch.stack(parameters), alone=False).exp().double().numpy()
    return np.einsum("rpg,mpg->rm", laws, tables) / laws.shape[1]
