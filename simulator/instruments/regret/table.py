"""The regret of the runs of a sweep, as a table."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from simulator.common.errors import ConfigError, short
from simulator.instruments.regret.golds import GoldFamily, family_of
from simulator.instruments.regret.parts import Ended, Parts, parts_of
from simulator.instruments.regret.suited import why_not
from simulator.instruments.side_by_side import spread
from simulator.networks.compute_mode import one_thread
from simulator.settings.relevant_keys import world_name
from simulator.settings.run import Run
from simulator.storage.layout import ResultFolder
from simulator.sweeps.grid import expand
from simulator.sweeps.sweep import Sweep
from simulator.worlds.build import build_world
from simulator.worlds.protocol import ListedWorld, as_listed

FILE = "regret.parquet"


def regret_table(path: Path, progress: Callable[[str], None], workers: int = 1) -> pd.DataFrame:
    """A row for each run whose regret is split; see `parts_of`. Raises ConfigError where there is none."""
    runs, ended = runs_of(path)
    reasons = Counter(filter(None, map(why_not, runs)))
    rows = list(rows_of(path, ended, reasons, workers, progress))
    if not rows:
        told = "; ".join(f"{reason} ({count:,} runs)" for reason, count in reasons.items())
        raise ConfigError(f"regret: no run of {short(str(path))} can be split: {told or 'none has ended'}")
    for reason, count in reasons.items():
        progress(f"not split: {count:,} runs, since {reason}")
    return pd.DataFrame(rows)


def runs_of(path: Path) -> tuple[list[Run], list[Ended]]:
    """All runs of a folder, and those that can be split and have ended well. Raises ConfigError."""
    folder = ResultFolder(path=path)
    if not folder.config.is_file() or not folder.curves.is_file():
        raise ConfigError(f"{short(str(path))}: is no folder of a sweep that has ended")
    runs = expand(Sweep.from_toml(folder.config, beside=Path()))
    curves = pd.read_parquet(folder.curves)
    last = curves[curves["status"] == "ok"].groupby("run_id", sort=False).last()[["kl", "gold", "step"]]
    suited = [run for run in runs if not why_not(run)]
    there = last.reindex([run.run_id for run in suited])
    return runs, [
        Ended(run=run, kl=float(row.kl), gold=float(row.gold))
        for run, row in zip(suited, there.itertuples(), strict=True)
        if row.step == run.steps
    ]


def rows_of(
    path: Path, ended: Sequence[Ended], reasons: Counter[str], workers: int, progress: Callable[[str], None]
) -> Iterator[dict[str, Any]]:
    """The rows of the table; runs that share a world, and then those that share their pairs, are done together.

    reasons: takes those of runs whose loss has no minimum.
    """
    done = 0
    for _, in_world in groupby(sorted(ended, key=world_of), key=world_of):
        some = list(in_world)
        alike = [list(runs) for _, runs in groupby(sorted(some, key=pairs_of), key=pairs_of)]
        names = [[one.run.run_id for one in runs] for runs in alike]
        family = family_of(as_listed(build_world(some[0].run.settings)))
        with spread(partial(prepared, path, family, names[0][0]), min(workers, len(alike))) as each:
            for runs, parts in zip(alike, each(split, names), strict=True):
                yield from (columns_of(one) | parts[one.run.run_id] for one in runs if one.run.run_id in parts)
                flat = [str(one.run.loss) for one in runs if one.run.run_id not in parts]
                reasons.update(f"loss {loss} has no minimum over all pairs with these labels" for loss in flat)
                done += len(runs)
                progress(f"{done:,} of {len(ended):,} runs")


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """What the split of runs of one world needs: the world, its golds, and the runs by their names."""

    world: ListedWorld
    family: GoldFamily
    ended: Mapping[str, Ended]


def prepared(path: Path, family: GoldFamily, name: str) -> Prepared:
    """What is needed for the world that the run of this name is in."""
    ended = {one.run.run_id: one for one in runs_of(path)[1]}
    return Prepared(world=as_listed(build_world(ended[name].run.settings)), family=family, ended=ended)


def split(of: Prepared, names: Sequence[str]) -> dict[str, Parts]:
    """The parts of runs that share their pairs."""
    with one_thread(), torch.no_grad():
        return parts_of(of.world, of.family, [of.ended[name] for name in names])


def world_of(one: Ended) -> str:
    """What runs of one world share."""
    return world_name(one.run.settings)


def pairs_of(one: Ended) -> tuple[int, str]:
    """What runs that learn from the same pairs share."""
    return one.run.seed, one.run.settings.data.model_dump_json()


def columns_of(one: Ended) -> dict[str, Any]:
    """Which run it is; its loss is called `objective`, since `loss` is a part."""
    told = one.run.columns()
    return {"objective" if name == "loss" else name: value for name, value in told.items()} | {
        "kl": one.kl,
        "gold": one.gold,
    }
