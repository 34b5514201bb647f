"""The tables of a sweep of data sets, written with the program and the settings that they were made by."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields
from itertools import groupby
from pathlib import Path

import pandas as pd
import torch

from simulator.common.identity import digest
from simulator.instruments.influence.judging import Tables, judge_site
from simulator.instruments.influence.retraining import Site
from simulator.instruments.tables import made_from, write_table
from simulator.networks.compute_mode import one_thread
from simulator.preferences.labelling import preferences
from simulator.settings.relevant_keys import world_name
from simulator.settings.run import Run
from simulator.storage.provenance import results_source
from simulator.user_code.plain_source import plain_source
from simulator.worlds.build import build_world
from simulator.worlds.protocol import as_listed

FILES = {
    "pairs": "influence.parquet",
    "groups": "groups.parquet",
    "dropped": "dropped.parquet",
    "judged": "judged.parquet",
}


def influence_tables(runs: Sequence[Run], fresh: int, folder: Path, progress: Callable[[str], None]) -> None:
    """Write the tables of all data sets and classes of policies of a sweep into a folder.

    They are written after each of them, and those that are there already are not computed again. Raises StorageError.
    """
    made_by = {"results_source": results_source(), "settings": digest([[run.run_id for run in runs], fresh, source()])}
    known = read_tables(folder, made_by)
    done = set() if known is None else set(zip(known.judged["policy"], known.judged["data_set"], strict=True))
    if done:
        progress(f"there already: {len(done)} of {len(runs)}")
    left = [run for run in runs if (run.settings.policy.kind, run.seed) not in done]
    for number, site in enumerate(sites(left), len(done) + 1):
        found = judge_site(site, fresh)
        known = found if known is None else joined(known, found)
        write_tables(known, folder, made_by)
        agreement = found.judged["agreement"].iloc[0]
        where = f"{site.run.settings.policy.kind}, data set {site.run.seed}"
        progress(f"{number} of {len(runs)}: {where}: values of two orders correlate {agreement:.2f}")


def source() -> str:
    """The hash of the code of these tables."""
    texts = [path.read_text(encoding="utf-8") for path in sorted(Path(__file__).parent.glob("*.py"))]
    return digest([plain_source(text) for text in texts])


def joined(one: Tables, other: Tables) -> Tables:
    """The rows of both."""
    names = [field.name for field in fields(Tables)]
    return Tables(**{name: pd.concat([getattr(one, name), getattr(other, name)], ignore_index=True) for name in names})


def read_tables(folder: Path, made_by: Mapping[str, str]) -> Tables | None:
    """The tables of a folder, where they are of the same sweep and code; of what all of them have."""
    paths = {name: folder / file for name, file in FILES.items()}
    if any(made_from(path, what) != value for path in paths.values() for what, value in made_by.items()):
        return None
    tables = {name: pd.read_parquet(path) for name, path in paths.items()}
    whole = set.intersection(*({*zip(table["policy"], table["data_set"], strict=True)} for table in tables.values()))
    there = {
        name: table[[place in whole for place in zip(table["policy"], table["data_set"], strict=True)]]
        for name, table in tables.items()
    }
    return Tables(**there)


def sites(runs: Sequence[Run]) -> Iterator[Site]:
    """Each run's pairs in its world; worlds are built once."""
    with one_thread(), torch.no_grad():
        for _, some in groupby(sorted(runs, key=of_world), key=of_world):
            alike = list(some)
            world = as_listed(build_world(alike[0].settings))
            for run in alike:
                yield Site(run=run, world=world, pairs=preferences([run], world, None).without_scores().run(0))


def of_world(run: Run) -> str:
    """What runs of one world and class of policies share."""
    return run.settings.policy.kind + world_name(run.settings)


def write_tables(tables: Tables, folder: Path, made_by: Mapping[str, str]) -> None:
    """Write them into a folder. Raises StorageError."""
    for name, file in FILES.items():
        write_table(getattr(tables, name), folder / file, **made_by)
